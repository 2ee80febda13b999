import Recurrent

/// A learning rate that rises along a line to the first one of another schedule, which then follows: PyTorch's LinearLR
/// and another one in a SequentialLR.
public struct WarmUpSchedule<Next: Schedule>: Schedule {
  /// The number of updates over which the rate rises.
  public let steps: Int
  /// The fraction of the full rate with which the first update is made.
  public let start: Float
  /// What follows. Its step 0 is the update after the warm-up.
  public let next: Next

  /// - Throws: `RecurrentError` if steps is less than 1, or start not from 0 to 1.
  public init(steps: Int, start: Float = 0, then next: Next) throws(RecurrentError) {
    try checkPositive("warm-up steps", steps)
    try checkNumber("start of the warm-up", start, start >= 0 && start <= 1, "0 to 1")
    self.steps = steps
    self.start = start
    self.next = next
  }

  /// The rate of the line, or of the next schedule.
  public func rate(atStep step: Int) -> Float {
    guard step < steps else { return next.rate(atStep: step - steps) }
    let fraction = Double(start) + (1 - Double(start)) * Double(max(step, 0)) / Double(steps)
    return Float(Double(next.rate(atStep: 0)) * fraction)
  }
}
