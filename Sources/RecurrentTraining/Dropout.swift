import Recurrent

/// Dropout (Srivastava et al. 2014): each value is zeroed with a probability, the others are scaled up so that the mean
/// stays.
public struct Dropout: Sendable {
  /// The probability of a zero, 0 up to 1.
  public let rate: Float
  private var random: SeededGenerator
  /// The factors of the last `forward`.
  private var factors: [Float] = []

  /// - Throws: `RecurrentError.mismatch` where the rate is not in 0 ..< 1.
  public init(rate: Float, seed: UInt64) throws(RecurrentError) {
    guard rate >= 0, rate < 1 else { throw .mismatch("dropout is \(rate), expected 0 up to less than 1") }
    self.rate = rate
    random = SeededGenerator(seed: seed)
  }

  /// Draws new zeros.
  public mutating func forward(_ values: inout [Float]) {
    guard rate > 0 else { return }
    if factors.count != values.count { factors = Array(repeating: 0, count: values.count) }
    let kept = 1 / (1 - rate), threshold = UInt32(rate * 0x1p32)
    factors.withUnsafeMutableBufferPointer { factors in
      // A number serves two values.
      for index in stride(from: 0, to: factors.count, by: 2) {
        let bits = random.next()
        factors[index] = UInt32(truncatingIfNeeded: bits) < threshold ? 0 : kept
        if index + 1 < factors.count { factors[index + 1] = UInt32(bits >> 32) < threshold ? 0 : kept }
      }
    }
    multiply(&values)
  }

  /// The gradient through the last `forward`.
  ///
  /// - Throws: `RecurrentError.count` where that had another count of values.
  public func backward(_ gradient: inout [Float]) throws(RecurrentError) {
    guard rate > 0 else { return }
    try checkCount("gradient", gradient.count, is: factors.count, "the values' count")
    multiply(&gradient)
  }

  private func multiply(_ values: inout [Float]) {
    values.withUnsafeMutableBufferPointer { values in
      factors.withUnsafeBufferPointer { for index in values.indices { values[index] *= $0[index] } }
    }
  }
}
