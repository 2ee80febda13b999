import CRecurrentKernels
import Recurrent

/// The mean of the errors' magnitudes |y - target|. Its gradient is zero where the error is.
public struct MeanAbsoluteError: Loss {
  /// The loss, which has no options.
  public init() {}

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
    try meanError(error_absolute, &y, targets, lengths: lengths, weight: weight)
  }
}
