/// Identifies the dropout masks between levels. The same numbers give the same masks, no matter how a batch is split.
public struct DropoutSeed: Sendable, Equatable, BitwiseCopyable {
  /// The seed. Different seeds give different masks.
  public var seed: UInt64
  /// The number of the batch's first sequence in the data. The other sequences have the next numbers.
  public var firstSequence: Int
  /// The number of the call's first step in its sequences, if the sequences are cut into pieces.
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
