import Foundation

/// The keys around a predicted position p, from p - D to p + D, of which each is worth less the farther it is:
/// exp(-(key - p)²/2σ²) with σ = D/2.
struct GaussianWindow {
  /// D
  let distance: Double
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

  /// What a key is worth; at least exp(-2) in the window.
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
  /// With α the softmax of the scores and g the factors, the weights are α·g. So dScore = α·(g·d - Σ α·g·d), and
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
