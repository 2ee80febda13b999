/// The learning rate of each update, as a function of its number alone: a resumed training needs only the optimizer's
/// `updates`.
///
/// ```swift
/// optimizer.learningRate = schedule.rate(atStep: optimizer.updates)
/// ```
public protocol Schedule: Sendable, Equatable {
  /// The learning rate of an update.
  ///
  /// - Parameter step: the number of updates before it, 0 or more.
  func rate(atStep step: Int) -> Float
}
