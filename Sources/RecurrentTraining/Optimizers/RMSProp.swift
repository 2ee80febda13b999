import CRecurrentKernels
import Recurrent

/// RMSProp (Hinton 2012, lecture 6 of Neural Networks for Machine Learning) as PyTorch computes it:
/// v = decay·v + (1 - decay)·g², values -= rate·g / (√v + ε).
///
/// With momentum, b = momentum·b + g / (√v + ε) and values -= rate·b. If it is centered, the mean a of the gradients is
/// subtracted: √(v - a²) takes the place of √v (Graves 2013, arXiv 1308.0850).
public struct RMSProp: Optimizer {
  /// How far an update goes, 0 or more.
  public var learningRate: Float
  /// How much of the mean of squares an update keeps, 0 up to less than 1: PyTorch's `alpha`.
  public var decay: Float
  /// Added to √v, more than 0.
  public var epsilon: Float
  /// How much of its direction an update takes from the one before, 0 up to less than 1.
  public var momentum: Float
  /// Whether the gradients' variance takes the place of the mean of their squares.
  public var isCentered: Bool
  /// l1·sign(value) is added to the gradient, 0 or more.
  public var l1: Float
  /// l2·value is added to the gradient, 0 or more: PyTorch's `weight_decay`.
  public var l2: Float
  /// Whether the rows of an embedding that were not seen wait.
  public var isLazy: Bool
  /// The arrays `second`, the mean of the gradients' squares, and, if they are used, `momentum` and `mean`, the mean of
  /// the gradients.
  public var state = OptimizerState("second", "momentum", "mean")

  /// An optimizer that has made no update.
  public init(
    learningRate: Float = 1e-2, decay: Float = 0.99, epsilon: Float = 1e-8, momentum: Float = 0,
    isCentered: Bool = false, l1: Float = 0, l2: Float = 0, isLazy: Bool = false
  ) {
    self.learningRate = learningRate
    self.decay = decay
    self.epsilon = epsilon
    self.momentum = momentum
    self.isCentered = isCentered
    self.l1 = l1
    self.l2 = l2
    self.isLazy = isLazy
  }

  /// The kernel of an update.
  public func rule(ofUpdate update: Int) throws(RecurrentError) -> UpdateRule {
    try checkRate(l1: l1, l2: l2)
    try checkFraction("decay", decay)
    try checkFraction("momentum", momentum)
    try checkEpsilon(epsilon)
    try state.check(names: "second", "momentum", "mean")
    let kind =
      isCentered
      ? (momentum > 0 ? update_rms_centered_momentum : update_rms_centered)
      : (momentum > 0 ? update_rms_momentum : update_rms)
    return UpdateRule(
      kind, rate: learningRate, momentum: momentum, beta2: decay, epsilon: epsilon, l1: l1, l2: l2)
  }
}
