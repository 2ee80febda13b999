import Recurrent

/// The pieces of a series from which a model learns to forecast it. A window has T steps of inputs, with all columns,
/// and targets: the values of some columns at one step after the inputs, or at several successive ones.
///
/// ```swift
/// let series = try Series(CSVTable(contentsOf: path), columns: ["Passengers"])
/// let scaling = Scaling(fittedTo: try series.split(last: 24).training)
/// let (training, test) = try Windows(scaling.scaled(series), steps: 12).split(last: 24)
/// let batch = try training.batch(training.indices)  // inputs [12,N,1], targets [N,1]
/// ```
public struct Windows: Sendable, Equatable {
  /// Some windows side by side.
  public struct Batch: Sendable, Equatable {
    /// [T,N,C]
    public var inputs: Sequences<Float>
    /// [N,K], where K is the number of target steps times the number of target columns: [N, targetSteps, columns].
    public var targets: [Float]
  }

  /// What the windows are pieces of.
  public let series: Series
  /// T: the number of steps of a window's inputs.
  public let steps: Int
  /// The distance from the last step of the inputs to the first target.
  public let horizon: Int
  /// The number of successive steps that are targets.
  public let targetSteps: Int
  /// The columns that are targets, by their numbers.
  public let targetColumns: [Int]
  /// The first step of each window's inputs.
  private var starts: [Int]

  /// All windows of a series.
  ///
  /// - Parameters:
  ///   - series: [steps,C]; scaled, if a model needs that.
  ///   - steps: T, the number of steps of a window's inputs.
  ///   - horizon: the distance from the last step of the inputs to the first target; 1 for the next step.
  ///   - targetSteps: the number of successive steps that are targets.
  ///   - targetColumns: the columns that are targets, by their numbers; all by default.
  ///   - stride: the distance from the start of a window to the start of the next one.
  /// - Throws: `RecurrentError` if a number is not positive, a column does not exist, or the series is too short for
  ///   one window.
  public init(
    _ series: Series, steps: Int, horizon: Int = 1, targetSteps: Int = 1, targetColumns: [Int]? = nil, stride: Int = 1
  ) throws(RecurrentError) {
    let numbers = [("steps", steps), ("horizon", horizon), ("targetSteps", targetSteps), ("stride", stride)]
    for (name, value) in numbers where value < 1 { throw .size(name: name, was: value, expected: "at least 1") }
    for (name, value) in numbers.dropLast() where value > series.steps {
      throw .size(name: name, was: value, expected: "at most \(series.steps), the steps of the series")
    }
    let needed = steps + horizon - 1 + targetSteps
    guard needed <= series.steps else {
      throw .size(
        name: "steps of the series", was: series.steps,
        expected:
          "at least \(needed): inputs of \(steps), and targets of \(targetSteps) that begin \(horizon) after the last input"
      )
    }
    let columns = targetColumns ?? Array(0..<series.size)
    try checkColumns("targetColumns", columns, of: series.size)
    self.series = series
    self.steps = steps
    self.horizon = horizon
    self.targetSteps = targetSteps
    self.targetColumns = columns
    starts = Array(Swift.stride(from: 0, through: series.steps - needed, by: stride))
  }

  /// The number of windows.
  public var count: Int { starts.count }

  /// The numbers of all windows, in the order of time.
  public var indices: Range<Int> { starts.indices }

  /// The step of the series that is a window's first target. The window must exist.
  public func targetStep(of window: Int) -> Int {
    precondition(starts.indices.contains(window))
    return starts[window] + steps + horizon - 1
  }

  /// Divides the windows in time. Those for testing have all targets in the last steps, and may read inputs from
  /// before, as a forecast does. Those for training end before the last steps. Windows with targets in both parts are
  /// left out.
  ///
  /// - Parameter count: the number of the last steps of the series, which are for testing.
  /// - Throws: `RecurrentError.size` if one of the parts would be empty.
  public func split(last count: Int) throws(RecurrentError) -> (training: Windows, test: Windows) {
    var training = self, test = self
    let before = starts.indices.prefix { count < series.steps - targetStep(of: $0) - targetSteps + 1 }.count
    let after = starts.indices.drop { count < series.steps - targetStep(of: $0) }.count
    guard count >= 1, before >= 1, after >= 1 else {
      throw .size(
        name: "last", was: count,
        expected:
          "a number with windows before and in the last steps: of \(starts.count), \(before) are before them and "
          + "\(after) in them")
    }
    training.starts = Array(starts.prefix(before))
    test.starts = Array(starts.suffix(after))
    return (training, test)
  }

  /// Some windows side by side.
  ///
  /// - Parameter windows: the numbers of N windows, from 0. `ShuffledBatches(count: windows.count, …)` gives them.
  /// - Returns: inputs [T,N,C] and targets [N,K].
  /// - Throws: `RecurrentError` if there is no window, or if one does not exist.
  public func batch(_ windows: some Collection<Int>) throws(RecurrentError) -> Batch {
    for window in windows where !starts.indices.contains(window) {
      throw .value(name: "window", was: "\(window)", expected: "0 to \(count - 1)")
    }
    var inputs = try Sequences<Float>(steps: steps, batchSize: windows.count, size: series.size)
    let values = series.values, size = series.size, batchSize = windows.count
    inputs.withMutableValues { inputs in
      for (sequence, window) in windows.enumerated() {
        for step in 0..<steps {
          for column in 0..<size {
            inputs[(step * batchSize + sequence) * size + column] = values[(starts[window] + step) * size + column]
          }
        }
      }
    }
    return Batch(inputs: inputs, targets: targets(of: windows) { step, _, column in series[step, column] })
  }

  /// [T,1,C]: the last steps of the series, for a forecast of what comes after it.
  public func latestInputs() throws(RecurrentError) -> Sequences<Float> {
    try Sequences(
      Array(series.values.suffix(steps * series.size)), steps: steps, batchSize: 1, size: series.size)
  }

  /// [N,K]
  ///
  /// - Parameter value: of a target's step, of its window's last step of inputs, and of its column.
  private func targets(of windows: some Collection<Int>, _ value: (Int, Int, Int) -> Float) -> [Float] {
    var targets: [Float] = []
    targets.reserveCapacity(windows.count * targetSteps * targetColumns.count)
    for window in windows {
      let first = targetStep(of: window)
      for step in first..<first + targetSteps {
        for column in targetColumns { targets.append(value(step, first - horizon, column)) }
      }
    }
    return targets
  }

  // MARK: - Forecasts that learn nothing

  /// [N,K]: the naive forecasts of all windows: the last value of the inputs.
  public func naiveForecasts() -> [Float] { targets(of: indices) { _, last, column in series[last, column] } }

  /// [N,K]: the seasonal naive forecasts of all windows: the value a season before the target. If the inputs end before
  /// that, it is the value as many seasons before as are needed.
  ///
  /// - Parameter season: its number of steps.
  /// - Throws: `RecurrentError.size` if it is not positive or reaches back before the series.
  public func seasonalForecasts(season: Int) throws(RecurrentError) -> [Float] {
    guard season >= 1 else { throw .size(name: "season", was: season, expected: "at least 1") }
    let first = targetStep(of: 0)
    func source(_ step: Int, _ last: Int) -> Int {
      let (distance, overflow) = ((step - last - 1) / season + 1).multipliedReportingOverflow(by: season)
      return overflow ? -1 : step - distance
    }
    for step in first..<first + targetSteps where source(step, first - horizon) < 0 {
      throw .size(name: "season", was: season, expected: "a number that leads from step \(step) back into the series")
    }
    return targets(of: indices) { step, last, column in series[source(step, last), column] }
  }
}
