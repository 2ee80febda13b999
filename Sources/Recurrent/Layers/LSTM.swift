/// Long short-term memory (Hochreiter, Schmidhuber 1997, doi 10.1162/neco.1997.9.8.1735, with the forget gate of Gers,
/// Schmidhuber, Cummins 2000), one layer of one direction, as PyTorch's `LSTM` computes it.
///
///     i, f, o = σ(W x + b_ih + U h' + b_hh)    g = tanh(W x + b_ih + U h' + b_hh)
///     c = f∘c' + i∘g                           h = o∘tanh(c)
///
/// Parameters hold the gates in the order i f g o.
public struct LSTM<Scalar: RecurrentScalar>: RecurrentLayer {
  /// How h follows from c.
  public enum CellOutput: Sendable {
    /// h = o∘tanh(c)
    case tanh
    /// h = o∘c, a published variant.
    case linear
  }

  public var layer: Layer<Scalar>

  /// - Parameters:
  ///   - inputSize: C, at least 1.
  ///   - hiddenSize: H, at least 1.
  ///   - bias: whether there are biases.
  ///   - cellOutput: how h follows from c.
  ///   - initialization: how the parameters are drawn; PyTorch's way by default.
  ///   - instructionSet: whose kernels run; `Processor.active` by default.
  /// - Throws: `RecurrentError` where a size is not positive or the processor lacks the instruction set.
  public init(
    inputSize: Int, hiddenSize: Int, bias: Bool = true, cellOutput: CellOutput = .tanh,
    initialization: Initialization = Initialization(), instructionSet: InstructionSet? = nil
  ) throws(RecurrentError) {
    layer = try Layer(
      .lstm(linearOutput: cellOutput == .linear), inputSize: inputSize, hiddenSize: hiddenSize, bias: bias,
      initialization: initialization, instructionSet: instructionSet)
  }
}
