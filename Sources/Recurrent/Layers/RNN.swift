/// The plain recurrent cell (Elman 1990, doi 10.1207/s15516709cog1402_1), one layer of one direction, as PyTorch's `RNN`.
///
///     h = tanh(W x + b_ih + U h' + b_hh), or ReLU instead of tanh
public struct RNN<Scalar: RecurrentScalar>: RecurrentLayer {
  public enum Nonlinearity: Sendable {
    case tanh, relu
  }

  public var layer: Layer<Scalar>

  /// - Parameters:
  ///   - inputSize: C, at least 1.
  ///   - hiddenSize: H, at least 1.
  ///   - bias: whether there are biases.
  ///   - nonlinearity: what h passes through.
  ///   - initialization: how the parameters are drawn; PyTorch's way by default.
  ///   - instructionSet: whose kernels run; `Processor.active` by default.
  /// - Throws: `RecurrentError` where a size is not positive or the processor lacks the instruction set.
  public init(
    inputSize: Int, hiddenSize: Int, bias: Bool = true, nonlinearity: Nonlinearity = .tanh,
    initialization: Initialization = Initialization(), instructionSet: InstructionSet? = nil
  ) throws(RecurrentError) {
    layer = try Layer(
      .rnn(relu: nonlinearity == .relu), inputSize: inputSize, hiddenSize: hiddenSize, bias: bias,
      initialization: initialization, instructionSet: instructionSet)
  }
}
