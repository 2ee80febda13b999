import Foundation

/// The window of a query: the keys from p - D to p + D around a predicted position p. A key's weight is multiplied by
/// the factor exp(-(key - p)²/2σ²) with σ = D/2, so that far keys count less.
struct GaussianWindow {
  /// D
  private let distance: Double
  /// 1/σ²
  private let precision: Double

  init(distance: Double) {
    self.distance = distance
    precision = 4 / (distance * distance)
  }

  /// The keys in the window; at least one.
  func range(around position: Double, keys: Int) -> Range<Int> {
    max(0, Int((position - distance).rounded(.up)))..<min(keys, Int((position + distance).rounded(.down)) + 1)
  }

  /// The factor of a key, which is at least exp(-2) in the window.
  private func factor(_ key: Int, _ position: Double) -> Float {
    let distance = Double(key) - position
    return Float(exp(-0.5 * precision * distance * distance))
  }

  /// Multiplies a query's weights in the window by their factors.
  func weigh(_ weights: UnsafeMutablePointer<Float>, keys: Int, position: Double) {
    for key in range(around: position, keys: keys) { weights[key] *= factor(key, position) }
  }

  /// Turns the gradients `d` of a query's weights into those of its scores.
  ///
  /// If α is the softmax of the scores and g are the factors, the weights are α·g. So dScore = α·(g·d - Σ α·g·d), and
  /// dp = Σ α·g·d·(key - p)/σ².
  ///
  /// - Returns: dp
  func scoreGradients(
    _ weights: UnsafePointer<Float>, position: Double, keys: Int, _ d: UnsafeMutablePointer<Float>
  ) -> Double {
    let range = range(around: position, keys: keys)
    var mean: Float = 0, dPosition = 0.0
    for key in range {
      mean += weights[key] * d[key]
      dPosition += Double(weights[key] * d[key]) * (Double(key) - position) * precision
    }
    for key in 0..<keys {
      d[key] = range.contains(key) ? weights[key] * d[key] - weights[key] / factor(key, position) * mean : 0
    }
    return dPosition
  }
}
