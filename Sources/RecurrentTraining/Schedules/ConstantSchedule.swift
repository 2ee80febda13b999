import Recurrent

/// The same learning rate for every update.
public struct ConstantSchedule: Schedule {
  /// The learning rate.
  public let rate: Float

  /// - Throws: `RecurrentError` if the rate is not 0 or more and finite.
  public init(rate: Float) throws(RecurrentError) {
    try checkRate("learning rate", rate)
    self.rate = rate
  }

  /// `rate`
  public func rate(atStep step: Int) -> Float { rate }
}

func checkRate(_ name: String, _ rate: Float) throws(RecurrentError) {
  try checkNumber(name, rate, rate >= 0 && rate.isFinite, "0 or more")
}

func checkPositive(_ name: String, _ count: Int) throws(RecurrentError) {
  guard count >= 1 else { throw .size(name: name, was: count, expected: "at least 1") }
}
