import Recurrent
import RecurrentTraining

/// A training whose gradients explode at first: an RNN with ReLU from 1.05·I, on the adding problem, by SGD.
struct MemoryClipping: Sendable {
  /// Of each update: the loss, and the norm of the gradient of all parameters before clipping.
  private(set) var losses: [Double] = []
  private(set) var norms: [Double] = []
  /// What ended the training, and the number of that update, from 1; nil if nothing did.
  private(set) var failure: (update: Int, error: RecurrentError)?

  static let identity: Float = 1.05

  /// - Throws: `RecurrentError` if there is no memory, and what `progress` throws.
  init(
    _ clipping: Clipping, lag: Int, units: Int, updates: Int, seed: UInt64, _ progress: (Double) throws -> Void
  ) throws {
    var random = SeededGenerator(seed: seed)
    var model = try MemoryModel(.irnn, .adding, lag: lag, units: units, seed: seed)
    model.layer = try MemoryCell.reluLayer(
      identity: MemoryClipping.identity, inputSize: 2, units: units, steps: lag, random: &random)
    var gradients = try Gradients(model), optimizer = SGD(learningRate: 0.01)
    let workspace = Workspace()
    for update in 1...updates {
      let batch = try MemoryProblem.adding.batch(lag: lag, count: 32, using: &random)
      do throws(RecurrentError) {
        let (y, trace) = try model(batch.x, workspace)
        let (loss, d) = try MeanSquaredError()(y, batch.sums)
        gradients.clear()
        _ = try model.backward(d, trace, into: &gradients, workspace)
        losses.append(loss)
        norms.append(gradients.totalNorm)
        try optimizer.update(&model, gradients, clipping: clipping)
      } catch {
        failure = (update, error)
        break
      }
      try progress(Double(update) / Double(updates))
    }
  }
}
