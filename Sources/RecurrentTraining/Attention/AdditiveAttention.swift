import CRecurrentKernels
import Recurrent

/// Attention whose score of a key is v·tanh(Wq·query + Wk·key) (Bahdanau, Cho and Bengio 2015, arXiv 1409.0473).
/// Queries and keys may have different sizes.
public struct AdditiveAttention: Sendable, Composite {
  /// query.weight [A,Cq], key.weight [A,Ck] and score.weight [1,A], as of three `Linear` of PyTorch without biases.
  public static let parts: [Part<AdditiveAttention>] = [
    Part("query.weight", \.queryWeight) { [$0.size, $0.querySize] },
    Part("key.weight", \.keyWeight) { [$0.size, $0.keySize] }, Part("score.weight", \.scoreWeight) { [1, $0.size] },
  ]
  /// Cq
  public let querySize: Int
  /// Ck
  public let keySize: Int
  /// A: the number of values that queries and keys are compared by.
  public let size: Int
  /// Which keys a query looks at.
  public let window: AttentionWindow
  /// Wq [A,Cq]
  public var queryWeight: [Float]
  /// Wk [A,Ck]
  public var keyWeight: [Float]
  /// v [A]
  public var scoreWeight: [Float]
  private let queryLinear: Linear
  private let keyLinear: Linear
  private let products: Products<Float>

  /// The weights are uniform in ±1/√(their inputs), as PyTorch draws them for a `Linear`.
  ///
  /// - Parameters:
  ///   - querySize: Cq
  ///   - keySize: Ck
  ///   - size: A
  ///   - window: which keys a query looks at.
  ///   - seed: equal seeds give equal modules.
  /// - Throws: `RecurrentError` if a size is not positive.
  public init(
    querySize: Int, keySize: Int, size: Int, window: AttentionWindow = .all, seed: UInt64
  ) throws(RecurrentError) {
    self.querySize = querySize
    self.keySize = keySize
    self.size = size
    self.window = window
    queryWeight = try Dense(inputSize: querySize, outputSize: size, seed: seed).weight
    keyWeight = try Dense(inputSize: keySize, outputSize: size, seed: seed &+ 1).weight
    scoreWeight = try Dense(inputSize: size, outputSize: 1, seed: seed &+ 2).weight
    queryLinear = try Linear(inputSize: querySize, outputSize: size)
    keyLinear = try Linear(inputSize: keySize, outputSize: size)
    products = try Products<Float>(nil)
  }

  /// What `backward` needs.
  public struct Trace: Sendable {
    /// How well the keys fit the queries.
    public let weights: AttentionWeights
    fileprivate let input: AttentionInput
    /// Wq·queries [Tq,N,A] and Wk·keys [Tk,N,A].
    fileprivate let queries: Sequences<Float>
    fileprivate let keys: Sequences<Float>
  }

  private func products(_ input: AttentionInput) -> AttentionProducts {
    AttentionProducts(products: products, keySize: size, valueSize: input.values.size, window: window)
  }

  /// Wq, packed for the queries of a stream.
  func packedQuery(rows: Int) throws(RecurrentError) -> PackedLinear {
    try checkCount("score.weight", scoreWeight.count, is: size, "1·\(size)")
    return try PackedLinear(queryLinear, weight: queryWeight, bias: nil, rows: rows)
  }

  /// Wk·keys [Tk,N,A]
  func projectedKeys(_ keys: Sequences<Float>, _ scratch: Scratch<Float>) throws(RecurrentError) -> Sequences<Float> {
    try keyLinear.rows(of: keys, "keys", ("key.weight", keyWeight[...]), scratch)
  }

  /// The scores of a query's keys in a range.
  ///
  /// - Parameters:
  ///   - q: [A], Wq·query.
  ///   - k: [keys][A], Wk·keys.
  ///   - hidden: as many as `hiddenCount` says, overwritten.
  ///   - scores: [keys], overwritten in the range.
  func scores(
    of q: UnsafePointer<Float>, _ k: AttentionMatrix, _ range: Range<Int>, hidden: UnsafeMutablePointer<Float>,
    into scores: UnsafeMutablePointer<Float>
  ) {
    forEachPart(q, k, range, hidden: hidden) { first, rows in
      withUnsafePointer(to: rows) { additive_scores(products.set, $0, scores + first) }
    }
  }

  /// Computes tanh(q + k) of some keys at a time, so that it stays in the first cache.
  ///
  /// - Parameter body: gets the first of these keys.
  private func forEachPart(
    _ q: UnsafePointer<Float>, _ k: AttentionMatrix, _ range: Range<Int>, hidden: UnsafeMutablePointer<Float>,
    _ body: (_ first: Int, _ rows: additive_rows) -> Void
  ) {
    let some = keysAtOnce
    scoreWeight.withUnsafeBufferPointer { scoreWeight in
      for first in stride(from: range.lowerBound, to: range.upperBound, by: some) {
        var rows = additive_rows(
          query: q, keys: k.row(first), key_stride: k.stride, score_weight: scoreWeight.baseAddress!, hidden: hidden,
          count: min(some, range.upperBound - first), size: size)
        additive_sums(products.set, &rows)
        // The instruction set exists: the products have it too.
        try? Activation.tanh.apply(to: UnsafeMutableBufferPointer(start: hidden, count: rows.count * size))
        body(first, rows)
      }
    }
  }

  private var keysAtOnce: Int { max(1, 4096 / size) }

  /// The scalars of `hidden` that the scores of some keys need.
  func hiddenCount(keys: Int) -> Int { min(keys, keysAtOnce) * size }
}

extension AdditiveAttention: Module {
  /// The contexts [Tq,N,Cv].
  public func forward(
    _ input: AttentionInput, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, Trace) {
    try workspace.naming(self) { () throws(RecurrentError) in
      try checkCount("score.weight", scoreWeight.count, is: size, "1·\(size)")
      try window.check(input)
      let products = products(input), call = try AttentionCall(input, products), weights = call.newWeights()
      let queries = try queryLinear.rows(
        of: input.queries, "queries", ("query.weight", queryWeight[...]), workspace.scratch)
      let keys = try projectedKeys(input.keys, workspace.scratch)
      let context = try call.contexts(input) { y in
        withValues(queries, keys, input.values) { q, k, v in
          call.forEach(workspace.scratch) { sequence, _, pieces in
            let count = call.keys(sequence), start = weights.start(sequence, 0)
            let q = call.matrix(q, sequence, 0, size: size), k = call.matrix(k, sequence, 0, size: size)
            let hidden = AlignedBuffer<Float>(count: hiddenCount(keys: count))
            for query in 0..<call.queries(sequence) {
              scores(
                of: q.row(query), k, window.range(query: query, keys: count), hidden: hidden.start,
                into: products.matrix(start, keys: count).row(query))
            }
            products.normalize(start, queries: call.queries(sequence), keys: count) {
              window.range(query: $0, keys: count)
            }
            products.sum(
              start, queries: call.queries(sequence), call.matrix(v, sequence, 0, size: input.values.size),
              keys: count, into: call.matrix(y, sequence, 0, size: input.values.size), pieces)
          }
        }
      }
      return (context, Trace(weights: weights, input: input, queries: queries, keys: keys))
    }
  }

  public func backward(
    _ dy: Sequences<Float>, _ trace: Trace, into gradients: inout Gradients<AdditiveAttention>, _ workspace: Workspace
  ) throws(RecurrentError) -> AttentionGradient {
    let input = trace.input, call = trace.weights.call, products = call.products
    try inPart(gradients.name) { () throws(RecurrentError) in
      try checkCount(
        "gradients", gradients.list.count, is: size * (querySize + keySize + 1),
        "\(size)·(\(querySize) + \(keySize) + 1)")
      try checkCount("score.weight", scoreWeight.count, is: size, "1·\(size)")
      guard trace.queries.size == size, trace.keys.size == size else {
        throw .size(name: "the size of the trace", was: trace.queries.size, expected: "\(size), that of this module")
      }
    }
    try checkCount(
      "dy", dy.values.count, is: call.querySteps * call.batchSize * input.values.size, "Tq·N·the size of the values")
    // [N][A]: each sequence has its own sum, so that the order of the additions does not depend on threads.
    let dScore = AlignedBuffer<Float>(count: call.batchSize * size)
    let d = try call.gradients(input, querySize: size, keySize: size) { dq, dk, dv in
      dy.values.withUnsafeBufferPointer { dy in
        withValues(trace.queries, trace.keys, input.values) { q, k, v in
          call.forEach(workspace.scratch) { sequence, _, pieces in
            let count = call.keys(sequence), queries = call.queries(sequence), valueSize = input.values.size
            products.scoreGradients(
              trace.weights.start(sequence, 0), queries: queries, call.matrix(v, sequence, 0, size: valueSize),
              keys: count, scale: 1, dy: call.matrix(dy.baseAddress!, sequence, 0, size: valueSize),
              dValues: call.matrix(dv, sequence, 0, size: valueSize), pieces)
            let q = call.matrix(q, sequence, 0, size: size), k = call.matrix(k, sequence, 0, size: size)
            let dq = call.matrix(dq, sequence, 0, size: size), dk = call.matrix(dk, sequence, 0, size: size)
            for query in 0..<queries { dq.row(query).update(repeating: 0, count: size) }
            for key in 0..<count { dk.row(key).update(repeating: 0, count: size) }
            let hidden = AlignedBuffer<Float>(count: hiddenCount(keys: count))
            for query in 0..<queries {
              let d = products.matrix(pieces.dWeights, keys: count).row(query)
              forEachPart(
                q.row(query), k, window.range(query: query, keys: count), hidden: hidden.start
              ) { first, rows in
                withUnsafePointer(to: rows) {
                  additive_gradients(
                    products.products.set, $0, d + first, dq.row(query), dk.row(first),
                    dScore.start + sequence * size)
                }
              }
            }
          }
        }
      }
    }
    let (dQueries, dKeys) = try gradients.withMutableValues { gradients throws(RecurrentError) in
      let start = gradients.baseAddress!, dKeyWeight = start + size * querySize
      for sequence in 0..<call.batchSize {
        for index in 0..<size {
          dKeyWeight[size * keySize + index] += dScore.start[sequence * size + index]
        }
      }
      return (
        try queryLinear.rowGradients(
          of: input.queries.withoutPadding, d.queries, ("query.weight", queryWeight[...]), into: start,
          workspace.scratch),
        try keyLinear.rowGradients(
          of: input.keys.withoutPadding, d.keys, ("key.weight", keyWeight[...]), into: dKeyWeight, workspace.scratch)
      )
    }
    return AttentionGradient(queries: dQueries, keys: dKeys, values: d.values)
  }
}
