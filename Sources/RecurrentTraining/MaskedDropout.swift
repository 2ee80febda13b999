import Recurrent

/// Dropout (Srivastava et al. 2014): each value is zeroed with a probability, and the others are scaled up so that the
/// mean does not change.
struct MaskedDropout: Sendable {
  /// The probability of a zero, 0 up to 1.
  let rate: Float
  private let mask: DropoutMask
  /// The number of calls of `forward` so far. Each call has a mask of its own.
  var calls = 0
  /// The count of values of the last `forward`.
  private var count = 0

  /// A dropout whose masks depend only on the seed and the number of the call.
  ///
  /// - Throws: `RecurrentError.value` if the rate is not in 0 ..< 1.
  init(rate: Float, seed: UInt64) throws(RecurrentError) {
    guard rate >= 0, rate < 1 else {
      throw .value(name: "dropout", was: "\(rate)", expected: "0 up to less than 1")
    }
    self.rate = rate
    mask = DropoutMask(rate: rate, seed: DropoutSeed(seed), set: try Processor.active.kernelSet)
  }

  /// Draws a new mask and applies it.
  mutating func forward(_ values: inout [Float]) {
    guard rate > 0 else { return }
    calls &+= 1
    count = values.count
    multiply(&values)
  }

  /// The gradient through the last `forward`.
  ///
  /// - Throws: `RecurrentError.count` if the last `forward` had another count of values.
  func backward(_ gradient: inout [Float]) throws(RecurrentError) {
    guard rate > 0 else { return }
    try checkCount("gradient", gradient.count, is: count, "the values' count")
    multiply(&gradient)
  }

  private func multiply(_ values: inout [Float]) {
    values.withUnsafeMutableBufferPointer { values in
      guard let start = values.baseAddress else { return }
      mask.apply(layer: 0, step: 0, sequence: calls, size: values.count, from: UnsafePointer(start), to: start)
    }
  }
}
