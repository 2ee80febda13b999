import Recurrent

/// What an attention reads. Each step of the queries compares itself with the steps of the keys, and sums up the values
/// of those steps by how well they fit.
public struct AttentionInput: Sendable {
  /// [Tq,N,·]
  public let queries: Sequences<Float>
  /// [Tk,N,·]. Steps from a sequence's length on are never looked at.
  public let keys: Sequences<Float>
  /// [Tk,N,·]
  public let values: Sequences<Float>

  /// - Throws: `RecurrentError` if there are not as many sequences of each, not as many values as keys, or if a
  ///   sequence with queries has no key.
  public init(
    queries: Sequences<Float>, keys: Sequences<Float>, values: Sequences<Float>
  ) throws(RecurrentError) {
    self.queries = queries
    self.keys = keys
    self.values = values
    for (name, source) in [("keys", keys), ("values", values)] where source.batchSize != queries.batchSize {
      throw .size(
        name: "the number of sequences of the \(name)", was: source.batchSize,
        expected: "\(queries.batchSize), as of the queries")
    }
    guard values.steps == keys.steps else {
      throw .size(name: "the number of values", was: values.steps, expected: "\(keys.steps), the number of keys")
    }
    for sequence in 0..<queries.batchSize where queries.length(sequence) > 0 && keys.length(sequence) == 0 {
      throw .size(
        name: "the number of keys of sequence \(sequence)", was: 0, expected: "at least 1: the source is empty")
    }
    for sequence in 0..<queries.batchSize where values.length(sequence) < keys.length(sequence) {
      throw .size(
        name: "the number of values of sequence \(sequence)", was: values.length(sequence),
        expected: "at least \(keys.length(sequence)), the number of its keys")
    }
  }

  /// Queries that look at a memory, such as the outputs of an encoder: keys and values are the same.
  ///
  /// - Throws: `RecurrentError` if there are not as many sequences, or if a sequence with queries has an empty
  ///   memory.
  public init(queries: Sequences<Float>, memory: Sequences<Float>) throws(RecurrentError) {
    try self.init(queries: queries, keys: memory, values: memory)
  }

  /// Self-attention: each step of a sequence looks at its own sequence.
  public init(_ x: Sequences<Float>) { (queries, keys, values) = (x, x, x) }
}

extension AttentionInput: Differentiable {
  /// The gradients of queries, keys and values.
  public typealias Gradient = AttentionGradient
}

/// The gradients of what an attention has read.
public struct AttentionGradient: Sendable {
  /// [Tq,N,·]
  public var queries: Sequences<Float>
  /// [Tk,N,·]
  public var keys: Sequences<Float>
  /// [Tk,N,·]
  public var values: Sequences<Float>

  /// That of a memory, whose steps were both keys and values.
  ///
  /// - Throws: `RecurrentError` if keys and values have not the same size.
  public var memory: Sequences<Float> {
    get throws(RecurrentError) { try keys.adding(values) }
  }

  /// That of x in self-attention.
  ///
  /// - Throws: `RecurrentError` if the three have not the same shape.
  public var x: Sequences<Float> {
    get throws(RecurrentError) { try queries.adding(keys).adding(values) }
  }
}

/// Calls `body` with the values of queries, keys and values.
func withValues<Result>(
  _ queries: Sequences<Float>, _ keys: Sequences<Float>, _ values: Sequences<Float>,
  _ body: (
    _ queries: UnsafePointer<Float>, _ keys: UnsafePointer<Float>, _ values: UnsafePointer<Float>
  ) -> Result
) -> Result {
  queries.values.withUnsafeBufferPointer { queries in
    keys.values.withUnsafeBufferPointer { keys in
      values.values.withUnsafeBufferPointer { values in
        body(queries.baseAddress!, keys.baseAddress!, values.baseAddress!)
      }
    }
  }
}

extension Sequences<Float> {
  /// Adds gradients of the same shape.
  mutating func add(_ other: Sequences<Float>) throws(RecurrentError) {
    guard other.steps == steps, other.batchSize == batchSize, other.size == size else {
      throw .shape(name: "the gradients", was: "\(other)", expected: "\(self), as the first one")
    }
    other.values.withUnsafeBufferPointer { values in
      withMutableValues { sum in for index in sum.indices { sum[index] += values[index] } }
    }
  }

  /// The sum of two gradients of the same shape.
  func adding(_ other: Sequences<Float>) throws(RecurrentError) -> Sequences<Float> {
    var sum = self
    try sum.add(other)
    return sum
  }
}

/// Which keys a query looks at.
public enum AttentionWindow: Sendable, Equatable {
  /// All of its sequence.
  case all
  /// Those of its own step and of earlier ones, as a decoder's self-attention does (a causal mask).
  case past
  /// Those at most so many steps before or after its own step: local attention that moves step by step, local-m of
  /// Luong, Pham and Manning 2015 (arXiv 1508.04025).
  case around(Int)

  /// The keys that a query looks at.
  func range(query: Int, keys: Int) -> Range<Int> {
    switch self {
    case .all: 0..<keys
    case .past: 0..<min(query + 1, keys)
    case .around(let distance): max(0, min(query - distance, keys))..<min(query + distance + 1, keys)
    }
  }

  /// - Throws: `RecurrentError` if the window is negative, or too wide to count its steps.
  func checkDistance() throws(RecurrentError) {
    guard case .around(let distance) = self else { return }
    guard (0...1 << 40).contains(distance) else {
      throw .size(name: "the window's distance", was: distance, expected: "0 to \(1 << 40) steps")
    }
  }

  /// - Throws: `RecurrentError` if the window is negative, or if a query has no key in it.
  func check(_ input: AttentionInput) throws(RecurrentError) {
    try checkDistance()
    guard case .around(let distance) = self else { return }
    for sequence in 0..<input.queries.batchSize {
      let last = input.queries.length(sequence) - 1, keys = input.keys.length(sequence)
      guard last < 0 || !range(query: last, keys: keys).isEmpty else {
        throw .size(
          name: "the last query's step in sequence \(sequence)", was: last,
          expected: "less than \(keys + distance): "
            + "the window of \(distance) steps to each side must contain one of the \(keys) keys")
      }
    }
  }
}
