import CRecurrentKernels
import Recurrent

/// Changes parameters by their gradients. An optimizer is a value: a copy of it and of the model is a place in the
/// training to which one can go back.
///
/// Its hyperparameters can be changed between two updates; each update checks them before it changes anything.
public protocol Optimizer: Sendable, Equatable {
  /// How far an update goes, 0 or more. A `Schedule` gives it for each update.
  var learningRate: Float { get set }
  /// Whether the rows of an embedding that an update has no gradient of wait, with their state, as in PyTorch's
  /// SparseAdam. Otherwise they have a gradient of zero, as in Keras and in PyTorch's other optimizers: their state
  /// decays, and they move with it.
  var isLazy: Bool { get set }
  /// What is remembered from update to update.
  var state: OptimizerState { get set }
  /// The kernel of an update.
  ///
  /// - Parameter update: the number of the update, from 1.
  /// - Throws: `RecurrentError` if a hyperparameter is not a number or out of its range.
  func rule(ofUpdate update: Int) throws(RecurrentError) -> UpdateRule
}

extension Optimizer {
  /// The number of updates so far.
  public var updates: Int {
    get { state.updates }
    set { state.updates = newValue }
  }

  /// One update of some arrays, in one order: `body` gets an `OngoingUpdate` and calls its `apply` for each of them.
  ///
  /// An update that fails before its first array is not counted. If it fails later, the arrays before that stay
  /// updated.
  ///
  /// - Parameters:
  ///   - count: the number of values of all arrays, the same in each update.
  ///   - clippingValue: each gradient is brought into ±clippingValue, after the factor of `apply`; more than 0.
  ///   - body: updates each array once.
  /// - Throws: `RecurrentError` if a hyperparameter is not a number or out of its range, if the optimizer's state
  ///   belongs to another count of values, and what `body` throws.
  public mutating func update(
    count: Int, clippingValue: Float = .infinity, _ body: (inout OngoingUpdate) throws(RecurrentError) -> Void
  ) throws(RecurrentError) {
    try checkUpdates(updates)
    try checkNumber("clipping value", clippingValue, clippingValue > 0, "more than 0")
    let rule = try rule(ofUpdate: updates + 1)
    for index in state.names.indices where !state.values[index].isEmpty {
      try checkCount(
        "array '\(state.names[index])' of the optimizer", state.values[index].count, is: count,
        "the parameters' values")
    }
    let new = rule.usedStates.filter { state.values[$0].isEmpty }
    for index in new { state.values[index] = Array(repeating: 0, count: count) }
    let set = try Processor.active.floatSet, isLazy = isLazy
    var updated = 0, failure: RecurrentError?
    try state.withPointers { pointers throws(RecurrentError) in
      var update = OngoingUpdate(rule, set, count: count, isLazy: isLazy, clippingValue: clippingValue, state: pointers)
      do throws(RecurrentError) { try body(&update) } catch { failure = error }
      updated = update.position
    }
    if updated > 0 || failure == nil { state.updates += 1 } else { for index in new { state.values[index] = [] } }
    if let failure { throw failure }
    try checkCount("the updated arrays", updated, is: count, "the values of all arrays")
  }
}

// MARK: - Checks

/// - Throws: `RecurrentError` if a number of updates is negative, or if no other one can follow.
func checkUpdates(_ updates: Int) throws(RecurrentError) {
  guard updates >= 0, updates < Int.max else {
    throw .size(name: "updates", was: updates, expected: "0 to \(Int.max - 1)")
  }
}

extension Optimizer {
  func checkRate(l1: Float, l2: Float) throws(RecurrentError) {
    try checkNumber("learning rate", learningRate, learningRate >= 0 && learningRate.isFinite, "0 or more")
    try checkNumber("l1", l1, l1 >= 0 && l1.isFinite, "0 or more")
    try checkNumber("l2", l2, l2 >= 0 && l2.isFinite, "0 or more")
  }

  func checkFraction(_ name: String, _ value: Float) throws(RecurrentError) {
    try checkNumber(name, value, value >= 0 && value < 1, "0 up to less than 1")
  }

  func checkEpsilon(_ epsilon: Float) throws(RecurrentError) {
    try checkNumber("epsilon", epsilon, epsilon > 0 && epsilon.isFinite, "more than 0")
  }
}
