/// The plain recurrent cell (Elman 1990, doi 10.1207/s15516709cog1402_1), as PyTorch's `RNN`.
///
///     h = tanh(W x + b_ih + U h' + b_hh), or ReLU instead of tanh
public struct RNN<Scalar: RecurrentScalar>: RecurrentLayer {
  /// What h passes through.
  public enum Nonlinearity: Sendable {
    /// tanh, or max(0, x).
    case tanh, relu
  }

  public var layer: Layer<Scalar>

  /// - Parameters:
  ///   - inputSize: C, at least 1.
  ///   - hiddenSize: H, at least 1.
  ///   - layerCount: L, at least 1: levels, each the input of the next.
  ///   - direction: in which direction each level runs.
  ///   - dropout: between levels, while a call records with a seed: 0 ... 1.
  ///   - bias: whether there are biases.
  ///   - nonlinearity: what h passes through.
  ///   - flushesDenormals: whether calls read and write denormal numbers as zero.
  ///   - initialization: how the parameters are drawn; PyTorch's way by default.
  ///   - instructionSet: whose kernels run; `Processor.active` by default.
  /// - Throws: `RecurrentError` where a size is not positive or the processor lacks the instruction set.
  public init(
    inputSize: Int, hiddenSize: Int, layerCount: Int = 1, direction: Direction = .forward, dropout: Float = 0,
    bias: Bool = true, nonlinearity: Nonlinearity = .tanh,
    flushesDenormals: Bool = false, initialization: Initialization = Initialization(),
    instructionSet: InstructionSet? = nil
  ) throws(RecurrentError) {
    layer = try Layer(
      .rnn(relu: nonlinearity == .relu), inputSize: inputSize, hiddenSize: hiddenSize, layerCount: layerCount,
      direction: direction, dropout: dropout, bias: bias, flushesDenormals: flushesDenormals,
      initialization: initialization, instructionSet: instructionSet)
  }
}
