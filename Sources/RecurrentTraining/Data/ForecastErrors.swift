import Recurrent

/// How far forecasts are from the actual values.
public struct ForecastErrors: Sendable, Equatable {
  /// The square root of the mean of the squared differences.
  public let rootMeanSquared: Double
  /// The mean of the differences without their signs.
  public let meanAbsolute: Double

  /// - Parameters:
  ///   - forecasts: any shape.
  ///   - values: what came, in the same shape.
  /// - Throws: `RecurrentError` if there are none, or if their counts differ.
  public init(_ forecasts: [Float], of values: [Float]) throws(RecurrentError) {
    guard !values.isEmpty else { throw .size(name: "values", was: 0, expected: "at least 1") }
    try checkCount("forecasts", forecasts.count, is: values.count, "values")
    var squares = 0.0, differences = 0.0
    for (forecast, value) in zip(forecasts, values) {
      let difference = Double(forecast) - Double(value)
      squares += difference * difference
      differences += abs(difference)
    }
    rootMeanSquared = (squares / Double(values.count)).squareRoot()
    meanAbsolute = differences / Double(values.count)
  }
}
