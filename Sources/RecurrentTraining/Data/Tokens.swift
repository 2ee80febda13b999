import Recurrent

/// A batch of sequences of symbols, such as the words or characters of texts by their numbers.
public struct Tokens: Sendable, Equatable {
  /// [T,N], time-major.
  public var symbols: [Int]
  /// T: the number of steps.
  public let steps: Int
  /// N: the number of sequences.
  public let batchSize: Int
  /// [N], each 0 ... T: the symbols of each sequence, without its padding. Nil if every sequence has T steps.
  public var lengths: [Int]?

  /// - Parameters:
  ///   - symbols: [T,N], time-major.
  ///   - steps: T, at least 1.
  ///   - batchSize: N, at least 1.
  ///   - lengths: [N], each 0 ... T; T by default.
  /// - Throws: `RecurrentError` if a size is not positive, a count is wrong or a length is out of its range.
  public init(
    _ symbols: [Int], steps: Int, batchSize: Int, lengths: [Int]? = nil
  ) throws(RecurrentError) {
    let count = try checkedCount(("steps", steps), ("batchSize", batchSize), scalarBytes: MemoryLayout<Int>.size)
    try checkCount("symbols", symbols.count, is: count, "steps·batchSize")
    if let lengths {
      try checkCount("lengths", lengths.count, is: batchSize, "batchSize")
      for (sequence, length) in lengths.enumerated() where !(0...steps).contains(length) {
        throw .value(name: "lengths[\(sequence)]", was: "\(length)", expected: "0 to \(steps)")
      }
    }
    self.symbols = symbols
    self.steps = steps
    self.batchSize = batchSize
    self.lengths = lengths
  }

  /// Puts texts side by side and pads each on its right up to the longest one. `lengths` says how many symbols of each
  /// are its own. An empty text has the length 0: a layer leaves its state as it was and gives zeros. If all texts are
  /// empty, T is 1.
  ///
  /// - Parameters:
  ///   - texts: N texts, each a list of symbols.
  ///   - padding: the symbol after a text's end.
  ///   - longest: of a longer text, the symbols after so many are left out; nil for no limit.
  /// - Throws: `RecurrentError` if there are no texts or `longest` is not positive.
  public init(padding texts: [[Int]], with padding: Int = 0, longest: Int? = nil) throws(RecurrentError) {
    guard !texts.isEmpty else { throw .value(name: "texts", was: "empty", expected: "at least one text") }
    if let longest, longest < 1 { throw .size(name: "longest", was: longest, expected: "at least 1") }
    let lengths = texts.map { min($0.count, longest ?? .max) }, steps = max(1, lengths.max() ?? 1)
    let count = try checkedCount(("steps", steps), ("texts", texts.count), scalarBytes: MemoryLayout<Int>.size)
    var symbols = Array(repeating: padding, count: count)
    for (sequence, text) in texts.enumerated() {
      for step in 0..<lengths[sequence] { symbols[step * texts.count + sequence] = text[step] }
    }
    try self.init(symbols, steps: steps, batchSize: texts.count, lengths: lengths)
  }
}
