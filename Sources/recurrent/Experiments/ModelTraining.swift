import Foundation
import Recurrent
import RecurrentTraining
import ToolSupport

/// A model in training: what an update needs, and what to say when one fails.
struct ModelTraining<M: Module, O: Optimizer> {
  var model: M
  var optimizer: O
  /// How large gradients may be.
  var clipping: Clipping
  let workspace: Workspace
  /// Those of the last update.
  private(set) var gradients: Gradients<M>
  /// The number of updates so far.
  private(set) var updates = 0

  init(
    _ model: M, _ optimizer: O, clipping: Clipping = .none, workspace: Workspace = Workspace()
  ) throws {
    self.model = model
    self.clipping = clipping
    self.workspace = workspace
    self.optimizer = optimizer
    gradients = try Gradients(model)
  }

  /// One update.
  ///
  /// - Parameter loss: of the model's output, with its gradient.
  /// - Returns: the loss before the update.
  /// - Throws: `ToolError` that names the update, and the largest gradient so far, if the loss or a gradient is not
  ///   finite; otherwise what the model, the loss or the optimizer throws.
  mutating func update(
    _ input: M.Input,
    loss: (consuming M.Output) throws(RecurrentError) -> (loss: Double, gradient: M.Output.Gradient)
  ) throws -> Double {
    workspace.isTraining = true
    let (output, trace) = try model(input, workspace)
    let value: Double, gradient: M.Output.Gradient
    do throws(RecurrentError) {
      (value, gradient) = try loss(output)
    } catch {
      // A wrong target is not the fault of the numbers.
      guard error.isOfLoss else { throw error }
      throw refusal(error)
    }
    gradients.clear()
    try model.backward(gradient, trace, into: &gradients, workspace)
    try applyGradients()
    return value
  }

  /// One update on a batch whose parts run side by side.
  ///
  /// - Parameter body: computes a part, as `DataParallel.Body` says.
  /// - Returns: the sum of what the parts return.
  /// - Throws: the same errors as the other `update`.
  mutating func update(on parallel: DataParallel<M>, _ body: DataParallel<M>.Body) throws -> Double {
    let value: Double
    do throws(RecurrentError) {
      value = try parallel.gradients(of: model, into: &gradients, body)
    } catch {
      guard error.isOfLoss else { throw error }
      throw refusal(error)
    }
    try applyGradients()
    return value
  }

  /// One update on a batch, of which each rank computes its share.
  ///
  /// - Parameters:
  ///   - batch: the numbers of the batch's examples.
  ///   - input: what the model reads of some examples.
  ///   - loss: of the model's output for some examples, with its gradient.
  /// - Returns: the loss before the update, of the whole batch.
  /// - Throws: with one rank, the same errors as the other `update`; with several, `RecurrentError.rank` on all of them
  ///   if one fails.
  mutating func update(
    on ranks: Ranks, _ batch: [Int], input: ([Int]) throws -> M.Input,
    loss: (consuming M.Output, [Int]) throws(RecurrentError) -> (loss: Double, gradient: M.Output.Gradient)
  ) throws -> Double {
    workspace.isTraining = true
    let value: Double
    do {
      value = try ranks.gradients(of: batch, into: &gradients, workspace) { [model, workspace] share, gradients in
        let (output, trace) = try model(try input(share), workspace)
        let (value, gradient) = try loss(output, share)
        try model.backward(gradient, trace, into: &gradients, workspace)
        return value
      }
    } catch let error as RecurrentError where error.isOfLoss {
      throw refusal(error)
    }
    try applyGradients()
    return value
  }

  private mutating func applyGradients() throws {
    do throws(RecurrentError) {
      try optimizer.update(&model, gradients, clipping: clipping)
    } catch {
      guard !gradients.totalNorm.isFinite else { throw error }
      throw refusal(error)
    }
    updates += 1
  }

  /// What to say of a loss or a gradient that is not finite.
  private func refusal(_ error: RecurrentError) -> any Error {
    // Without an update before, no learning rate has done it.
    guard updates > 0 else { return ToolError("update 1 is refused: \(error)") }
    // Parts of a batch begin with gradients of zero, which say nothing.
    let (parameter, value) = gradients.largest
    let largest = value == 0 ? "" : "; the largest gradient was \(value), of \(parameter)"
    return ToolError.lowerRateMayHelp("update \(updates + 1) is refused: \(error)\(largest)")
  }

  /// The model's output, without what only training needs.
  func output(_ input: M.Input) throws -> M.Output {
    workspace.isTraining = false
    return try model(input, workspace).0
  }
}

/// Runs epochs of updates with a progress bar.
///
/// - Parameters:
///   - count: the number of epochs.
///   - updates: the number of updates of an epoch.
///   - label: the text before the bar.
///   - update: one update, by its number in the epoch; returns the loss.
///   - endOfEpoch: gets the number of epochs so far and the mean loss; returns whether to go on.
/// - Throws: `Interrupted` if a signal asked for it, and what the closures throw.
func runEpochs(
  _ count: Int, updates: Int, label: String, update: (Int) throws -> Double,
  endOfEpoch: (_ epoch: Int, _ loss: Double) throws -> Bool
) throws {
  var bar = ProgressBar(label)
  defer { bar.finish() }
  for epoch in 1...count {
    var sum = 0.0
    for index in 0..<updates {
      try Interrupted.check()
      let loss = try update(index)
      sum += loss
      bar.show(
        (Double(epoch - 1) + Double(index + 1) / Double(updates)) / Double(count),
        ["epoch \(epoch) of \(count)", String(format: "loss %.4f", loss)])
    }
    bar.finish()
    guard try endOfEpoch(epoch, sum / Double(updates)) else { break }
  }
}

extension ToolError {
  /// The error of a loss or a gradient that an update may have made infinite.
  static func lowerRateMayHelp(_ what: String) -> ToolError { ToolError("\(what): a lower learning rate may help") }
}
