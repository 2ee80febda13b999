/// Gated recurrent unit (Cho et al. 2014, arXiv 1406.1078).
///
///     r, z = σ(W x + b_ih + U h' + b_hh)
///     reset after the product:   n = tanh(W x + b_ih + r∘(U h' + b_hh))   as PyTorch, Keras and cuDNN
///     reset before the product:  n = tanh(W x + b_ih + U (r∘h') + b_hh)   as the first paper
///     h = (1 - z)∘n + z∘h', or with z and 1 - z exchanged
///
/// Parameters hold the gates in the order r z n.
public struct GRU<Scalar: RecurrentScalar>: RecurrentLayer {
  /// Where the reset gate acts.
  public enum Reset: Sendable {
    /// On U h' + b_hh: one product serves all gates.
    case afterProduct
    /// On h': n's product waits for the gate.
    case beforeProduct
  }
  /// What the update gate z lets through.
  public enum Update: Sendable {
    /// h = (1 - z)∘n + z∘h'
    case keepsOld
    /// h = z∘n + (1 - z)∘h'
    case takesNew
  }

  public var layer: Layer<Scalar>

  /// - Parameters:
  ///   - inputSize: C, at least 1.
  ///   - hiddenSize: H, at least 1.
  ///   - layerCount: L, at least 1: levels, each the input of the next.
  ///   - direction: in which direction each level runs.
  ///   - dropout: between levels, while a call records with a seed: 0 ... 1.
  ///   - bias: whether there are biases.
  ///   - reset: where the reset gate acts.
  ///   - update: what the update gate lets through.
  ///   - flushesDenormals: whether calls read and write denormal numbers as zero.
  ///   - initialization: how the parameters are drawn; PyTorch's way by default.
  ///   - instructionSet: whose kernels run; `Processor.active` by default.
  /// - Throws: `RecurrentError` where a size is not positive or the processor lacks the instruction set.
  public init(
    inputSize: Int, hiddenSize: Int, layerCount: Int = 1, direction: Direction = .forward, dropout: Float = 0,
    bias: Bool = true, reset: Reset = .afterProduct, update: Update = .keepsOld,
    flushesDenormals: Bool = false, initialization: Initialization = Initialization(),
    instructionSet: InstructionSet? = nil
  ) throws(RecurrentError) {
    layer = try Layer(
      .gru(resetBefore: reset == .beforeProduct, zTakesNew: update == .takesNew), inputSize: inputSize,
      hiddenSize: hiddenSize, layerCount: layerCount, direction: direction, dropout: dropout, bias: bias,
      flushesDenormals: flushesDenormals, initialization: initialization, instructionSet: instructionSet)
  }
}
