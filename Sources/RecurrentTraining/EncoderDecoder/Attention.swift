import Recurrent

/// An attention with one head, chosen at run time.
public enum Attention: Sendable {
  /// Scores are dot products.
  case dot(DotAttention)
  /// Scores are dot products with a projection of the query.
  case general(GeneralAttention)
  /// Scores come from a small network of the query and the key.
  case additive(AdditiveAttention)
  /// Each query places its own window.
  case predictive(PredictiveAttention)

  /// What `backward` needs.
  public enum Trace: Sendable {
    /// Of `DotAttention`.
    case dot(DotAttention.Trace)
    /// Of `GeneralAttention`.
    case general(GeneralAttention.Trace)
    /// Of `AdditiveAttention`.
    case additive(AdditiveAttention.Trace)
    /// Of `PredictiveAttention`.
    case predictive(PredictiveAttention.Trace)

    /// The weights that each query gives to the keys.
    public var weights: AttentionWeights {
      switch self {
      case .dot(let trace): trace.weights
      case .general(let trace): trace.weights
      case .additive(let trace): trace.weights
      case .predictive(let trace): trace.weights
      }
    }
  }

  /// The keys that a query may look at because of its step. The queries of a predictive attention place their own
  /// windows.
  var window: AttentionWindow {
    switch self {
    case .dot(let attention): attention.window
    case .general(let attention): attention.window
    case .additive(let attention): attention.window
    case .predictive: .all
    }
  }

  private var module: any Parameterized {
    switch self {
    case .dot(let attention): attention
    case .general(let attention): attention
    case .additive(let attention): attention
    case .predictive(let attention): attention
    }
  }
}

extension Attention: Module {
  /// The parameters of the chosen attention, with its names.
  public var parameterShapes: [ParameterShape] { module.parameterShapes }
  public func placedParts() throws(RecurrentError) -> [PlacedPart] { try module.placedParts() }
  public func readParameters(_ body: (UnsafeBufferPointer<Float>) -> Void) { module.readParameters(body) }
  public mutating func updateParameters(_ body: (UnsafeMutableBufferPointer<Float>) -> Void) {
    // While the parameters change, only the local variable holds them, so that nothing is copied.
    switch self {
    case .dot: break
    case .general(var attention):
      self = .dot(DotAttention())
      attention.updateParameters(body)
      self = .general(attention)
    case .additive(var attention):
      self = .dot(DotAttention())
      attention.updateParameters(body)
      self = .additive(attention)
    case .predictive(var attention):
      self = .dot(DotAttention())
      attention.updateParameters(body)
      self = .predictive(attention)
    }
  }

  /// The contexts [Tq,N,Cv].
  public func forward(
    _ input: AttentionInput, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, Trace) {
    switch self {
    case .dot(let attention):
      let (context, trace) = try attention.forward(input, workspace)
      return (context, .dot(trace))
    case .general(let attention):
      let (context, trace) = try attention.forward(input, workspace)
      return (context, .general(trace))
    case .additive(let attention):
      let (context, trace) = try attention.forward(input, workspace)
      return (context, .additive(trace))
    case .predictive(let attention):
      let (context, trace) = try attention.forward(input, workspace)
      return (context, .predictive(trace))
    }
  }

  public func backward(
    _ dy: Sequences<Float>, _ trace: Trace, into gradients: inout Gradients<Attention>, _ workspace: Workspace
  ) throws(RecurrentError) -> AttentionGradient {
    switch (self, trace) {
    case (.dot(let attention), .dot(let trace)):
      return try attention.backward(dy, trace, into: &gradients[as: DotAttention.self], workspace)
    case (.general(let attention), .general(let trace)):
      return try attention.backward(dy, trace, into: &gradients[as: GeneralAttention.self], workspace)
    case (.additive(let attention), .additive(let trace)):
      return try attention.backward(dy, trace, into: &gradients[as: AdditiveAttention.self], workspace)
    case (.predictive(let attention), .predictive(let trace)):
      return try attention.backward(dy, trace, into: &gradients[as: PredictiveAttention.self], workspace)
    default:
      throw .value(name: "the attention's trace", was: "that of another attention", expected: "that of this module")
    }
  }
}
