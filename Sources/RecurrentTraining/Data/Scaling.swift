import Recurrent

/// Brings the columns of a series to a common scale: x' = (x - offset) / divisor, with an offset and a divisor for each
/// column.
///
/// Fit it to the training part only: a scale that knows the test part makes it look easier than the future is.
public struct Scaling: Sendable, Equatable {
  /// What the scaled columns of the training part have in common.
  public enum Method: String, Sendable, CaseIterable {
    /// Their mean is 0 and their standard deviation is 1.
    case standard
    /// Their values are from 0 to 1.
    case range
  }

  /// [C]
  public let offsets: [Double]
  /// [C], none of them 0.
  public let divisors: [Double]

  /// A scaling that was saved.
  ///
  /// - Parameters:
  ///   - offsets: [C]
  ///   - divisors: [C], none of them 0.
  /// - Throws: `RecurrentError` if the counts differ, a number is not finite or a divisor is 0.
  public init(offsets: [Double], divisors: [Double]) throws(RecurrentError) {
    guard !offsets.isEmpty else { throw .size(name: "offsets", was: 0, expected: "at least 1") }
    try checkCount("divisors", divisors.count, is: offsets.count, "offsets")
    for (column, (offset, divisor)) in zip(offsets, divisors).enumerated() {
      guard offset.isFinite else {
        throw .value(name: "offsets[\(column)]", was: "\(offset)", expected: "a finite number")
      }
      guard divisor.isFinite, divisor != 0 else {
        throw .value(name: "divisors[\(column)]", was: "\(divisor)", expected: "a finite number other than 0")
      }
    }
    self.offsets = offsets
    self.divisors = divisors
  }

  /// The scaling of a training part. A column whose values are all equal has the divisor 1.
  ///
  /// - Parameters:
  ///   - training: the training part of a series.
  ///   - method: what its scaled columns have in common.
  public init(fittedTo training: Series, method: Method = .standard) {
    var offsets: [Double] = [], divisors: [Double] = []
    for column in 0..<training.size {
      let values = (0..<training.steps).map { Double(training[$0, column]) }
      let offset: Double, divisor: Double
      let lowest = values.min()!, highest = values.max()!
      switch method {
      case .standard:
        let mean = values.reduce(0, +) / Double(values.count)
        offset = mean
        divisor = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)).squareRoot()
      case .range:
        offset = lowest
        divisor = highest - lowest
      }
      offsets.append(offset)
      divisors.append(lowest == highest ? 1 : divisor)
    }
    self.offsets = offsets
    self.divisors = divisors
  }

  /// A scaled series.
  ///
  /// - Parameter series: with C columns, in the order of those that the scaling was fitted to.
  /// - Throws: `RecurrentError` if it has another number of columns, or values that are too large when scaled.
  public func scaled(_ series: Series) throws(RecurrentError) -> Series {
    guard series.size == offsets.count else {
      throw .size(name: "columns of the series", was: series.size, expected: "\(offsets.count), as in the scaling")
    }
    let values = series.values.enumerated().map { index, value in
      Float((Double(value) - offsets[index % offsets.count]) / divisors[index % offsets.count])
    }
    return try Series(values, names: series.names)
  }

  /// The opposite of `scaled`, for forecasts: x = x'·divisor + offset.
  ///
  /// - Parameters:
  ///   - values: [N,K], where K is a multiple of the number of columns.
  ///   - columns: the columns of a row of values, by their numbers; all by default.
  /// - Returns: [N,K]
  /// - Throws: `RecurrentError` if a column does not exist, or if the values are not a multiple of the columns.
  public func restored(_ values: [Float], columns: [Int]? = nil) throws(RecurrentError) -> [Float] {
    let columns = columns ?? Array(offsets.indices)
    try checkColumns("columns", columns, of: offsets.count)
    guard values.count % columns.count == 0 else {
      throw .size(name: "values", was: values.count, expected: "a multiple of the \(columns.count) columns")
    }
    return values.enumerated().map { index, value in
      let column = columns[index % columns.count]
      return Float(Double(value) * divisors[column] + offsets[column])
    }
  }
}

/// - Throws: `RecurrentError` if there is no column, or one is out of its range.
func checkColumns(_ name: String, _ columns: [Int], of count: Int) throws(RecurrentError) {
  guard !columns.isEmpty else { throw .size(name: name, was: 0, expected: "at least 1") }
  for (place, column) in columns.enumerated() where !(0..<count).contains(column) {
    throw .value(name: "\(name)[\(place)]", was: "\(column)", expected: "0 to \(count - 1)")
  }
}
