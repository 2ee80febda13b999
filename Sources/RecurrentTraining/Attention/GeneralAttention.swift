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
      let projected = try linear.rows(of: input.queries, "queries", ("weight", weight), workspace.scratch)
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
          of: trace.queries, d.queries, ("weight", weight), into: gradients.baseAddress!, workspace.scratch)
      }
      return d
    }
  }
}

extension Linear {
  /// The rows [T,N,outputSize] of x [T,N,inputSize], without a bias.
  ///
  /// - Throws: `RecurrentError` if x or the weight has another size.
  func rows(
    of x: Sequences<Float>, _ name: String, _ parameter: (name: String, values: [Float]), _ scratch: Scratch<Float>
  ) throws(RecurrentError) -> Sequences<Float> {
    let weight = parameter.values
    guard x.size == inputSize else {
      throw .size(name: "the size of the \(name)", was: x.size, expected: "\(inputSize), as in \(parameter.name)")
    }
    try checkCount(parameter.name, weight.count, is: outputSize * inputSize, "\(outputSize)·\(inputSize)")
    var y = try x.sameShape(size: outputSize)
    x.values.withUnsafeBufferPointer { x0 in
      weight.withUnsafeBufferPointer { weight in
        y.withMutableValues { y in
          forward(
            x0.baseAddress!, rows: x.steps * x.batchSize, weight: weight.baseAddress!, bias: nil, into: y.baseAddress!,
            scratch: scratch)
        }
      }
    }
    return y
  }

  /// The gradient of x through `rows`. That of the weight is added to `dWeight`.
  ///
  /// - Throws: `RecurrentError` if x, dy or the weight does not fit: the trace is then of another module.
  func rowGradients(
    of x: Sequences<Float>, _ dy: Sequences<Float>, _ parameter: (name: String, values: [Float]),
    into dWeight: UnsafeMutablePointer<Float>, _ scratch: Scratch<Float>
  ) throws(RecurrentError) -> Sequences<Float> {
    let weight = parameter.values
    guard x.size == inputSize, dy.size == outputSize, dy.steps == x.steps, dy.batchSize == x.batchSize else {
      throw .shape(
        name: "the values in the trace", was: "\(x) and \(dy)",
        expected: "\(inputSize) and \(outputSize) features, as in a call of this module")
    }
    try checkCount(parameter.name, weight.count, is: outputSize * inputSize, "\(outputSize)·\(inputSize)")
    var dx = try x.sameShape(size: inputSize)
    let x = x.withoutPadding
    x.values.withUnsafeBufferPointer { x0 in
      dy.values.withUnsafeBufferPointer { dy in
        weight.withUnsafeBufferPointer { weight in
          dx.withMutableValues { dx in
            backward(
              x: x0.baseAddress!, dy: dy.baseAddress!, rows: x.steps * x.batchSize, weight: weight.baseAddress!,
              dx: dx.baseAddress!, dWeight: dWeight, dBias: nil, scratch: scratch)
          }
        }
      }
    }
    return dx
  }
}

extension Sequences<Float> {
  /// The same with zeros from each sequence's length on, where anything may be. A product of a gradient of 0 and a NaN
  /// would be a NaN.
  var withoutPadding: Sequences {
    guard lengths != nil else { return self }
    var clean = self
    clean.updateRows { _, _ in }
    return clean
  }
}
