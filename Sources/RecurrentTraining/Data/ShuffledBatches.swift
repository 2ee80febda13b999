import Recurrent

/// Deals examples out in batches, each example once an epoch, in an order that a seed decides. It gives the numbers of
/// the examples, so it serves texts, windows of a series and anything else that is counted.
///
/// ```swift
/// var batches = try ShuffledBatches(count: examples.count, batchSize: 32, seed: 1)
/// for epoch in 0..<10 {
///   while let batch = batches.next() { train(batch.map { examples[$0] }) }
/// }
/// ```
///
/// For a checkpoint, save `place`. New batches with the same examples, sizes and seed that are moved there go on as
/// these would have.
public struct ShuffledBatches: Sendable {
  /// How far the batches have been read.
  public struct Place: Sendable, Equatable, Codable {
    /// The number of epochs that have ended.
    public var epoch: Int
    /// The number of batches that have been read in this epoch.
    public var position: Int

    /// The place before a batch of an epoch.
    public init(epoch: Int, position: Int) {
      self.epoch = epoch
      self.position = position
    }
  }

  /// The number of examples in all batches but the last one, which may have fewer.
  public let batchSize: Int
  /// Decides the order.
  public let seed: UInt64
  /// How far the batches have been read.
  public private(set) var place = Place(epoch: 0, position: 0)
  /// The number of batches of an epoch.
  public let count: Int
  /// The number of examples.
  private let exampleCount: Int
  /// [exampleCount]; nil if batches do not depend on lengths.
  private let lengths: [Int]?
  /// The number of examples that are sorted together.
  private let windowSize: Int
  /// The batches of the current epoch.
  private var batches: [[Int]] = []

  /// Batches of examples in a random order, a new one in every epoch.
  ///
  /// - Parameters:
  ///   - count: the number of examples.
  ///   - batchSize: N
  ///   - seed: equal seeds give equal batches.
  /// - Throws: `RecurrentError.size` if a number is not positive.
  public init(count: Int, batchSize: Int, seed: UInt64 = 1) throws(RecurrentError) {
    try self.init(count: count, lengths: nil, batchSize: batchSize, window: 1, seed: seed)
  }

  /// Batches of examples with similar lengths, so that few steps are padding. In every epoch the examples are shuffled
  /// and cut into windows of several batches, each window is sorted by length and cut into batches, and the batches are
  /// shuffled.
  ///
  /// - Parameters:
  ///   - lengths: one of each example.
  ///   - batchSize: N
  ///   - window: the number of batches that are sorted together. More give less padding; fewer give batches more at
  ///     random.
  ///   - seed: equal seeds give equal batches.
  /// - Throws: `RecurrentError.size` if a number is not positive.
  public init(
    lengths: [Int], batchSize: Int, window: Int = 20, seed: UInt64 = 1
  ) throws(RecurrentError) {
    try self.init(count: lengths.count, lengths: lengths, batchSize: batchSize, window: window, seed: seed)
  }

  private init(
    count: Int, lengths: [Int]?, batchSize: Int, window: Int, seed: UInt64
  ) throws(RecurrentError) {
    for (name, value) in [("examples", count), ("batchSize", batchSize), ("window", window)] where value < 1 {
      throw .size(name: name, was: value, expected: "at least 1")
    }
    _ = try checkedCount(("examples", count), scalarBytes: MemoryLayout<Int>.size)
    self.batchSize = batchSize
    self.seed = seed
    self.count = (count - 1) / batchSize + 1
    exampleCount = count
    self.lengths = lengths
    let (size, overflow) = batchSize.multipliedReportingOverflow(by: window)
    windowSize = overflow ? count : size
    shuffle()
  }

  /// The numbers of the next batch's examples, from 0; nil once at the end of every epoch.
  public mutating func next() -> [Int]? {
    guard place.position < count else {
      place = Place(epoch: place.epoch + 1, position: 0)
      shuffle()
      return nil
    }
    place.position += 1
    return batches[place.position - 1]
  }

  /// Goes on from a place that was saved.
  ///
  /// - Throws: `RecurrentError.value` if these batches have no such place.
  public mutating func move(to place: Place) throws(RecurrentError) {
    guard place.epoch >= 0, place.epoch < .max else {
      throw .value(name: "epoch", was: "\(place.epoch)", expected: "0 or more")
    }
    guard (0...count).contains(place.position) else {
      throw .value(name: "position", was: "\(place.position)", expected: "0 to \(count)")
    }
    self.place = place
    shuffle()
  }

  /// Makes the batches of the place's epoch, which depend on the seed and on the epoch's number only.
  private mutating func shuffle() {
    var epochs = SeededGenerator(seed: UInt64(place.epoch))
    var random = SeededGenerator(seed: seed ^ epochs.next())
    var examples = Array(0..<exampleCount)
    examples.shuffle(using: &random)
    guard let lengths else {
      batches = cut(examples[...])
      return
    }
    batches = []
    for first in stride(from: 0, to: exampleCount, by: windowSize) {
      let window = examples[first..<min(exampleCount, first + windowSize)]
      // Of equal lengths, the one that was shuffled to the front stays there.
      let sorted = window.enumerated().sorted {
        (lengths[$0.element], $0.offset) < (lengths[$1.element], $1.offset)
      }
      batches += cut(sorted.map(\.element)[...])
    }
    batches.shuffle(using: &random)
  }

  private func cut(_ examples: ArraySlice<Int>) -> [[Int]] {
    stride(from: 0, to: examples.count, by: batchSize).map { first in
      Array(examples[examples.startIndex + first..<examples.startIndex + min(examples.count, first + batchSize)])
    }
  }
}
