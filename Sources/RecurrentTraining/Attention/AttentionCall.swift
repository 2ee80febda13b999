import Recurrent

/// The weights that the queries of a call give to the keys: each query's weights sum to 1 over the keys that it looks
/// at, or to less in a `PredictiveAttention`.
public struct AttentionWeights: Sendable {
  /// [N][heads][Tq·Tk]. A head's weights come first among its scalars, [Q][K] by the sequence's own lengths.
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
    return (0..<queries).map { query in (0..<keys).map { start[query * keys + $0] } }
  }

  func start(_ sequence: Int, _ head: Int) -> UnsafeMutablePointer<Float> {
    buffer.start + (sequence * call.heads + head) * call.querySteps * call.keySteps
  }
}

/// The shape of a call, and the loop over its sequences and heads.
struct AttentionCall: Sendable {
  let heads: Int
  /// Tq
  let querySteps: Int
  /// Tk
  let keySteps: Int
  let batchSize: Int
  private let queryLengths: [Int]?
  private let keyLengths: [Int]?

  /// - Throws: `RecurrentError` if the weights of all sequences are more than memory holds.
  init(_ input: AttentionInput, heads: Int) throws(RecurrentError) {
    self.heads = heads
    querySteps = input.queries.steps
    keySteps = input.keys.steps
    batchSize = input.queries.batchSize
    queryLengths = input.queries.lengths
    keyLengths = input.keys.lengths
    _ = try checkedCount(
      ("batchSize", batchSize), ("heads", heads), ("steps of the queries", querySteps), ("steps of the keys", keySteps))
  }

  /// Q, the number of a sequence's queries.
  func queries(_ sequence: Int) -> Int { queryLengths?[sequence] ?? querySteps }
  /// K, the number of its keys.
  func keys(_ sequence: Int) -> Int { keyLengths?[sequence] ?? keySteps }

  func newWeights() -> AttentionWeights {
    AttentionWeights(buffer: AlignedBuffer(count: batchSize * heads * querySteps * keySteps), call: self)
  }

  /// The rows of a sequence and head in [T,N,heads·size].
  func matrix(
    _ start: UnsafePointer<Float>, _ sequence: Int, _ head: Int, size: Int
  ) -> AttentionMatrix {
    AttentionMatrix(start + (sequence * heads + head) * size, stride: batchSize * heads * size)
  }

  /// Calls `body` for each sequence and head that has queries, on the threads of the scratch.
  func forEach(
    _ products: AttentionProducts, _ scratch: Scratch<Float>,
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

extension AttentionProducts {
  /// The contexts [Tq,N,heads·v] of queries [Tq,N,heads·d], keys [Tk,N,heads·d] and values [Tk,N,heads·v], by dot scores.
  func forward(
    _ call: AttentionCall, q: UnsafePointer<Float>, k: UnsafePointer<Float>, v: UnsafePointer<Float>, scale: Float,
    into y: UnsafeMutablePointer<Float>, _ scratch: Scratch<Float>
  ) -> AttentionWeights {
    let weights = call.newWeights()
    call.forEach(self, scratch) { sequence, head, pieces in
      let queries = call.queries(sequence), keys = call.keys(sequence), start = weights.start(sequence, head)
      dotScores(
        call.matrix(q, sequence, head, size: keySize), queries: queries, call.matrix(k, sequence, head, size: keySize),
        keys: keys, scale: scale, into: start, pieces)
      normalize(start, queries: queries, keys: keys)
      sum(
        start, queries: queries, call.matrix(v, sequence, head, size: valueSize), keys: keys,
        into: call.matrix(y, sequence, head, size: valueSize), pieces)
    }
    return weights
  }

  /// The gradients through `forward`. What lies behind the lengths is not written.
  func backward(
    _ weights: AttentionWeights, q: UnsafePointer<Float>, k: UnsafePointer<Float>, v: UnsafePointer<Float>,
    scale: Float, dy: UnsafePointer<Float>, dq: UnsafeMutablePointer<Float>, dk: UnsafeMutablePointer<Float>,
    dv: UnsafeMutablePointer<Float>, _ scratch: Scratch<Float>
  ) {
    let call = weights.call
    call.forEach(self, scratch) { sequence, head, pieces in
      let queries = call.queries(sequence), keys = call.keys(sequence)
      scoreGradients(
        weights.start(sequence, head), queries: queries, call.matrix(v, sequence, head, size: valueSize), keys: keys,
        dy: call.matrix(dy, sequence, head, size: valueSize),
        dValues: call.matrix(dv, sequence, head, size: valueSize), pieces)
      dotGradients(
        call.matrix(q, sequence, head, size: keySize), queries: queries, call.matrix(k, sequence, head, size: keySize),
        keys: keys, scale: scale, dQueries: call.matrix(dq, sequence, head, size: keySize),
        dKeys: call.matrix(dk, sequence, head, size: keySize), pieces)
    }
  }
}
