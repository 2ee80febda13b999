/// What `backward` gives besides the parameters' gradients.
public struct InputGradients<Scalar: RecurrentScalar>: Sendable, Equatable {
  /// [T,N,C]
  public var dx: Sequences<Scalar>
  /// Gradients of the initial h and c, [L·D,N,H].
  public var dInitial: StateGradient<Scalar>

  package init(dx: Sequences<Scalar>, dInitial: StateGradient<Scalar>) {
    self.dx = dx
    self.dInitial = dInitial
  }
}
