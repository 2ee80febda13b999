/// The state of a layer between two steps.
public struct State<Scalar: RecurrentScalar>: Sendable, Equatable {
  /// [L·D,N,H], level by level, the forward direction before the reverse one.
  public var h: [Scalar]
  /// [L·D,N,H] if the cell has c, otherwise empty.
  public var c: [Scalar]

  /// - Parameters:
  ///   - h: [L·D,N,H]
  ///   - c: [L·D,N,H] if the cell has c, otherwise empty.
  public init(h: [Scalar], c: [Scalar] = []) {
    self.h = h
    self.c = c
  }
}

extension State: CustomStringConvertible {
  /// How many values h and c have.
  public var description: String { "State, h of \(counted(h.count, "value"))" + (c.isEmpty ? "" : ", c of \(c.count)") }
}
