import Recurrent

/// Adam with weights that decay apart from the gradients: values *= 1 - rate·weightDecay, then the update of `Adam`
/// (Loshchilov, Hutter 2019, arXiv 1711.05101). As in PyTorch, every parameter decays, biases too.
public struct AdamW: Optimizer {
  /// How far an update goes, 0 or more.
  public var learningRate: Float
  /// How much of the first moment an update keeps, 0 up to less than 1.
  public var beta1: Float
  /// How much of the second moment an update keeps, 0 up to less than 1.
  public var beta2: Float
  /// Added to √v̂, more than 0.
  public var epsilon: Float
  /// What each value loses in an update is this times the learning rate, 0 or more.
  public var weightDecay: Float
  /// l1·sign(value) is added to the gradient, 0 or more.
  public var l1: Float
  /// Whether the rows of an embedding that were not seen wait. They then do not decay.
  public var isLazy: Bool
  /// The arrays `first`, the mean of the gradients, and `second`, the mean of their squares.
  public var state = OptimizerState("first", "second")

  /// An optimizer that has made no update.
  public init(
    learningRate: Float = 1e-3, beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8,
    weightDecay: Float = 1e-2, l1: Float = 0, isLazy: Bool = false
  ) {
    self.learningRate = learningRate
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay
    self.l1 = l1
    self.isLazy = isLazy
  }

  /// The kernel of an update.
  public func rule(ofUpdate update: Int) throws(RecurrentError) -> UpdateRule {
    try checkRate(l1: l1, l2: 0)
    try state.check(names: "first", "second")
    let limit = 1 / max(learningRate, .leastNormalMagnitude)
    try checkNumber("weight decay", weightDecay, weightDecay >= 0 && weightDecay <= limit, "0 to 1 / learning rate")
    let adam = Adam(learningRate: learningRate, beta1: beta1, beta2: beta2, epsilon: epsilon, l1: l1)
    return try adam.rule(ofUpdate: update, keep: Float(1 - Double(learningRate) * Double(weightDecay)))
  }
}
