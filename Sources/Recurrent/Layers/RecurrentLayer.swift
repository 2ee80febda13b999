/// What every layer does. T time steps, N sequences, C inputs, H hidden units; the rightmost dimension is contiguous.
///
/// Each call comes in two forms: one on `Sequences`, which allocates its results, and one on the caller's buffers, which
/// allocates nothing once its scratch and record have grown.
public protocol RecurrentLayer: Sendable {
  associatedtype Scalar: RecurrentScalar
  /// The layer without its cell's name.
  var layer: Layer<Scalar> { get set }
}

extension RecurrentLayer {
  public var cell: Cell { layer.cell }
  /// C
  public var inputSize: Int { layer.inputSize }
  /// H
  public var hiddenSize: Int { layer.hiddenSize }
  /// What the layer's kernels are compiled for.
  public var instructionSet: InstructionSet { layer.instructionSet }
  public var parameters: Parameters<Scalar> { layer.parameters }

  /// Replaces the parameters and packs them.
  ///
  /// - Throws: `RecurrentError.count` where an array has the wrong count; the layer is then as it was before.
  public mutating func setParameters(_ new: Parameters<Scalar>) throws(RecurrentError) {
    try layer.setParameters(new)
  }

  /// Changes the values of each parameter in place, in the order of `parameters.names`, and packs them again.
  public mutating func updateEachParameter(
    _ body: (_ name: String, _ values: UnsafeMutableBufferPointer<Scalar>) throws -> Void
  ) rethrows {
    try layer.updateEachParameter(body)
  }

  /// Gradients to add to: zeros in the parameters' shapes.
  public func zeroGradients() -> Parameters<Scalar> {
    var zeros = parameters
    zeros.forEach { $0 = Array(repeating: 0, count: $0.count) }
    return zeros
  }

  /// The state that sequences start from.
  ///
  /// - Parameter batchSize: N, at least 1.
  /// - Throws: `RecurrentError.size` where it is not.
  public func zeroState(batchSize: Int) throws(RecurrentError) -> State<Scalar> {
    let count = try checkedCount(("batchSize", batchSize), ("hiddenSize", hiddenSize))
    return State(
      h: Array(repeating: 0, count: count), c: cell.hasCellState ? Array(repeating: 0, count: count) : [])
  }
}
