/// Whether `record` drops values between levels. Only layers with a dropout rate and several levels do.
public enum RecordDropout: Sendable, Equatable, BitwiseCopyable {
  /// It drops with a random seed, which the record's `dropoutSeed` returns. Drawing the seed makes a system call.
  case drawn
  /// It drops with the caller's seed.
  case seeded(DropoutSeed)
  /// It drops nothing. The outputs have the same bits as those of `forward`.
  case off

  /// Dropout with the caller's seed, for a batch that starts with the first sequence and the first step of the data.
  public static func seed(_ seed: UInt64) -> RecordDropout { .seeded(DropoutSeed(seed)) }

  /// The seed of the masks; nil if nothing is dropped.
  package var seed: DropoutSeed? {
    switch self {
    case .drawn: DropoutSeed(UInt64.random(in: 0 ... .max))
    case .seeded(let seed): seed
    case .off: nil
    }
  }
}
