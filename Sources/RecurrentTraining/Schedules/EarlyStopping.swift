import Recurrent

/// Says when a training should stop, because a metric has not become better for a while, and which epoch was the best.
///
/// ```swift
/// let shouldStop = try stopping.update(metric: heldOutLoss)
/// if stopping.isBest { best = model }
/// if shouldStop { break }
/// ```
public struct EarlyStopping: Sendable, Equatable {
  /// What changes from epoch to epoch, which a checkpoint keeps.
  public struct State: Sendable, Equatable, Codable {
    /// The number of epochs so far.
    public var epochs = 0
    /// The best metric so far; nil before the first one.
    public var best: Double?
    /// The epoch of the best metric, from 0; nil before the first one.
    public var bestEpoch: Int?

    /// The beginning of a training.
    public init() {}

    /// Whether the counts fit each other, and one more epoch can be counted: a damaged file can hold any.
    fileprivate var isPossible: Bool {
      (0..<Int.max).contains(epochs) && (bestEpoch.map { (0..<epochs).contains($0) } ?? true)
    }
  }

  /// Whether lower or higher metrics are better.
  public let goal: Goal
  /// The number of epochs in a row that may be no better.
  public let patience: Int
  /// A metric is better if it beats the best one by more than this.
  public let minimumImprovement: Double
  /// What changes from epoch to epoch.
  public var state = State()

  /// - Throws: `RecurrentError` if patience is less than 1, or the improvement not 0 or more and finite.
  public init(
    patience: Int, minimumImprovement: Double = 0, goal: Goal = .lowest
  ) throws(RecurrentError) {
    try checkPositive("patience", patience)
    try checkNumber(
      "minimum improvement", minimumImprovement, minimumImprovement >= 0 && minimumImprovement.isFinite, "0 or more")
    self.goal = goal
    self.patience = patience
    self.minimumImprovement = minimumImprovement
  }

  /// The epoch with the best metric, from 0; nil before the first one.
  public var bestEpoch: Int? { state.bestEpoch }
  /// The best metric; nil before the first one.
  public var best: Double? { state.best }
  /// Whether the last epoch was the best one so far.
  public var isBest: Bool { state.epochs > 0 && state.bestEpoch == state.epochs - 1 }
  /// Whether `patience` epochs in a row were no better than the best one.
  public var shouldStop: Bool {
    guard state.isPossible, let best = state.bestEpoch else { return false }
    return state.epochs - 1 - best >= patience
  }

  /// Takes the metric of an epoch.
  ///
  /// - Returns: `shouldStop`
  /// - Throws: `RecurrentError` if the metric is infinite or NaN, or if the state's counts are impossible; nothing has
  ///   changed then.
  public mutating func update(metric: Double) throws(RecurrentError) -> Bool {
    try checkNumber("metric", metric, metric.isFinite, "a finite number")
    guard state.isPossible else {
      let best = state.bestEpoch.map { "\($0)" } ?? "unknown"
      throw .value(
        name: "the state", was: "epoch \(state.epochs) with the best one \(best)",
        expected: "0 or more epochs, of which the best one is one")
    }
    if goal.isBetter(metric, than: state.best, by: minimumImprovement) {
      state.best = metric
      state.bestEpoch = state.epochs
    }
    state.epochs += 1
    return shouldStop
  }
}
