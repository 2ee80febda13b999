import Recurrent
import RecurrentTraining

/// One cell that learns one problem at one lag, until it has learned it or the updates are used up.
struct MemoryTraining: Sendable {
  let problem: MemoryProblem
  let cell: MemoryCell
  let lag: Int
  /// The number of updates that were made.
  private(set) var updates = 0
  /// Over sequences that are not trained on: the mean squared error of adding, the fraction of right symbols of
  /// copying.
  private(set) var score = Double.nan
  private(set) var seconds = 0.0
  /// The error that ended the training; nil if there was none.
  private(set) var failure: String?

  init(_ problem: MemoryProblem, _ cell: MemoryCell, lag: Int) {
    self.problem = problem
    self.cell = cell
    self.lag = lag
  }

  /// Whether the answers are right: a mean squared error below 0.01, or 99 of 100 symbols.
  var hasLearned: Bool { problem == .adding ? score < 0.01 : score >= 0.99 }

  /// - Parameters:
  ///   - units: H
  ///   - limit: the most updates.
  ///   - progress: is called after each update with the fraction of all updates that is done.
  mutating func run(units: Int, limit: Int, seed: UInt64, _ progress: (Double) throws -> Void) throws {
    let begin = ContinuousClock.now, problem = problem
    var training = try ModelTraining(
      try MemoryModel(cell, problem, lag: lag, units: units, seed: seed), Adam(learningRate: cell.learningRate),
      clipping: .norm(1))
    var random = SeededGenerator(seed: seed), testRandom = SeededGenerator(seed: ~seed)
    let test = try problem.batch(lag: lag, count: 256, using: &testRandom)
    let largest = MemoryCell.largestWeight(steps: problem.steps(lag: lag))
    while updates < limit {
      let batch = try problem.batch(lag: lag, count: 32, using: &random)
      do {
        _ = try training.update(batch.x) { y throws(RecurrentError) in
          problem == .adding ? try MeanSquaredError()(y, batch.sums) : try SoftmaxCrossEntropy()(y, batch.symbols)
        }
      } catch {
        failure = "\(error)"
        break
      }
      if cell == .indrnn {
        training.model.layer.updateEachParameter { name, values in
          guard name.hasPrefix("weight_hh") else { return }
          for index in values.indices { values[index] = min(largest, max(-largest, values[index])) }
        }
      }
      updates += 1
      try progress(Double(updates) / Double(limit))
      guard updates % 50 == 0 || updates == limit else { continue }
      let y = try training.output(test.x)
      score =
        problem == .adding
        ? try MeanSquaredError()(y, test.sums).loss : try accuracy(y, test.symbols)
      // Somewhat better than what counts as learned, so that a lucky score is not the last one.
      if problem == .adding ? score < 0.005 : score > 0.995 { break }
    }
    seconds = (ContinuousClock.now - begin) / .seconds(1)
  }
}
