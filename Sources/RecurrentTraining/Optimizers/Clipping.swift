import Recurrent

/// Limits on the gradients. If both are set, the norm is limited first.
public struct Clipping: Sendable, Equatable {
  /// The norm √Σ g² of all gradients of an update is brought down to this, which is more than 0 (Pascanu, Mikolov,
  /// Bengio 2013, arXiv 1211.5063).
  public var norm: Double
  /// Each gradient is brought into ±value, which is more than 0.
  public var value: Float

  /// Limits, of which infinity clips nothing.
  public init(norm: Double = .infinity, value: Float = .infinity) {
    self.norm = norm
    self.value = value
  }

  /// Clips nothing.
  public static let none = Clipping()
  /// A limit of the norm.
  public static func norm(_ norm: Double) -> Clipping { Clipping(norm: norm) }
  /// A limit of each gradient.
  public static func value(_ value: Float) -> Clipping { Clipping(value: value) }
}

/// The factor that brings gradients of a norm down to at most `limit` (Pascanu, Mikolov, Bengio 2013, arXiv 1211.5063).
///
/// - Parameters:
///   - norm: of all gradients of an update.
///   - limit: more than 0; infinity clips nothing.
/// - Throws: `RecurrentError` if the norm is not finite, since no factor makes such gradients usable, or
///   if the limit is not more than 0.
public func clippingFactor(norm: Double, limit: Double) throws(RecurrentError) -> Float {
  try checkNumber("norm of the gradients", norm, norm >= 0 && norm.isFinite, "0 or more, and finite")
  try checkNumber("clipping norm", limit, limit > 0, "more than 0")
  return norm > limit ? Float(limit / norm) : 1
}

/// - Throws: `RecurrentError` that names the number, if it is not right.
func checkNumber(
  _ name: String, _ number: some BinaryFloatingPoint, _ isRight: Bool, _ expected: String
) throws(RecurrentError) {
  guard isRight else { throw .number(name, number, expected: expected) }
}

extension RecurrentError {
  /// A number that is out of its range.
  static func number(_ name: String, _ number: some BinaryFloatingPoint, expected: String) -> RecurrentError {
    // A NaN's sign says nothing.
    .value(name: name, was: "\(number.isNaN ? .nan : number)", expected: expected)
  }
}
