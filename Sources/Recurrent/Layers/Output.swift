/// The outputs of a call on `Sequences`.
public struct Output<Scalar: RecurrentScalar>: Sendable, Equatable {
  /// h of the last level at every step, [T,N,H], or [T,N,2·H] of both directions
  public var y: Sequences<Scalar>
  /// The state after the last step.
  public var final: State<Scalar>

  package init(y: Sequences<Scalar>, final: State<Scalar>) {
    self.y = y
    self.final = final
  }
}
