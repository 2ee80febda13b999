import Recurrent
import RecurrentTraining
import ToolSupport

/// A training by Adam, whose batches are divided among threads and whose learning rate warms up and then falls along a
/// cosine.
struct ParallelTraining {
  /// The options that `init` reads.
  static func options(epochs: Int, batchSize: Int, learningRate: Float) -> [Option] {
    [
      Option("epochs", "E", "times through the training part, \(epochs) by default"),
      Option("batch", "N", "sequences in an update, \(batchSize) by default"),
      Option("learning-rate", "R", "at its highest, \(learningRate) by default"),
    ]
  }

  let epochs: Int, batchSize: Int, learningRate: Float
  let threads: Int, seed: UInt64

  /// - Throws: `ToolError` if an option is wrong.
  init(_ options: Options, _ report: Report, epochs: Int, batchSize: Int, learningRate: Float) throws {
    self.epochs = try options.number("epochs", in: 1...100_000, default: epochs)
    self.batchSize = try options.number("batch", in: 1...100_000, default: batchSize)
    self.learningRate = try options.number("learning-rate", in: 1e-8...1e38, default: learningRate)
    (threads, seed) = (report.threads, report.seed)
    report.set("epochs", .integer(self.epochs))
    report.set("batch", .integer(self.batchSize))
    report.set("learning-rate", .number(Double(self.learningRate)))
  }

  /// Trains a model.
  ///
  /// - Parameters:
  ///   - model: the model before the first update.
  ///   - lengths: those of the training examples. Batches have examples of similar lengths.
  ///   - weights: how much each example counts in the loss of a batch.
  ///   - part: computes a part of a batch, whose examples are `numbers`: it adds their mean loss's gradients times
  ///     `weight`, and returns the mean loss.
  ///   - endOfEpoch: gets the number of epochs so far, the mean loss and the model, and returns the model's error in
  ///     validation.
  /// - Returns: the model after the epoch with the lowest result of `endOfEpoch`.
  /// - Throws: `Interrupted` if a signal asked for it, `ToolError` if a loss or gradient is not finite, and what the
  ///   closures throw.
  func run<M: Module>(
    _ model: M, lengths: [Int], weights: [Double],
    part:
      @escaping @Sendable (
        _ numbers: [Int], _ weight: Float, _ model: M, _ gradients: inout Gradients<M>, _ workspace: Workspace
      ) throws(RecurrentError) -> Double,
    endOfEpoch: (_ epoch: Int, _ loss: Double, _ model: M) throws -> Double
  ) throws -> M {
    var training = try ModelTraining(model, Adam(learningRate: learningRate), clipping: .norm(1))
    let parallel = try DataParallel(model, threads: Threads(count: threads), seed: seed)
    var batches = try ShuffledBatches(lengths: lengths, batchSize: batchSize, seed: seed)
    let updates = epochs * batches.count
    let schedule = try WarmUpSchedule(
      steps: max(1, updates / 20), then: CosineSchedule(rate: learningRate, steps: updates))
    var best = model, lowest = Double.infinity
    try runEpochs(epochs, updates: batches.count, label: "training") { _ in
      // `next` returns nil when an epoch ends.
      let batch = batches.next() ?? batches.next() ?? []
      let parts = (0..<threads).map { index in
        Array(batch[batch.count * index / threads..<batch.count * (index + 1) / threads])
      }
      let total = batch.reduce(0) { $0 + weights[$1] }
      let shares = parts.map { $0.reduce(0) { $0 + weights[$1] } / total }
      training.optimizer.learningRate = schedule.rate(atStep: training.updates)
      return try training.update(on: parallel) { index, model, gradients, workspace throws(RecurrentError) in
        guard !parts[index].isEmpty else { return 0 }
        return shares[index] * (try part(parts[index], Float(shares[index]), model, &gradients, workspace))
      }
    } endOfEpoch: { epoch, loss in
      let result: Double
      do {
        result = try endOfEpoch(epoch, loss, training.model)
      } catch let error as RecurrentError where error.isOfLoss {
        throw ToolError.lowerRateMayHelp("after update \(training.updates), \(error)")
      }
      if result < lowest { (best, lowest) = (training.model, result) }
      return true
    }
    return best
  }
}
