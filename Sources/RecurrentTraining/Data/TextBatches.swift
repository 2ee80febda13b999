import Recurrent

/// Successive pieces of a text that is read in several streams side by side.
public struct TextBatches {
  /// Time-major: inputs and the characters that follow them, [steps, streams].
  public struct Batch {
    /// The characters that are read.
    public var inputs: [Int]
    /// The character that follows each of them.
    public var targets: [Int]
    /// T of this piece.
    public var steps: Int
    /// N
    public var streams: Int
  }

  /// N
  public let streams: Int
  private let numbers: [Int]
  private let steps: Int
  /// The number of steps of each stream.
  let length: Int
  /// The number of steps of each stream that have been read.
  var position = 0

  /// - Parameters:
  ///   - numbers: the text, which is cut into streams of equal length.
  ///   - streams: N
  ///   - steps: T of a piece.
  /// - Throws: `RecurrentError.size` if a number is not positive.
  public init(_ numbers: [Int], streams: Int, steps: Int) throws(RecurrentError) {
    _ = try checkedCount(("streams", streams), ("steps", steps))
    self.numbers = numbers
    self.streams = streams
    self.steps = steps
    length = max(0, numbers.count - 1) / streams
  }

  /// The number of pieces until the streams end. The last piece may be shorter.
  public var count: Int { length / steps + (length % steps == 0 ? 0 : 1) }

  /// The next piece of every stream; nil after the streams' end.
  public mutating func next() -> Batch? {
    let taken = min(steps, length - position)
    guard taken > 0 else { return nil }
    var batch = Batch(inputs: [], targets: [], steps: taken, streams: streams)
    for step in position..<position + taken {
      for stream in 0..<streams {
        batch.inputs.append(numbers[stream * length + step])
        batch.targets.append(numbers[stream * length + step + 1])
      }
    }
    position += taken
    return batch
  }
}
