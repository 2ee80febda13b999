import CRecurrentKernels

/// What an optimizer does in one update, with all numbers: the kernel that runs over the parameters.
public struct UpdateRule: Sendable {
  let numbers: update_rule

  /// - Parameters:
  ///   - kind: which kernel.
  ///   - keep: the factor of each value before the update, if weights decay.
  init(
    _ kind: update_kind, rate: Float, momentum: Float = 0, beta1: Float = 0, beta2: Float = 0, correction: Float = 1,
    epsilon: Float = 0, l1: Float = 0, l2: Float = 0, keep: Float = 1
  ) {
    numbers = update_rule(
      kind: kind, rate: rate, momentum: momentum, beta1: beta1, beta2: beta2, correction: correction, epsilon: epsilon,
      limit: .infinity, l1: l1, l2: l2, keep: keep)
  }

  /// Which of the optimizer's arrays the kernel uses.
  var usedStates: [Int] {
    switch numbers.kind {
    case update_sgd: []
    case update_momentum, update_nesterov, update_rms: [0]
    case update_rms_momentum, update_adam: [0, 1]
    case update_rms_centered: [0, 2]
    default: [0, 1, 2]
    }
  }
}
