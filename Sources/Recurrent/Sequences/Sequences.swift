/// A batch of sequences of one length, time-major: `values` is [T,N,size], and the rightmost dimension is contiguous.
public struct Sequences<Scalar: RecurrentScalar>: Sendable, Equatable {
  /// T: the number of steps.
  public let steps: Int
  /// N: the number of sequences.
  public let batchSize: Int
  /// The number of features: C for an input; H for an output, or 2·H if the layer is bidirectional.
  public let size: Int
  /// [T,N,size]
  public private(set) var values: [Scalar]
  /// [N], each 0 ... T: how many steps each sequence has; nil if all have T steps. What lies behind a sequence's length
  /// is padding, which layers ignore. The outputs of a layer have the lengths of its input.
  public let lengths: [Int]?

  /// - Parameters:
  ///   - values: [T,N,size]; nil means zeros.
  ///   - steps: T, at least 1.
  ///   - batchSize: N, at least 1.
  ///   - size: the number of features of one step of one sequence, at least 1.
  ///   - lengths: [N], each 0 ... T; nil if all sequences have T steps.
  /// - Throws: `RecurrentError` if a size is not positive, `values` or `lengths` has another count, or a length is out
  ///   of its range.
  public init(
    _ values: [Scalar]? = nil, steps: Int, batchSize: Int, size: Int, lengths: [Int]? = nil
  ) throws(RecurrentError) {
    let count = try checkedCount(
      ("steps", steps), ("batchSize", batchSize), ("size", size), scalarBytes: MemoryLayout<Scalar>.size)
    self.steps = steps
    self.batchSize = batchSize
    self.size = size
    if let lengths { try checkLengths(lengths.span, steps: steps, batchSize: batchSize) }
    self.lengths = lengths
    if let values {
      try checkCount("values", values.count, is: count, "steps·batchSize·size")
      self.values = values
    } else {
      self.values = Array(repeating: 0, count: count)
    }
  }

  /// The features of one sequence at one step. The step and the sequence must exist.
  public subscript(step: Int, sequence: Int) -> ArraySlice<Scalar> {
    precondition((0..<steps).contains(step) && (0..<batchSize).contains(sequence))
    let first = (step * batchSize + sequence) * size
    return values[first..<first + size]
  }

  /// Changes the values in place. Their count cannot change.
  public mutating func withMutableValues<Result, Failure: Error>(
    _ body: (UnsafeMutableBufferPointer<Scalar>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try values.withUnsafeMutableBufferPointer { values throws(Failure) in try body(values) }
  }
}

extension Sequences: CustomStringConvertible {
  /// The shape [T,N,size].
  public var description: String { "Sequences [\(steps), \(batchSize), \(size)]" }
}
