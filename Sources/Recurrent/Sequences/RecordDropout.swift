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
