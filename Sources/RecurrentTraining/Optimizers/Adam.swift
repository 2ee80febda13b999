import CRecurrentKernels
import Foundation
import Recurrent

/// Adam (Kingma, Ba 2015, arXiv 1412.6980): m = β1·m + (1 - β1)·g, v = β2·v + (1 - β2)·g²,
/// values -= rate·m̂ / (√v̂ + ε), with m̂ = m / (1 - β1^t) and v̂ = v / (1 - β2^t) in the update t.
public struct Adam: Optimizer {
  /// How far an update goes, 0 or more.
  public var learningRate: Float
  /// How much of the first moment an update keeps, 0 up to less than 1.
  public var beta1: Float
  /// How much of the second moment an update keeps, 0 up to less than 1.
  public var beta2: Float
  /// Added to √v̂, more than 0.
  public var epsilon: Float
  /// l1·sign(value) is added to the gradient, 0 or more.
  public var l1: Float
  /// l2·value is added to the gradient, 0 or more: the `weight_decay` of PyTorch's Adam. `AdamW` has the better form.
  public var l2: Float
  /// Whether the rows of an embedding that were not seen wait, as in PyTorch's SparseAdam. (That adds ε to √v instead
  /// of √v̂.)
  public var isLazy: Bool
  /// The arrays `first`, the mean of the gradients, and `second`, the mean of their squares.
  public var state = OptimizerState("first", "second")

  /// An optimizer that has made no update.
  public init(
    learningRate: Float = 1e-3, beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8, l1: Float = 0,
    l2: Float = 0, isLazy: Bool = false
  ) {
    self.learningRate = learningRate
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.l1 = l1
    self.l2 = l2
    self.isLazy = isLazy
  }

  /// The mean of the gradients of all parameters, one after another; empty before the first update.
  public var first: [Float] { state.array("first") }
  /// The mean of the gradients' squares of all parameters, one after another; empty before the first update.
  public var second: [Float] { state.array("second") }

  /// The kernel of an update.
  public func rule(ofUpdate update: Int) throws(RecurrentError) -> UpdateRule {
    try rule(ofUpdate: update, keep: 1)
  }

  /// - Parameters:
  ///   - update: the number of the update, from 1.
  ///   - keep: the factor of each value before the update.
  func rule(ofUpdate update: Int, keep: Float) throws(RecurrentError) -> UpdateRule {
    try checkRate(l1: l1, l2: l2)
    try checkFraction("beta1", beta1)
    try checkFraction("beta2", beta2)
    try checkEpsilon(epsilon)
    try state.check(names: "first", "second")
    try checkCount("second moment", second.count, is: first.count, "the first moment's count")
    let power1 = pow(Double(beta1), Double(update)), power2 = pow(Double(beta2), Double(update))
    return UpdateRule(
      update_adam, rate: learningRate / Float(1 - power1), beta1: beta1, beta2: beta2,
      correction: Float(1 / (1 - power2)), epsilon: epsilon, l1: l1, l2: l2, keep: keep)
  }
}
