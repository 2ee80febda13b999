import Recurrent

/// What flows between modules, and what its gradient is.
public protocol Differentiable {
  /// The type of the gradient: `Void` for values that have none, such as symbols.
  associatedtype Gradient
}

/// A part of a model that computes something, with a backward written by hand.
///
/// `forward` returns what `backward` needs as a trace. A trace holds values and not the module: if it held the module,
/// an update would have to copy the parameters.
///
///     let (logits, trace) = try model(text, workspace)
///     let (loss, d) = try BinaryCrossEntropy()(logits, labels)
///     gradients.clear()
///     try model.backward(d, trace, into: &gradients, workspace)
///     try optimizer.update(&model, gradients)
public protocol Module<Input, Output>: Parameterized {
  /// What the module reads.
  associatedtype Input: Differentiable
  /// What it computes.
  associatedtype Output: Differentiable
  /// What `backward` needs of a call of `forward`.
  associatedtype Trace

  /// Computes the output. A caller calls the module itself, `module(input, workspace)`, which calls this.
  ///
  /// - Throws: `RecurrentError` if the input does not fit.
  func forward(_ input: Input, _ workspace: Workspace) throws(RecurrentError) -> (Output, Trace)

  /// The gradients through a call of `forward`.
  ///
  /// - Parameters:
  ///   - gradient: that of the output.
  ///   - trace: of the call, in a workspace that trains. Some traces can be used only once.
  ///   - gradients: those of the parameters are added to it.
  ///   - workspace: that of the call.
  /// - Returns: the gradient of the input.
  /// - Throws: `RecurrentError` if the gradient does not fit the call.
  @discardableResult
  func backward(
    _ gradient: Output.Gradient, _ trace: Trace, into gradients: inout Gradients<Self>, _ workspace: Workspace
  ) throws(RecurrentError) -> Input.Gradient
}

extension Module {
  /// Calls `forward`. An error in a part of the module says the part's name.
  public func callAsFunction(_ input: Input, _ workspace: Workspace) throws(RecurrentError) -> (Output, Trace) {
    try workspace.namingParts(of: self) { () throws(RecurrentError) in try forward(input, workspace) }
  }
}

extension Sequences: Differentiable where Scalar == Float {
  /// The gradient of each value.
  public typealias Gradient = Sequences<Float>
}

extension Module {
  /// The gradient through a module without parameters.
  ///
  /// - Throws: `RecurrentError` as the other form does.
  @discardableResult
  public func backward(
    _ gradient: Output.Gradient, _ trace: Trace, _ workspace: Workspace = Workspace()
  ) throws(RecurrentError) -> Input.Gradient where Self: Parameterless {
    var none = try Gradients(self)
    return try backward(gradient, trace, into: &none, workspace)
  }
}
