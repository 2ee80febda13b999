/// The gradient of a state. It is a type of its own, so that a state cannot be passed as a gradient.
public struct StateGradient<Scalar: RecurrentScalar>: Sendable, Equatable {
  /// The gradient of h, [L·D,N,H], level by level, the forward direction before the reverse one.
  public var dh: [Scalar]
  /// The gradient of c: [L·D,N,H] if the cell has c, otherwise empty.
  public var dc: [Scalar]

  /// - Parameters:
  ///   - dh: [L·D,N,H]
  ///   - dc: [L·D,N,H] if the cell has c, otherwise empty.
  public init(dh: [Scalar], dc: [Scalar] = []) {
    self.dh = dh
    self.dc = dc
  }
}

extension StateGradient: CustomStringConvertible {
  /// How many values dh and dc have.
  public var description: String {
    "StateGradient, dh of \(counted(dh.count, "value"))" + (dc.isEmpty ? "" : ", dc of \(dc.count)")
  }
}
