import Recurrent

/// Attention whose score of a key is its dot product with the query (Luong, Pham and Manning 2015, arXiv 1508.04025),
/// times 1/√C if it is scaled (Vaswani et al. 2017, arXiv 1706.03762).
///
///     let (context, trace) = try DotAttention()(AttentionInput(queries: states, memory: encoded), workspace)
///     let weights = try trace.weights.rows(sequence: 0)
///
/// The context [Tq,N,Cv] of a query is the mean of the values, weighted by the softmax of the scores; zeros from a
/// sequence's length on.
public struct DotAttention: Parameterless {
  /// Whether scores are divided by √C.
  public let isScaled: Bool
  /// Which keys a query looks at.
  public let window: AttentionWindow

  /// - Parameters:
  ///   - isScaled: whether scores are divided by √C, which keeps them small for long vectors.
  ///   - window: which keys a query looks at.
  public init(isScaled: Bool = false, window: AttentionWindow = .all) {
    self.isScaled = isScaled
    self.window = window
  }

  /// What `backward` needs.
  public struct Trace: Sendable {
    /// How well the keys fit the queries.
    public let weights: AttentionWeights
    fileprivate let input: AttentionInput
  }

  private func products(_ input: AttentionInput) throws(RecurrentError) -> AttentionProducts {
    AttentionProducts(
      products: try Products<Float>(nil), keySize: input.keys.size, valueSize: input.values.size, window: window)
  }

  private func scale(_ input: AttentionInput) -> Float { scale(keySize: input.keys.size) }

  /// What scores are multiplied by.
  func scale(keySize: Int) -> Float { isScaled ? 1 / Float(keySize).squareRoot() : 1 }
}

extension DotAttention: Module {
  public func forward(
    _ input: AttentionInput, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, Trace) {
    guard input.queries.size == input.keys.size else {
      throw .size(
        name: "the size of the queries", was: input.queries.size, expected: "\(input.keys.size), the size of the keys")
    }
    try window.check(input)
    let call = try AttentionCall(input, products(input))
    var weights: AttentionWeights?
    let context = try call.contexts(input) { y in
      weights = withValues(input.queries, input.keys, input.values) { q, k, v in
        call.dotForward(q: q, k: k, v: v, scale: scale(input), into: y, workspace.scratch)
      }
    }
    return (context, Trace(weights: weights!, input: input))
  }

  public func backward(
    _ dy: Sequences<Float>, _ trace: Trace, into gradients: inout Gradients<DotAttention>, _ workspace: Workspace
  ) throws(RecurrentError) -> AttentionGradient {
    let input = trace.input, call = trace.weights.call
    try checkCount(
      "dy", dy.values.count, is: call.querySteps * call.batchSize * input.values.size, "Tq·N·the size of the values")
    return try call.gradients(input, querySize: input.queries.size, keySize: input.keys.size) { dq, dk, dv in
      dy.values.withUnsafeBufferPointer { dy in
        withValues(input.queries, input.keys, input.values) { q, k, v in
          call.dotBackward(
            trace.weights, q: q, k: k, v: v, scale: scale(input), dy: dy.baseAddress!, dq: dq, dk: dk, dv: dv,
            workspace.scratch)
        }
      }
    }
  }
}
