/// What every layer does. T time steps, N sequences, C inputs, H hidden units, L levels, D directions; the rightmost
/// dimension is contiguous.
///
/// Each call comes in two forms: one on `Sequences`, which allocates its results, and one on the caller's buffers, which
/// allocates nothing once its scratch and record have grown.
public protocol RecurrentLayer: Sendable, CustomStringConvertible {
  /// The numbers that the layer computes with.
  associatedtype Scalar: RecurrentScalar
  /// The layer without its cell's name.
  var layer: Layer<Scalar> { get }
  /// Changes the values of each parameter in place, in the order of `parameters.names`, and packs them again.
  mutating func updateEachParameter(
    _ body: (_ name: String, _ values: UnsafeMutableBufferPointer<Scalar>) throws -> Void
  ) rethrows
}

extension RecurrentLayer {
  /// The equations.
  public var cell: Cell { layer.shape.cell }
  /// C
  public var inputSize: Int { layer.shape.inputSize }
  /// H
  public var hiddenSize: Int { layer.shape.hiddenSize }
  /// L
  public var layerCount: Int { layer.shape.layerCount }
  /// In which direction each level runs.
  public var direction: Direction { layer.shape.direction }
  /// Features of y: H, or 2·H of both directions next to each other.
  public var outputSize: Int { layer.shape.outputSize }
  /// L·D: states of N·H that a call starts from; level by level, forward before reverse, as PyTorch's h_n.
  public var stateCount: Int { layer.shape.parts }
  /// The probability with which `record` zeroes what one level hands to the next.
  public var dropout: Float { layer.dropout }
  /// Whether every call reads and writes denormal numbers as zero.
  public var flushesDenormals: Bool { layer.flushesDenormals }
  /// What the layer's kernels are compiled for.
  public var instructionSet: InstructionSet { layer.instructionSet }
  /// The parameters, by PyTorch's names; changed through `setParameters` or `updateEachParameter`.
  public var parameters: Parameters<Scalar> { layer.parameters }

  /// Replaces the parameters and packs them.
  ///
  /// - Throws: `RecurrentError.shape` if they are of another shape; the layer is then as it was before.
  public mutating func setParameters(_ new: Parameters<Scalar>) throws(RecurrentError) {
    try new.check(against: layer.shape, "these parameters")
    var start = 0
    updateEachParameter { _, values in
      _ = values.update(fromContentsOf: new.values[start..<start + values.count])
      start += values.count
    }
  }

  /// Gradients to add to: zeros in the parameters' shapes.
  public func zeroGradients() -> Parameters<Scalar> {
    Parameters(layer.shape)
  }

  /// The state that sequences start from.
  ///
  /// - Parameter batchSize: N, at least 1.
  /// - Throws: `RecurrentError.size` if it is not.
  public func zeroState(batchSize: Int) throws(RecurrentError) -> State<Scalar> {
    let count = try checkedCount(
      ("batchSize", batchSize), ("layers·directions·hiddenSize", stateCount * hiddenSize),
      scalarBytes: MemoryLayout<Scalar>.size)
    return State(
      h: Array(repeating: 0, count: count), c: layer.shape.hasCellState ? Array(repeating: 0, count: count) : [])
  }

  /// The gradient of a final state that nothing reads.
  ///
  /// - Parameter batchSize: N, at least 1.
  /// - Throws: `RecurrentError.size` if it is not.
  public func zeroStateGradient(batchSize: Int) throws(RecurrentError) -> StateGradient<Scalar> {
    let zero = try zeroState(batchSize: batchSize)
    return StateGradient(dh: zero.h, dc: zero.c)
  }

  /// The cell, its sizes, and what is not as it is by default.
  public var description: String {
    "\(layer.shape)" + (dropout > 0 ? ", dropout \(dropout)" : "")
      + (flushesDenormals ? ", flushing denormal numbers" : "")
  }
}
