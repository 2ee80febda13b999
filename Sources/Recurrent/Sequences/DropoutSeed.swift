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
