import Foundation

/// Finds what a forecast did not expect. It looks at three statistics of the errors, and knows from a clean part how
/// they vary: the error, the mean of the last errors, and the spread of the last errors, which is too small if a sensor
/// is stuck.
struct Detector: Sendable {
  enum Sign: String, Sendable {
    case error = "an error"
    case mean = "a lasting error"
    case spread = "too little change"
  }

  /// The number of errors of a mean and of a spread.
  static let length = 7
  /// How far from the median a statistic is unexpected, in deviations.
  let threshold: Double
  private let error: (center: Double, deviation: Double)
  private let mean: (center: Double, deviation: Double)
  private let spread: (center: Double, deviation: Double)

  /// - Parameters:
  ///   - errors: of a clean part, more than `length`.
  ///   - threshold: in deviations: 1.4826 times the median distance from the median, which a few outliers do not move.
  init(clean errors: [Double], threshold: Double) {
    self.threshold = threshold
    let whole = errors.indices.dropFirst(Detector.length - 1)
    error = Detector.robust(errors)
    mean = Detector.robust(whole.map { Detector.mean(errors, $0) })
    spread = Detector.robust(whole.map { Detector.spread(errors, $0) })
  }

  /// The sign of a fault at each step; nil if there is none.
  func signs(_ errors: [Double]) -> [Sign?] {
    errors.indices.map { step in
      func distance(_ value: Double, _ normal: (center: Double, deviation: Double)) -> Double {
        (value - normal.center) / normal.deviation
      }
      if abs(distance(errors[step], error)) > threshold { return .error }
      guard step >= Detector.length - 1 else { return nil }
      if abs(distance(Detector.mean(errors, step), mean)) > threshold { return .mean }
      return distance(Detector.spread(errors, step), spread) < -threshold ? .spread : nil
    }
  }

  /// The errors that are expected, around their median.
  var expectedErrors: ClosedRange<Double> {
    error.center - threshold * error.deviation...error.center + threshold * error.deviation
  }

  private static func mean(_ errors: [Double], _ step: Int) -> Double {
    errors[step - length + 1...step].reduce(0, +) / Double(length)
  }

  /// The logarithm of the standard deviation of the last errors.
  private static func spread(_ errors: [Double], _ step: Int) -> Double {
    let mean = mean(errors, step)
    let squares = errors[step - length + 1...step].reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return 0.5 * log(squares / Double(length) + .leastNormalMagnitude)
  }

  private static func robust(_ values: [Double]) -> (center: Double, deviation: Double) {
    let center = median(values), deviation = 1.4826 * median(values.map { abs($0 - center) })
    return (center, max(deviation, .leastNormalMagnitude))
  }
}
