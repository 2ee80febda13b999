/// In which direction a layer runs over its sequences.
public enum Direction: Sendable, Equatable, CaseIterable {
  /// From the first step to the last.
  case forward
  /// From the last step, of each sequence its own, to the first.
  case reverse
  /// Both; y is [forward, reverse], of 2·H.
  case bidirectional
  /// Both; y is the sum, of H.
  case bidirectionalSum
}
