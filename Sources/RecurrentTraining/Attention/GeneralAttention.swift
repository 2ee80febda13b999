import Recurrent

/// Attention whose score of a key is its dot product with W·query ("general" of Luong, Pham and Manning 2015, arXiv
/// 1508.04025). Queries and keys may have different sizes.
public struct GeneralAttention: Sendable, Composite {
  /// weight [Ck,Cq]
  public static let parts: [Part<GeneralAttention>] = [Part("weight", \.weight) { [$0.keySize, $0.querySize] }]
  /// Cq
  public let querySize: Int
  /// Ck
  public let keySize: Int
  /// Which keys a query looks at.
  public let window: AttentionWindow
  /// W [Ck,Cq]
  public var weight: [Float]
  private let linear: Linear

  /// W is uniform in ±1/√Cq, as PyTorch draws it for a `Linear`.
  ///
  /// - Parameters:
  ///   - querySize: Cq
  ///   - keySize: Ck
  ///   - window: which keys a query looks at.
  ///   - seed: equal seeds give equal modules.
  /// - Throws: `RecurrentError` if a size is not positive.
  public init(
    querySize: Int, keySize: Int, window: AttentionWindow = .all, seed: UInt64
  ) throws(RecurrentError) {
    let drawn = try Dense(inputSize: querySize, outputSize: keySize, seed: seed)
    self.querySize = querySize
    self.keySize = keySize
    self.window = window
    weight = drawn.weight
    linear = try Linear(inputSize: querySize, outputSize: keySize)
  }

  /// W, packed for the queries of a stream.
  func packedQuery(rows: Int) throws(RecurrentError) -> PackedLinear {
    try PackedLinear(linear, weight: weight, bias: nil, rows: rows)
  }

  /// What `backward` needs.
  public struct Trace: Sendable {
    /// How well the keys fit the queries.
    public var weights: AttentionWeights { dot.weights }
    fileprivate let dot: DotAttention.Trace
    fileprivate let queries: Sequences<Float>
  }
}

extension GeneralAttention: Module {
  /// The contexts [Tq,N,Cv].
  public func forward(
    _ input: AttentionInput, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, Trace) {
    try workspace.naming(self) { () throws(RecurrentError) in
      guard input.keys.size == keySize else {
        throw .size(name: "the size of the keys", was: input.keys.size, expected: "\(keySize), as in the weight")
      }
      let projected = try linear.rows(of: input.queries, "queries", ("weight", weight[...]), workspace.scratch)
      let (y, trace) = try DotAttention(window: window).forward(
        AttentionInput(queries: projected, keys: input.keys, values: input.values), workspace)
      return (y, Trace(dot: trace, queries: input.queries))
    }
  }

  public func backward(
    _ dy: Sequences<Float>, _ trace: Trace, into gradients: inout Gradients<GeneralAttention>, _ workspace: Workspace
  ) throws(RecurrentError) -> AttentionGradient {
    try inPart(gradients.name) { () throws(RecurrentError) in
      try checkCount("gradients", gradients.list.count, is: keySize * querySize, "\(keySize)·\(querySize)")
      var d = try DotAttention(window: window).backward(dy, trace.dot, workspace)
      d.queries = try gradients.withMutableValues { gradients throws(RecurrentError) in
        try linear.rowGradients(
          of: trace.queries.withoutPadding, d.queries, ("weight", weight[...]), into: gradients.baseAddress!,
          workspace.scratch)
      }
      return d
    }
  }
}
