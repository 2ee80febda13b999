import Foundation
import Recurrent

/// A learning rate that falls along half a cosine: lowest + (rate - lowest)·(1 + cos(π·step / steps)) / 2 (Loshchilov,
/// Hutter 2017, arXiv 1608.03983), PyTorch's CosineAnnealingLR. After `steps` updates it stays at the lowest rate.
public struct CosineSchedule: Schedule {
  /// The learning rate of the first update.
  public let rate: Float
  /// The number of updates over which the rate falls.
  public let steps: Int
  /// The learning rate at the end.
  public let lowest: Float

  /// - Throws: `RecurrentError` if a rate is not 0 or more and finite, or if steps is less than 1.
  public init(rate: Float, steps: Int, lowest: Float = 0) throws(RecurrentError) {
    try checkRate("learning rate", rate)
    try checkRate("lowest learning rate", lowest)
    try checkPositive("steps", steps)
    self.rate = rate
    self.steps = steps
    self.lowest = lowest
  }

  /// lowest + (rate - lowest)·(1 + cos(π·step / steps)) / 2
  public func rate(atStep step: Int) -> Float {
    let done = Double(min(max(step, 0), steps)) / Double(steps)
    return Float(Double(lowest) + (Double(rate) - Double(lowest)) * (1 + cos(.pi * done)) / 2)
  }
}
