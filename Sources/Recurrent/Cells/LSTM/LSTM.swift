/// Long short-term memory (Hochreiter, Schmidhuber 1997, doi 10.1162/neco.1997.9.8.1735, with the forget gate of Gers,
/// Schmidhuber, Cummins 2000), as PyTorch's `LSTM` computes it.
///
///     i, f, o = σ(W x + b_ih + U h' + b_hh)    g = tanh(W x + b_ih + U h' + b_hh)
///     c = f∘c' + i∘g                           h = o∘tanh(c)
///
/// Parameters hold the gates in the order i f g o.
public struct LSTM<Scalar: RecurrentScalar>: RecurrentLayer {
  /// How h is computed from c.
  public typealias CellOutput = Cell.CellOutput

  /// The same layer as a `Layer`. Only its parameters can change, so its cell is always the one in the type's name.
  public private(set) var layer: Layer<Scalar>

  /// - Parameters:
  ///   - inputSize: C, at least 1.
  ///   - hiddenSize: H, at least 1.
  ///   - layerCount: L, the number of levels, at least 1. The output of each level is the input of the next one.
  ///   - direction: the direction in which each level runs.
  ///   - dropout: the probability that `record` zeroes a value on its way to the next level, 0 ... 1.
  ///   - bias: whether the layer has biases.
  ///   - weights: how the layer keeps the weights that it multiplies by. A layer with weights in 8 bits cannot be
  ///     trained.
  ///   - cellOutput: how h is computed from c.
  ///   - flushesDenormals: whether calls read and write denormal numbers as zero.
  ///   - initialization: how the parameters are drawn; by default as PyTorch draws them.
  ///   - instructionSet: the instruction set whose kernels run; `Processor.active` by default.
  /// - Throws: `RecurrentError` if a size is not positive, another number is out of its range or the processor lacks
  ///   the instruction set.
  public init(
    inputSize: Int, hiddenSize: Int, layerCount: Int = 1, direction: Direction = .forward, dropout: Float = 0,
    bias: Bool = true, weights: WeightFormat = .full, cellOutput: CellOutput = .tanh,
    flushesDenormals: Bool = false, initialization: Initialization = Initialization(),
    instructionSet: InstructionSet? = nil
  ) throws(RecurrentError) {
    layer = try Layer(
      .lstm(cellOutput: cellOutput), inputSize: inputSize, hiddenSize: hiddenSize, layerCount: layerCount,
      direction: direction, dropout: dropout, bias: bias, weights: weights, flushesDenormals: flushesDenormals,
      initialization: initialization, instructionSet: instructionSet)
  }

  /// Changes the values of all parameters in place, in the order of `parameters.names`, and packs them once.
  public mutating func updateParameterValues<Result, Failure: Error>(
    _ body: (UnsafeMutableBufferPointer<Scalar>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try layer.updateParameterValues(body)
  }
}
