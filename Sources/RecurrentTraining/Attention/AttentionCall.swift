import Recurrent

/// The weights that the queries of a call give to the keys: each query's weights sum to 1 over the keys that it looks
/// at, or to less in a `PredictiveAttention`.
public struct AttentionWeights: Sendable {
  /// [N][heads][Tq][whole panels of Tk]. Each head uses the first scalars of its part, as [Q][whole panels of K], where
  /// Q and K are its own sequence's lengths.
  let buffer: AlignedBuffer<Float>
  let call: AttentionCall

  /// The weights [Q][K] of a sequence's steps.
  ///
  /// - Parameters:
  ///   - sequence: 0 to N - 1.
  ///   - head: 0 for an attention with one head.
  /// - Throws: `RecurrentError.size` if there is no such sequence or head.
  public func rows(sequence: Int, head: Int = 0) throws(RecurrentError) -> [[Float]] {
    for (name, value, count) in [("sequence", sequence, call.batchSize), ("head", head, call.heads)]
    where !(0..<count).contains(value) {
      throw .size(name: name, was: value, expected: "0 to \(count - 1)")
    }
    let queries = call.queries(sequence), keys = call.keys(sequence), start = start(sequence, head)
    return (0..<queries).map { query in
      let row = start + query * call.products.rowStride(keys: keys)
      return (0..<keys).map { row[$0] }
    }
  }

  func start(_ sequence: Int, _ head: Int) -> UnsafeMutablePointer<Float> {
    buffer.start + (sequence * call.heads + head) * call.weightCount
  }
}

/// The shape of a call, and the loop over its sequences and heads.
struct AttentionCall: Sendable {
  let products: AttentionProducts
  let heads: Int
  /// Tq
  let querySteps: Int
  /// Tk
  let keySteps: Int
  let batchSize: Int
  private let queryLengths: [Int]?
  private let keyLengths: [Int]?

  /// - Throws: `RecurrentError` if the weights of all sequences are more than memory holds.
  init(_ input: AttentionInput, heads: Int = 1, _ products: AttentionProducts) throws(RecurrentError) {
    self.products = products
    self.heads = heads
    querySteps = input.queries.steps
    keySteps = input.keys.steps
    batchSize = input.queries.batchSize
    queryLengths = input.queries.lengths
    keyLengths = input.keys.lengths
    _ = try checkedCount(
      ("batchSize", batchSize), ("heads", heads), ("steps of the queries", querySteps),
      ("steps of the keys", products.rowStride(keys: keySteps)))
  }

  /// Q, the number of a sequence's queries.
  func queries(_ sequence: Int) -> Int { queryLengths?[sequence] ?? querySteps }
  /// K, the number of its keys.
  func keys(_ sequence: Int) -> Int { keyLengths?[sequence] ?? keySteps }

  /// The scalars of one head's weights.
  fileprivate var weightCount: Int { querySteps * products.rowStride(keys: keySteps) }

  func newWeights() -> AttentionWeights {
    AttentionWeights(buffer: AlignedBuffer(count: batchSize * heads * weightCount), call: self)
  }

  /// The contexts [Tq,N,heads·v], which `body` writes. Padding is 0.
  func contexts(
    _ input: AttentionInput, _ body: (UnsafeMutablePointer<Float>) -> Void
  ) throws(RecurrentError) -> Sequences<Float> {
    try Sequences(
      steps: querySteps, batchSize: batchSize, size: input.values.size, lengths: input.queries.lengths
    ) { body($0.baseAddress!) }
  }

  /// The gradients of queries [Tq,N,querySize], keys [Tk,N,keySize] and values [Tk,N,heads·v], which `body` writes.
  /// Padding is 0.
  func gradients(
    _ input: AttentionInput, querySize: Int, keySize: Int,
    _ body: (
      _ dq: UnsafeMutablePointer<Float>, _ dk: UnsafeMutablePointer<Float>, _ dv: UnsafeMutablePointer<Float>
    ) -> Void
  ) throws(RecurrentError) -> AttentionGradient {
    let inputs = [input.queries, input.keys, input.values], writesAll = inputs.allSatisfy { $0.lengths == nil }
    func make(
      _ index: Int, size: Int, _ body: (UnsafeMutablePointer<Float>) throws(RecurrentError) -> Void
    ) throws(RecurrentError) -> Sequences<Float> {
      let x = inputs[index]
      return try Sequences(
        steps: x.steps, batchSize: batchSize, size: size, lengths: x.lengths, writesAll: writesAll
      ) { d throws(RecurrentError) in try body(d.baseAddress!) }
    }
    var keys: Sequences<Float>?, values: Sequences<Float>?
    let queries = try make(0, size: querySize) { dq throws(RecurrentError) in
      keys = try make(1, size: keySize) { dk throws(RecurrentError) in
        values = try make(2, size: input.values.size) { dv in body(dq, dk, dv) }
      }
    }
    return AttentionGradient(queries: queries, keys: keys!, values: values!)
  }

  /// The rows of a sequence and head in [T,N,heads·size].
  func matrix(
    _ start: UnsafePointer<Float>, _ sequence: Int, _ head: Int, size: Int
  ) -> AttentionMatrix {
    AttentionMatrix(start + (sequence * heads + head) * size, stride: batchSize * heads * size)
  }

  /// Calls `body` for each sequence and head that has queries, on the threads of the scratch.
  func forEach(
    _ scratch: Scratch<Float>,
    _ body: (_ sequence: Int, _ head: Int, _ pieces: AttentionProducts.Pieces) -> Void
  ) {
    let pool = scratch.threads
    let pieces = scratch.carve { arena in
      (0..<(pool?.count ?? 1)).map { _ in products.pieces(queries: querySteps, keys: keySteps, &arena) }
    }
    withoutActuallyEscaping(body) { body in
      let work = AttentionWork(call: self, pieces: pieces, body: body)
      if let pool { pool.run(work) } else { work.run(.whole) }
    }
  }
}

/// The sequences and heads of a call, divided among threads.
private struct AttentionWork: SharedWork {
  let call: AttentionCall
  /// One for each thread.
  let pieces: [AttentionProducts.Pieces]
  let body: (_ sequence: Int, _ head: Int, _ pieces: AttentionProducts.Pieces) -> Void

  func run(_ share: Share) {
    for index in share.range(of: call.batchSize * call.heads) where call.queries(index / call.heads) > 0 {
      body(index / call.heads, index % call.heads, pieces[share.index])
    }
  }
}

extension AttentionCall {
  /// The contexts [Tq,N,heads·v] of queries [Tq,N,heads·d], keys [Tk,N,heads·d] and values [Tk,N,heads·v], by dot
  /// scores.
  func dotForward(
    q: UnsafePointer<Float>, k: UnsafePointer<Float>, v: UnsafePointer<Float>, scale: Float,
    into y: UnsafeMutablePointer<Float>, _ scratch: Scratch<Float>
  ) -> AttentionWeights {
    let weights = newWeights(), keySize = products.keySize, valueSize = products.valueSize
    forEach(scratch) { sequence, head, pieces in
      let queries = queries(sequence), keys = keys(sequence), start = weights.start(sequence, head)
      products.dotScores(
        matrix(q, sequence, head, size: keySize), queries: queries, matrix(k, sequence, head, size: keySize),
        keys: keys, scale: scale, into: start, pieces)
      products.normalize(start, queries: queries, keys: keys) { products.window.range(query: $0, keys: keys) }
      products.sum(
        start, queries: queries, matrix(v, sequence, head, size: valueSize), keys: keys,
        into: matrix(y, sequence, head, size: valueSize), pieces)
    }
    return weights
  }

  /// The gradients through `dotForward`. What lies behind the lengths is not written.
  func dotBackward(
    _ weights: AttentionWeights, q: UnsafePointer<Float>, k: UnsafePointer<Float>, v: UnsafePointer<Float>,
    scale: Float, dy: UnsafePointer<Float>, dq: UnsafeMutablePointer<Float>, dk: UnsafeMutablePointer<Float>,
    dv: UnsafeMutablePointer<Float>, _ scratch: Scratch<Float>
  ) {
    let keySize = products.keySize, valueSize = products.valueSize
    forEach(scratch) { sequence, head, pieces in
      let queries = queries(sequence), keys = keys(sequence)
      products.scoreGradients(
        weights.start(sequence, head), queries: queries, matrix(v, sequence, head, size: valueSize), keys: keys,
        scale: scale, dy: matrix(dy, sequence, head, size: valueSize),
        dValues: matrix(dv, sequence, head, size: valueSize), pieces)
      products.dotGradients(
        matrix(q, sequence, head, size: keySize), queries: queries, matrix(k, sequence, head, size: keySize),
        keys: keys, dQueries: matrix(dq, sequence, head, size: keySize),
        dKeys: matrix(dk, sequence, head, size: keySize), pieces)
    }
  }
}
