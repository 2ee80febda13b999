/// The layout of the rows of a batch of sequences in memory. The features of a row are always next to each other.
public enum Layout: Sendable, Equatable, BitwiseCopyable {
  /// [T,N,size], PyTorch's default.
  case timeMajor
  /// [N,T,size], PyTorch's `batch_first`.
  case batchMajor
  /// Any distances, in scalars: from one step of a sequence to the next step, and from one sequence to the next one.
  case strided(step: Int, sequence: Int)
}

/// The distances of a layout, in scalars.
package struct Distances: Sendable {
  package let step: Int
  package let sequence: Int
  /// The number of scalars from the first to the last, both included.
  package let extent: Int

  package init(step: Int, sequence: Int, extent: Int) {
    self.step = step
    self.sequence = sequence
    self.extent = extent
  }

  /// - Throws: `RecurrentError` if rows would overlap, or if the distances are not positive or too large.
  package init(
    _ name: String, _ layout: Layout, steps: Int, batchSize: Int, size: Int
  ) throws(RecurrentError) {
    switch layout {
    case .timeMajor:
      step = batchSize * size
      sequence = size
      extent = steps * batchSize * size
    case .batchMajor:
      step = size
      sequence = steps * size
      extent = steps * batchSize * size
    case .strided(let step, let sequence):
      guard step >= 1, sequence >= 1 else {
        throw .layout(name: name, step: step, sequence: sequence, problem: .notPositive)
      }
      let (inSteps, overflow) = (steps - 1).multipliedReportingOverflow(by: step)
      let (inBatch, overflow2) = (batchSize - 1).multipliedReportingOverflow(by: sequence)
      let (both, overflow3) = inSteps.addingReportingOverflow(inBatch)
      let (extent, overflow4) = both.addingReportingOverflow(size)
      guard !overflow, !overflow2, !overflow3, !overflow4 else {
        throw .layout(name: name, step: step, sequence: sequence, problem: .tooLarge)
      }
      // Either all sequences of a step lie before the next step, or all steps of a sequence before the next sequence.
      let stepsApart = (steps == 1 || step >= inBatch + size) && (batchSize == 1 || sequence >= size)
      let sequencesApart = (batchSize == 1 || sequence >= inSteps + size) && (steps == 1 || step >= size)
      guard stepsApart || sequencesApart else {
        throw .layout(name: name, step: step, sequence: sequence, problem: .overlappingRows(of: size))
      }
      self.step = step
      self.sequence = sequence
      self.extent = extent
    }
  }
}
