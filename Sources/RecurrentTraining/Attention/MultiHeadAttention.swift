import Recurrent

/// Several attentions side by side, each on its own part of the features, with dense products before and after them
/// (Vaswani et al. 2017, arXiv 1706.03762), as PyTorch's `MultiheadAttention` with `batch_first=False`.
///
/// Queries, keys and values [T,N,E] each pass through a dense product; each head compares E/heads of their features; a
/// last product joins the heads.
public struct MultiHeadAttention: Sendable, Composite {
  /// PyTorch's names: in_proj_weight [3E,E], in_proj_bias [3E], out_proj.weight [E,E] and out_proj.bias [E].
  public static let parts: [Part<MultiHeadAttention>] = [
    Part("in_proj_weight", \.inputWeight) { [3 * $0.size, $0.size] },
    Part("in_proj_bias", \.inputBias) { [3 * $0.size] }, Part("out_proj", \.output),
  ]
  /// E
  public let size: Int
  /// The number of heads.
  public let heads: Int
  /// Which keys a query looks at.
  public let window: AttentionWindow
  /// [3E,E]: of queries, keys and values.
  public var inputWeight: [Float]
  /// [3E]
  public var inputBias: [Float]
  /// The last product.
  public var output: Dense
  private let linear: Linear
  private let products: AttentionProducts

  /// - Parameters:
  ///   - size: E, a multiple of the number of heads.
  ///   - heads: at least 1.
  ///   - window: which keys a query looks at.
  ///   - seed: equal seeds give equal modules. The input products are drawn as PyTorch draws them, uniform in
  ///     ±√(6/4E), and the biases are 0.
  /// - Throws: `RecurrentError` if a size is not positive, or if `size` is not a multiple of `heads`.
  public init(size: Int, heads: Int, window: AttentionWindow = .all, seed: UInt64) throws(RecurrentError) {
    let count = try checkedCount(("projections", 3), ("size", size), ("inputs", size))
    guard heads >= 1, size % heads == 0 else {
      throw .size(name: "heads", was: heads, expected: "at least 1, and a divisor of the size, \(size)")
    }
    self.size = size
    self.heads = heads
    self.window = window
    var random = SeededGenerator(seed: seed)
    let bound = (6 / Float(4 * size)).squareRoot()
    inputWeight = (0..<count).map { _ in Float.random(in: -bound...bound, using: &random) }
    inputBias = Array(repeating: 0, count: 3 * size)
    output = try Dense(inputSize: size, outputSize: size, seed: seed &+ 1)
    output.bias = Array(repeating: 0, count: size)
    linear = try Linear(inputSize: size, outputSize: size)
    products = AttentionProducts(
      products: try Products<Float>(nil), keySize: size / heads, valueSize: size / heads, window: window)
  }

  /// What `backward` needs.
  public struct Trace: Sendable {
    /// How well the keys fit the queries, for each head.
    public let weights: AttentionWeights
    fileprivate let input: AttentionInput
    /// Queries, keys and values after their products, each [T,N,E].
    fileprivate let projected: [Sequences<Float>]
    fileprivate let output: Dense.Trace
  }

  private var scale: Float { 1 / Float(size / heads).squareRoot() }
}

extension MultiHeadAttention: Module {
  /// y [Tq,N,E]. From a sequence's length on, its rows are the bias of the last product.
  public func forward(
    _ input: AttentionInput, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, Trace) {
    let (context, weights, projected) = try workspace.naming(self) { () throws(RecurrentError) in
      try check(input)
      let call = try AttentionCall(input, heads: heads, products)
      var projected: [Sequences<Float>] = []
      for (index, x) in [input.queries, input.keys, input.values].enumerated() {
        let bias = inputBias[index * size..<(index + 1) * size]
        projected.append(
          try linear.rows(of: x, "input", weight(index), bias: ("in_proj_bias", bias), workspace.scratch))
      }
      var weights: AttentionWeights?
      let context = try call.contexts(input) { y in
        weights = withValues(projected[0], projected[1], projected[2]) { q, k, v in
          call.dotForward(q: q, k: k, v: v, scale: scale, into: y, workspace.scratch)
        }
      }
      return (context, weights!, projected)
    }
    let (y, trace) = try output(context, workspace)
    return (y, Trace(weights: weights, input: input, projected: projected, output: trace))
  }

  public func backward(
    _ dy: Sequences<Float>, _ trace: Trace, into gradients: inout Gradients<MultiHeadAttention>, _ workspace: Workspace
  ) throws(RecurrentError) -> AttentionGradient {
    let size = size, call = trace.weights.call
    guard call.heads == heads else {
      throw .size(name: "the heads of the trace", was: call.heads, expected: "\(heads), those of this module")
    }
    try inPart(gradients.name) { () throws(RecurrentError) in
      try check(trace.input)
      try checkCount("gradients", gradients.list.count, is: 4 * size * (size + 1), "4·\(size)·(\(size) + 1)")
    }
    let dContext = try output.backward(dy, trace.output, into: &gradients.output, workspace)
    let d = try call.gradients(trace.input, querySize: size, keySize: size) { dq, dk, dv in
      dContext.values.withUnsafeBufferPointer { dContext in
        withValues(trace.projected[0], trace.projected[1], trace.projected[2]) { q, k, v in
          call.dotBackward(
            trace.weights, q: q, k: k, v: v, scale: scale, dy: dContext.baseAddress!, dq: dq, dk: dk, dv: dv,
            workspace.scratch)
        }
      }
    }
    return try gradients.withMutableValues { gradients throws(RecurrentError) in
      let start = gradients.baseAddress!
      func back(
        _ index: Int, _ x: Sequences<Float>, _ d: Sequences<Float>
      ) throws(RecurrentError) -> Sequences<Float> {
        try linear.rowGradients(
          of: x.withoutPadding, d, weight(index), into: start + index * size * size,
          bias: start + 3 * size * size + index * size, workspace.scratch)
      }
      return AttentionGradient(
        queries: try back(0, trace.input.queries, d.queries), keys: try back(1, trace.input.keys, d.keys),
        values: try back(2, trace.input.values, d.values))
    }
  }

  /// The weight [E,E] of queries (0), keys (1) or values (2).
  private func weight(_ index: Int) -> Linear.Named {
    ("in_proj_weight", inputWeight[index * size * size..<(index + 1) * size * size])
  }

  private func check(_ input: AttentionInput) throws(RecurrentError) {
    for (name, x) in [("queries", input.queries), ("keys", input.keys), ("values", input.values)] where x.size != size {
      throw .size(name: "the size of the \(name)", was: x.size, expected: "\(size), the size of the attention")
    }
    try checkCount("in_proj_weight", inputWeight.count, is: 3 * size * size, "3·\(size)·\(size)")
    try checkCount("in_proj_bias", inputBias.count, is: 3 * size, "3·\(size)")
    try window.check(input)
  }
}
