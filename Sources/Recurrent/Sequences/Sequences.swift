#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

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
      self.values = zeros(count)
    }
  }

  /// Sequences whose values `body` writes. If it writes all of them, they are not filled with zeros before.
  ///
  /// - Parameters:
  ///   - writesAll: whether `body` writes every value; if not, all are 0 before it runs. By default, true if there are
  ///     no lengths; otherwise `body` need not write padding.
  ///   - body: gets [T,N,size].
  /// - Throws: `RecurrentError` as the other initializer does, and what the body throws.
  package init(
    steps: Int, batchSize: Int, size: Int, lengths: [Int]?, writesAll: Bool? = nil,
    _ body: (UnsafeMutableBufferPointer<Scalar>) throws(RecurrentError) -> Void
  ) throws(RecurrentError) {
    let count = try checkedCount(
      ("steps", steps), ("batchSize", batchSize), ("size", size), scalarBytes: MemoryLayout<Scalar>.size)
    var failure: RecurrentError?
    let values = [Scalar](unsafeUninitializedCapacity: count) { values, written in
      if !(writesAll ?? (lengths == nil)) { memset(values.baseAddress!, 0, count * MemoryLayout<Scalar>.stride) }
      written = count
      do throws(RecurrentError) {
        try body(UnsafeMutableBufferPointer(rebasing: values[..<count]))
      } catch { failure = error }
    }
    if let failure { throw failure }
    try self.init(values, steps: steps, batchSize: batchSize, size: size, lengths: lengths)
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

/// An array of zeros. In code for any scalar, `Array(repeating:count:)` would call a function for each of them.
func zeros<Scalar: RecurrentScalar>(_ count: Int) -> [Scalar] {
  Array(unsafeUninitializedCapacity: count) { values, written in
    if count > 0 { memset(values.baseAddress!, 0, count * MemoryLayout<Scalar>.stride) }
    written = count
  }
}
