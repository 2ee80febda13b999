/// The gradients that `backward` returns: all except those of the parameters.
public struct InputGradients<Scalar: RecurrentScalar>: Sendable, Equatable {
  /// The gradient of x, [T,N,C].
  public var dx: Sequences<Scalar>
  /// The gradient of the initial state, [L·D,N,H].
  public var dInitial: StateGradient<Scalar>

  package init(dx: Sequences<Scalar>, dInitial: StateGradient<Scalar>) {
    self.dx = dx
    self.dInitial = dInitial
  }
}
