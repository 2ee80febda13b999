import Foundation
import Recurrent

/// A learning rate that falls by a factor after each period: rate·factor^⌊step / period⌋, PyTorch's StepLR.
public struct StepSchedule: Schedule {
  /// The learning rate of the first period.
  public let rate: Float
  /// The number of updates in a period.
  public let period: Int
  /// The factor from one period to the next one.
  public let factor: Float

  /// - Throws: `RecurrentError` if a number is out of its range: the rate and the factor are 0 or more and finite, and
  ///   the period at least 1.
  public init(rate: Float, period: Int, factor: Float = 0.1) throws(RecurrentError) {
    try checkRate("learning rate", rate)
    try checkPositive("period", period)
    try checkNumber("factor", factor, factor >= 0 && factor.isFinite, "0 or more")
    self.rate = rate
    self.period = period
    self.factor = factor
  }

  /// rate·factor^⌊step / period⌋
  public func rate(atStep step: Int) -> Float { Float(Double(rate) * pow(Double(factor), Double(step / period))) }
}
