/// Whether a metric is better if it is lower or if it is higher.
public enum Goal: String, Sendable, CaseIterable, Codable {
  /// A loss.
  case lowest
  /// An accuracy.
  case highest

  /// Whether a metric beats the best one so far by more than some amount. The first one always does.
  func isBetter(_ metric: Double, than best: Double?, by amount: Double) -> Bool {
    guard let best else { return true }
    return self == .lowest ? metric < best - amount : metric > best + amount
  }
}
