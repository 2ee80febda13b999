import Recurrent

/// What a decoder computes from its h and from what it looks at: y = tanh(W·[context; h] + b) (Luong, Pham and Manning
/// 2015, arXiv 1508.04025). The queries of the attention are h.
public struct AttentionalOutput: Sendable, Composite {
  /// The attention under the name `score`, and combine.weight [H,C+H] with combine.bias [H].
  public static let parts: [Part<AttentionalOutput>] = [Part("score", \.attention), Part("combine", \.combine)]
  /// Computes the context, a weighted mean of the memory's steps.
  public internal(set) var attention: Attention
  /// W [H,C+H] and b [H]. The context comes before h.
  public internal(set) var combine: Dense

  /// - Parameters:
  ///   - attention: compares h with the memory.
  ///   - querySize: H
  ///   - memorySize: C
  ///   - seed: equal seeds give equal modules.
  /// - Throws: `RecurrentError` if a size is not positive, or if it does not fit the attention.
  public init(_ attention: Attention, querySize: Int, memorySize: Int, seed: UInt64) throws(RecurrentError) {
    var fitting = (query: querySize, memory: memorySize)
    switch attention {
    case .dot: fitting.memory = querySize
    case .general(let attention): fitting = (attention.querySize, attention.keySize)
    case .additive(let attention): fitting = (attention.querySize, attention.keySize)
    case .predictive(let attention): fitting = (attention.querySize, attention.keySize)
    }
    guard fitting == (querySize, memorySize) else {
      throw .value(
        name: "the attention's sizes of queries and memory", was: "\(fitting.query) and \(fitting.memory)",
        expected: "\(querySize) and \(memorySize)")
    }
    self.attention = attention
    combine = try Dense(inputSize: memorySize + querySize, outputSize: querySize, seed: seed)
  }

  /// What `backward` needs.
  public struct Trace: Sendable {
    fileprivate let attention: Attention.Trace
    fileprivate let combine: Dense.Trace
    fileprivate let y: Sequences<Float>

    /// The weights that each step gives to the memory's steps.
    public var weights: AttentionWeights { attention.weights }
  }
}

extension AttentionalOutput: Module {
  /// y [T,N,H] of h [T,N,H] and a memory [S,N,C].
  public func forward(
    _ input: AttentionInput, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, Trace) {
    let (context, attentionTrace) = try attention.forward(input, workspace)
    var (y, combineTrace) = try combine.forward(context.joined(with: input.queries.withoutPadding), workspace)
    try y.withMutableValues { values throws(RecurrentError) in try Activation.tanh.apply(to: values) }
    return (y, Trace(attention: attentionTrace, combine: combineTrace, y: y))
  }

  public func backward(
    _ dy: Sequences<Float>, _ trace: Trace, into gradients: inout Gradients<AttentionalOutput>, _ workspace: Workspace
  ) throws(RecurrentError) -> AttentionGradient {
    let y = trace.y
    try checkCount("dy", dy.values.count, is: y.values.count, "\(y.steps)·\(y.batchSize)·\(y.size)")
    var d = y
    d.withMutableValues { d in
      for index in d.indices { d[index] = dy.values[index] * (1 - y.values[index] * y.values[index]) }
    }
    let dJoined = try combine.backward(d, trace.combine, into: &gradients.combine, workspace)
    let contextSize = combine.inputSize - combine.outputSize
    let dContext = try dJoined.features(0..<contextSize)
    var result = try attention.backward(dContext, trace.attention, into: &gradients.attention, workspace)
    try result.queries.add(dJoined.features(contextSize..<combine.inputSize))
    return result
  }
}
