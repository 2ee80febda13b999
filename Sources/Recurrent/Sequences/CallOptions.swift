/// Where the rows of a batch of sequences lie in memory; the features of a row are always next to each other.
public enum Layout: Sendable, Equatable, BitwiseCopyable {
  /// [T,N,size], PyTorch's default.
  case timeMajor
  /// [N,T,size], PyTorch's `batch_first`.
  case batchMajor
  /// Any distances, in scalars: from one step of a sequence to its next, and from one sequence to the next.
  case strided(step: Int, sequence: Int)
}

/// Identifies the dropout masks between levels: the same numbers give the same masks, however a batch is split.
public struct DropoutSeed: Sendable, Equatable, BitwiseCopyable {
  /// Other seeds give other masks.
  public var seed: UInt64
  /// The number of the batch's first sequence in the data; the others follow.
  public var firstSequence: Int
  /// The number of the call's first step in its sequences, where they are cut in pieces.
  public var firstStep: Int

  /// - Parameters:
  ///   - seed: any number.
  ///   - firstSequence: the number of the batch's first sequence in the data.
  ///   - firstStep: the number of the call's first step in its sequences.
  public init(_ seed: UInt64, firstSequence: Int = 0, firstStep: Int = 0) {
    self.seed = seed
    self.firstSequence = firstSequence
    self.firstStep = firstStep
  }
}

/// Whether `record` drops between levels. Only layers with a dropout rate and several levels drop.
public enum RecordDropout: Sendable, Equatable, BitwiseCopyable {
  /// With a random seed, which the record's `dropoutSeed` returns. Drawing it makes a system call.
  case drawn
  /// With the caller's seed.
  case seeded(DropoutSeed)
  /// Not at all: the outputs are those of `forward`, bit for bit.
  case off

  /// With the caller's seed, for a batch of the data's first sequences and steps.
  public static func seed(_ seed: UInt64) -> RecordDropout { .seeded(DropoutSeed(seed)) }

  /// The seed to drop with.
  package var seed: DropoutSeed? {
    switch self {
    case .drawn: DropoutSeed(UInt64.random(in: 0 ... .max))
    case .seeded(let seed): seed
    case .off: nil
    }
  }
}

/// What a call can be told about its sequences beyond T and N.
public struct CallOptions: Sendable {
  /// [N], each 0 ... T; T by default. Past its length a sequence's state stands still, its y is 0, what x and dy hold
  /// there does not matter, and no gradient flows there.
  public var lengths: [Int]?
  /// [T,N], time-major: where it is true, the state before that step is zero, as if a new sequence began there; nothing
  /// flows across, in either direction. Before the first step it takes the place of a forward direction's initial state.
  public var resets: [Bool]?
  /// Of x and dx.
  public var xLayout: Layout
  /// Of y and dy.
  public var yLayout: Layout
  /// Dropout between levels, in `record`; `backward` takes it from the record, and `forward` never drops.
  public var dropout: RecordDropout

  /// Full sequences, time-major, but for what is said here; each is explained at its property.
  public init(
    lengths: [Int]? = nil, resets: [Bool]? = nil, xLayout: Layout = .timeMajor, yLayout: Layout = .timeMajor,
    dropout: RecordDropout = .drawn
  ) {
    self.lengths = lengths
    self.resets = resets
    self.xLayout = xLayout
    self.yLayout = yLayout
    self.dropout = dropout
  }
}

/// A layout with its distances.
package struct Distances: Sendable {
  package let step: Int
  package let sequence: Int
  /// From the first scalar to behind the last.
  package let extent: Int

  package init(step: Int, sequence: Int, extent: Int) {
    self.step = step
    self.sequence = sequence
    self.extent = extent
  }

  /// - Throws: `RecurrentError` if rows would overlap or the distances cannot be counted with.
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
      // Either all sequences of a step lie between two steps, or all steps of a sequence between two sequences.
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
