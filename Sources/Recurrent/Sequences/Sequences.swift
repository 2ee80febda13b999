/// A batch of sequences of one length, time-major: `values` is [T,N,size], the rightmost dimension contiguous.
public struct Sequences<Scalar: RecurrentScalar>: Sendable, Equatable {
  /// T
  public let steps: Int
  /// N
  public let batchSize: Int
  /// C of an input; of an output H, or 2·H of both directions.
  public let size: Int
  /// [T,N,size]
  public private(set) var values: [Scalar]

  /// - Parameters:
  ///   - values: [T,N,size]; zeros where it is nil.
  ///   - steps: T, at least 1.
  ///   - batchSize: N, at least 1.
  ///   - size: features of one step of one sequence, at least 1.
  /// - Throws: `RecurrentError` if a size is not positive or `values` has another count.
  public init(_ values: [Scalar]? = nil, steps: Int, batchSize: Int, size: Int) throws(RecurrentError) {
    let count = try checkedCount(
      ("steps", steps), ("batchSize", batchSize), ("size", size), scalarBytes: MemoryLayout<Scalar>.size)
    self.steps = steps
    self.batchSize = batchSize
    self.size = size
    if let values {
      try checkCount("values", values.count, is: count, "steps·batchSize·size")
      self.values = values
    } else {
      self.values = Array(repeating: 0, count: count)
    }
  }

  /// The features of one sequence at one step. Both numbers must exist.
  public subscript(step: Int, sequence: Int) -> ArraySlice<Scalar> {
    precondition((0..<steps).contains(step) && (0..<batchSize).contains(sequence))
    let first = (step * batchSize + sequence) * size
    return values[first..<first + size]
  }

  /// Changes values in place; their count stays.
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

/// The state of a layer between two steps.
public struct State<Scalar: RecurrentScalar>: Sendable, Equatable {
  /// [L·D,N,H], level by level, forward before reverse
  public var h: [Scalar]
  /// [L·D,N,H] of an LSTM, empty for other cells.
  public var c: [Scalar]

  /// - Parameters:
  ///   - h: [L·D,N,H]
  ///   - c: [L·D,N,H] of an LSTM, empty for other cells.
  public init(h: [Scalar], c: [Scalar] = []) {
    self.h = h
    self.c = c
  }
}

extension State: CustomStringConvertible {
  /// How many values h and c have.
  public var description: String { "State, h of \(counted(h.count, "value"))" + (c.isEmpty ? "" : ", c of \(c.count)") }
}

/// The gradient of a state. It is a type of its own, so that a state cannot be passed as a gradient.
public struct StateGradient<Scalar: RecurrentScalar>: Sendable, Equatable {
  /// The gradient of h, [L·D,N,H], level by level, forward before reverse.
  public var dh: [Scalar]
  /// The gradient of c, [L·D,N,H] of an LSTM, empty for other cells.
  public var dc: [Scalar]

  /// - Parameters:
  ///   - dh: [L·D,N,H]
  ///   - dc: [L·D,N,H] of an LSTM, empty for other cells.
  public init(dh: [Scalar], dc: [Scalar] = []) {
    self.dh = dh
    self.dc = dc
  }
}

extension StateGradient: CustomStringConvertible {
  /// How many values dh and dc have.
  public var description: String {
    "StateGradient, dh of \(counted(dh.count, "value"))" + (dc.isEmpty ? "" : ", dc of \(dc.count)")
  }
}
