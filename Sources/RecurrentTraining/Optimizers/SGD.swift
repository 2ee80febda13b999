import CRecurrentKernels
import Recurrent

/// Gradient descent, with momentum if that is more than 0: b = momentum·b + g, values -= rate·b. Nesterov's form goes
/// one momentum further, values -= rate·(g + momentum·b) (Sutskever and others 2013,
/// proceedings.mlr.press/v28/sutskever13). Both are as in PyTorch's SGD without dampening.
public struct SGD: Optimizer {
  /// How far an update goes, 0 or more.
  public var learningRate: Float
  /// How much of its direction an update takes from the one before, 0 up to less than 1.
  public var momentum: Float
  /// Whether the gradient counts as if it were from where the momentum leads. It needs a momentum of more than 0.
  public var isNesterov: Bool
  /// l1·sign(value) is added to the gradient, 0 or more.
  public var l1: Float
  /// l2·value is added to the gradient, 0 or more: PyTorch's `weight_decay`.
  public var l2: Float
  /// Whether the rows of an embedding that were not seen wait.
  public var isLazy: Bool
  /// The array `momentum`, if there is one.
  public var state = OptimizerState("momentum")

  /// An optimizer that has made no update.
  public init(
    learningRate: Float = 1e-2, momentum: Float = 0, isNesterov: Bool = false, l1: Float = 0, l2: Float = 0,
    isLazy: Bool = false
  ) {
    self.learningRate = learningRate
    self.momentum = momentum
    self.isNesterov = isNesterov
    self.l1 = l1
    self.l2 = l2
    self.isLazy = isLazy
  }

  /// The kernel of an update.
  public func rule(ofUpdate update: Int) throws(RecurrentError) -> UpdateRule {
    try checkRate(l1: l1, l2: l2)
    try checkFraction("momentum", momentum)
    try state.check(names: "momentum")
    if isNesterov { try checkNumber("Nesterov's momentum", momentum, momentum > 0, "more than 0") }
    let kind = momentum == 0 ? update_sgd : isNesterov ? update_nesterov : update_momentum
    return UpdateRule(kind, rate: learningRate, momentum: momentum, l1: l1, l2: l2)
  }
}
