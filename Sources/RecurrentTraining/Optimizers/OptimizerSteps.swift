import Recurrent

// The word for updates that the trainers and the checkpoints still use.

extension Optimizer {
  /// The number of updates so far.
  package var steps: Int { updates }

  /// The kernel of an update.
  package func rule(atStep step: Int) throws(RecurrentError) -> UpdateRule { try rule(ofUpdate: step) }
}

extension OptimizerState {
  /// The number of updates so far.
  package var steps: Int { updates }

  /// Takes the place in a training of a checkpoint.
  package mutating func restore(
    steps: Int, arrays: [(name: String, values: [Float])]
  ) throws(RecurrentError) {
    try restore(updates: steps, arrays: arrays)
  }
}
