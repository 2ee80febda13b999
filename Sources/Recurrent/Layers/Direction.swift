/// The direction in which a layer runs over its sequences.
public enum Direction: Sendable, Equatable, CaseIterable {
  /// From the first step to the last.
  case forward
  /// From the last step of each sequence to the first.
  case reverse
  /// In both directions. y has 2·H features: those of the forward direction, then those of the reverse direction.
  case bidirectional
  /// In both directions. y is the sum of both and has H features.
  case bidirectionalSum
}
