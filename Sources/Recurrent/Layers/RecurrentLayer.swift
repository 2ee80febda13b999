/// The calls of every layer. T is the number of time steps, N of sequences, C of inputs, H of hidden units, L of levels
/// and D of directions. The rightmost dimension of a shape is contiguous.
///
/// Each call has two forms. The form on `Sequences` allocates its results. The form on the caller's buffers allocates
/// nothing once its scratch and its record have grown.
public protocol RecurrentLayer: Sendable, CustomStringConvertible {
  /// The numbers that the layer computes with.
  associatedtype Scalar: RecurrentScalar
  /// The layer without its cell's name.
  var layer: Layer<Scalar> { get }
  /// Changes the values of all parameters in place, in the order of `parameters.names`, and packs them once.
  mutating func updateParameterValues<Result, Failure: Error>(
    _ body: (UnsafeMutableBufferPointer<Scalar>) throws(Failure) -> Result
  ) throws(Failure) -> Result
}

extension RecurrentLayer {
  /// The cell that the layer computes.
  public var cell: Cell { layer.shape.cell }
  /// C: the number of inputs.
  public var inputSize: Int { layer.shape.inputSize }
  /// H: the number of hidden units.
  public var hiddenSize: Int { layer.shape.hiddenSize }
  /// L: the number of levels.
  public var layerCount: Int { layer.shape.layerCount }
  /// The direction in which each level runs.
  public var direction: Direction { layer.shape.direction }
  /// The number of features of y: H, or 2·H if the layer is bidirectional.
  public var outputSize: Int { layer.shape.outputSize }
  /// L·D: the number of states [N,H] that a call starts from. They are ordered as in PyTorch's h_n: level by level, the
  /// forward direction before the reverse one.
  public var stateCount: Int { layer.shape.parts }
  /// The probability with which `record` zeroes a value on its way to the next level.
  public var dropout: Float { layer.dropout }
  /// How the layer keeps the weights that it multiplies by.
  public var weightFormat: WeightFormat { layer.weightFormat }
  /// Whether every call reads and writes denormal numbers as zero.
  public var flushesDenormals: Bool { layer.flushesDenormals }
  /// The instruction set that the layer's kernels are compiled for.
  public var instructionSet: InstructionSet { layer.instructionSet }
  /// The parameters, by PyTorch's names; changed through `setParameters`, `updateEachParameter` or
  /// `updateParameterValues`.
  public var parameters: Parameters<Scalar> { layer.parameters }

  /// Changes the values of each parameter in place, in the order of `parameters.names`, and packs them once.
  public mutating func updateEachParameter<Failure: Error>(
    _ body: (_ name: String, _ values: UnsafeMutableBufferPointer<Scalar>) throws(Failure) -> Void
  ) throws(Failure) {
    let all = Parameters<Scalar>.all(layer.shape)
    try updateParameterValues { values throws(Failure) in
      for (name, _, range) in all { try body(name, UnsafeMutableBufferPointer(rebasing: values[range])) }
    }
  }

  /// Reads the values of all parameters in place, in the order of `parameters.names`. A copy of `parameters` that
  /// outlives an update would make the update copy them.
  public func withParameterValues<Result, Failure: Error>(
    _ body: (UnsafeBufferPointer<Scalar>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try layer.content.parameters.values.withUnsafeBufferPointer { values throws(Failure) in try body(values) }
  }

  /// Replaces the parameters and packs them.
  ///
  /// - Throws: `RecurrentError.shape` if they have another shape. The layer does not change then.
  public mutating func setParameters(_ new: Parameters<Scalar>) throws(RecurrentError) {
    try new.check(against: layer.shape, "these parameters")
    updateParameterValues { _ = $0.update(fromContentsOf: new.values) }
  }

  /// Zeros in the shapes of the parameters, to which `backward` can add gradients.
  public func zeroGradients() -> Parameters<Scalar> {
    Parameters(layer.shape)
  }

  /// A state of zeros, from which sequences start by default.
  ///
  /// - Parameter batchSize: N, at least 1.
  /// - Throws: `RecurrentError` if it is smaller, or if the state would be larger than the machine's memory.
  public func zeroState(batchSize: Int) throws(RecurrentError) -> State<Scalar> {
    let count = try checkedCount(
      ("batchSize", batchSize), ("stateCount", stateCount), ("hiddenSize", hiddenSize),
      scalarBytes: MemoryLayout<Scalar>.size)
    return State(
      h: zeros(count), c: layer.shape.hasCellState ? zeros(count) : [])
  }

  /// A gradient of zeros, which is that of a final state that the loss does not depend on.
  ///
  /// - Parameter batchSize: N, at least 1.
  /// - Throws: `RecurrentError` if it is smaller, or if the state would be larger than the machine's memory.
  public func zeroStateGradient(batchSize: Int) throws(RecurrentError) -> StateGradient<Scalar> {
    let zero = try zeroState(batchSize: batchSize)
    return StateGradient(dh: zero.h, dc: zero.c)
  }

  /// The cell, its sizes, and the options that differ from the defaults.
  public var description: String {
    "\(layer.shape)" + (dropout > 0 ? ", dropout \(dropout)" : "")
      + (weightFormat == .full ? "" : ", weights in \(weightFormat.rawValue)")
      + (flushesDenormals ? ", flushing denormal numbers" : "")
  }
}
