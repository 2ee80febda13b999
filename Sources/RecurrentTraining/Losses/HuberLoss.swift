import CRecurrentKernels
import Recurrent

/// The mean over errors d = y - target of d²/2 if |d| ≤ δ, and otherwise of δ·(|d| - δ/2): squared near the target, and
/// linear far from it, so that single wild values count less (Huber 1964, doi 10.1214/aoms/1177703732).
public struct HuberLoss: Loss {
  /// δ, more than 0: where the loss becomes linear.
  public var delta: Float

  /// A loss with this option. Each call checks it.
  public init(delta: Float = 1) { self.delta = delta }

  /// The mean loss, and its gradient in y's place.
  ///
  /// - Parameters:
  ///   - y: [T,N,size], overwritten by the gradient.
  ///   - targets: [T,N,size], finite.
  ///   - lengths, weight: as `Loss` says.
  /// - Throws: `RecurrentError`, as `Loss` says.
  public func replaceWithGradient(
    _ y: inout Sequences<Float>, _ targets: [Float], lengths: [Int]? = nil, weight: Float = 1
  ) throws(RecurrentError) -> Double {
    try checkNumber("delta", delta, delta > 0 && delta.isFinite, "more than 0")
    return try meanError(error_huber, delta: delta, &y, targets, lengths: lengths, weight: weight)
  }
}
