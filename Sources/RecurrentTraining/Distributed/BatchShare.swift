/// Consecutive sequences of a larger batch, which one rank computes. A workspace that knows it draws the dropout masks
/// that the same sequences have in the whole batch.
public struct BatchShare: Sendable, Equatable {
  /// The positions of the sequences in the whole batch, from 0.
  public var sequences: Range<Int>
  /// The number of sequences in the whole batch.
  public var batchSize: Int

  /// Each parameter is explained at its property.
  public init(sequences: Range<Int>, batchSize: Int) {
    self.sequences = sequences
    self.batchSize = batchSize
  }

  /// The share of a rank: all shares have the same number of sequences, or one less.
  init(of batchSize: Int, rank: Int, count: Int) {
    sequences = batchSize * rank / count..<batchSize * (rank + 1) / count
    self.batchSize = batchSize
  }
}
