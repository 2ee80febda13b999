/// The outputs of a call on `Sequences`.
public struct Output<Scalar: RecurrentScalar>: Sendable, Equatable {
  /// The h of the last level at every step: [T,N,H], or [T,N,2·H] if the layer is bidirectional.
  public var y: Sequences<Scalar>
  /// The state after the last step.
  public var final: State<Scalar>
  /// H
  package let hiddenSize: Int

  package init(y: Sequences<Scalar>, final: State<Scalar>, hiddenSize: Int) {
    self.hiddenSize = hiddenSize
    self.y = y
    self.final = final
  }
}

extension Output: CustomStringConvertible {
  /// The shape of y, and what the state holds.
  public var description: String { "Output, y: \(y), final: \(final)" }
}
