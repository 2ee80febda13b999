import Recurrent

/// A learning rate that falls whenever a metric has not become better for a while: PyTorch's ReduceLROnPlateau with its
/// relative threshold.
///
/// ```swift
/// optimizer.learningRate = try plateau.update(metric: heldOutLoss)
/// ```
public struct PlateauSchedule: Sendable, Equatable {
  /// What changes from metric to metric, which a checkpoint keeps.
  public struct State: Sendable, Equatable, Codable {
    /// The learning rate now.
    public var rate: Float
    /// The best metric so far; nil before the first one.
    public var best: Double?
    /// The number of metrics since the best one, or since the rate fell.
    public var badCount = 0
    /// The number of metrics that are still not counted as bad, after the rate fell.
    public var cooldown = 0

    /// The beginning of a training.
    public init(rate: Float) { self.rate = rate }
  }

  /// Whether lower or higher metrics are better.
  public let goal: Goal
  /// The factor by which the rate falls.
  public let factor: Float
  /// The number of metrics in a row that may be no better.
  public let patience: Int
  /// A metric is better if it beats the best one by more than this fraction of it.
  public let threshold: Double
  /// The number of metrics after a fall that are not counted as bad.
  public let cooldown: Int
  /// The rate never falls below this.
  public let lowest: Float
  /// What changes from metric to metric.
  public var state: State

  /// - Throws: `RecurrentError` if a number is out of its range: rates and the threshold are 0 or more, the factor is 0
  ///   up to less than 1, patience and cooldown are 0 or more.
  public init(
    rate: Float, goal: Goal = .lowest, factor: Float = 0.1, patience: Int = 10, threshold: Double = 1e-4,
    cooldown: Int = 0, lowest: Float = 0
  ) throws(RecurrentError) {
    try checkRate("learning rate", rate)
    try checkRate("lowest learning rate", lowest)
    try checkNumber("factor", factor, factor >= 0 && factor < 1, "0 up to less than 1")
    try checkNumber("threshold", threshold, threshold >= 0 && threshold.isFinite, "0 or more")
    for (name, count) in [("patience", patience), ("cooldown", cooldown)] where count < 0 {
      throw .size(name: name, was: count, expected: "0 or more")
    }
    self.goal = goal
    self.factor = factor
    self.patience = patience
    self.threshold = threshold
    self.cooldown = cooldown
    self.lowest = lowest
    state = State(rate: rate)
  }

  /// The learning rate now.
  public var rate: Float { state.rate }

  /// Takes a metric, such as an epoch's held-out loss.
  ///
  /// - Returns: the learning rate from now on.
  /// - Throws: `RecurrentError` if the metric is infinite or NaN, or if a number of the state is out of its range, as a
  ///   damaged file's can be; nothing has changed then.
  @discardableResult
  public mutating func update(metric: Double) throws(RecurrentError) -> Float {
    try checkNumber("metric", metric, metric.isFinite, "a finite number")
    try checkRate("learning rate of the state", state.rate)
    for (name, count) in [("badCount", state.badCount), ("cooldown", state.cooldown)]
    where !(0..<Int.max).contains(count) {
      throw .size(name: "\(name) of the state", was: count, expected: "0 or more, and less than \(Int.max)")
    }
    // PyTorch's own form: a fraction of the best metric with its sign.
    let isBetter = goal.isBetter(metric, than: state.best, by: threshold * (state.best ?? 0))
    if isBetter {
      state.best = metric
      state.badCount = 0
    } else {
      state.badCount += 1
    }
    if state.cooldown > 0 {
      state.cooldown -= 1
      state.badCount = 0
    }
    if state.badCount > patience {
      let lower = max(state.rate * factor, lowest)
      // As in PyTorch, a fall of less than 1e-8 is none.
      if state.rate - lower > 1e-8 { state.rate = lower }
      state.cooldown = cooldown
      state.badCount = 0
    }
    return state.rate
  }
}
