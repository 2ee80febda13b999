import Recurrent

/// Dropout (Srivastava et al. 2014): while the workspace trains, each value is zeroed with a probability, and the
/// others are scaled up so that the mean does not change.
public struct Dropout: Sendable, Parameterless {
  /// The probability of a zero, 0 up to less than 1.
  public let rate: Float
  private let instructionSet: InstructionSet

  /// - Throws: `RecurrentError.value` if the rate is out of its range.
  public init(rate: Float) throws(RecurrentError) {
    guard rate >= 0, rate < 1 else {
      throw .value(name: "dropout", was: "\(rate)", expected: "0 up to less than 1")
    }
    self.rate = rate
    instructionSet = try Processor.active
  }

  /// Multiplies the values by the mask of a seed. The values of the whole batch are one row of the mask.
  private func apply(_ seed: DropoutSeed, _ share: BatchShare?, to x: inout Sequences<Float>) {
    let (steps, batchSize, size) = (x.steps, x.batchSize, x.size)
    var seed = seed
    let isShare = share.map { $0.sequences.count == batchSize } ?? false
    if isShare { seed.firstSequence = 0 }
    let mask = DropoutMask(rate: rate, seed: seed, set: instructionSet.floatSet)
    x.withMutableValues { values in
      let start = values.baseAddress!
      guard isShare, let share else {
        mask.apply(layer: 0, step: 0, sequence: 0, size: values.count, from: UnsafePointer(start), to: start)
        return
      }
      for step in 0..<steps {
        let at = start + step * batchSize * size
        mask.apply(
          layer: 0, step: 0, sequence: 0, first: (step * share.batchSize + share.sequences.lowerBound) * size,
          size: batchSize * size, from: UnsafePointer(at), to: at)
      }
    }
  }
}

extension Dropout: Module {
  /// Drops values with the workspace's next mask, which the trace names.
  public func forward(
    _ x: Sequences<Float>, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, DropoutSeed?) {
    guard workspace.isTraining, rate > 0 else { return (x, nil) }
    let seed = workspace.nextMask()
    var y = x
    apply(seed, workspace.share, to: &y)
    return (y, seed)
  }

  public func backward(
    _ dy: Sequences<Float>, _ seed: DropoutSeed?, into gradients: inout Gradients<Dropout>, _ workspace: Workspace
  ) throws(RecurrentError) -> Sequences<Float> {
    var dx = dy
    if let seed { apply(seed, workspace.share, to: &dx) }
    return dx
  }
}
