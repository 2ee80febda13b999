import CRecurrentKernels
import Recurrent

// Any cell is a module: `Layer<Float>` for a cell that is chosen at run time, and the types with the cells' names.
extension Layer: Parameterized, Module where Scalar == Float {}
extension LSTM: Parameterized, Module where Scalar == Float {}
extension GRU: Parameterized, Module where Scalar == Float {}
extension RNN: Parameterized, Module where Scalar == Float {}
extension IndRNN: Parameterized, Module where Scalar == Float {}

/// The gradient of what a layer computes; nil is zero.
public struct OutputGradient: Sendable {
  /// That of y, [T,N,outputSize].
  public var dy: Sequences<Float>?
  /// That of the final state, [L·D,N,H].
  public var dFinal: StateGradient<Float>?

  /// Each parameter is explained at its property.
  public init(dy: Sequences<Float>? = nil, dFinal: StateGradient<Float>? = nil) {
    self.dy = dy
    self.dFinal = dFinal
  }
}

extension Output: Differentiable where Scalar == Float {
  public typealias Gradient = OutputGradient
}

/// What the backward of a layer needs; it can be used once.
public final class LayerTrace {
  private var record: Record<Float>?
  private let wasTraining: Bool
  let x: Sequences<Float>

  /// - Parameter record: nil if the workspace did not train.
  init(record: Record<Float>?, x: Sequences<Float>) {
    self.record = record
    self.x = x
    wasTraining = record != nil
  }

  /// The record, which belongs to the caller from now on: the workspace will give it to another call.
  ///
  /// - Throws: `RecurrentError` if there is none, or no longer.
  func takeRecord() throws(RecurrentError) -> Record<Float> {
    guard wasTraining else {
      throw .value(
        name: "the workspace's isTraining", was: "false in forward",
        expected: "true, so that backward has a record")
    }
    defer { record = nil }
    guard let record else { throw .record(.empty) }
    return record
  }
}

extension RecurrentLayer where Scalar == Float {
  /// The parameters by PyTorch's names.
  public var parameterShapes: [ParameterShape] {
    Parameters<Float>.all(layer.shape).map { ParameterShape(name: $0.name, shape: $0.shape) }
  }
  /// Calls `body` with the values of all parameters.
  public func readParameters(_ body: (UnsafeBufferPointer<Float>) -> Void) { withParameterValues { body($0) } }
  /// Changes the values of all parameters in place, and packs them once.
  public mutating func updateParameters(_ body: (UnsafeMutableBufferPointer<Float>) -> Void) {
    updateParameterValues { body($0) }
  }
}

extension RecurrentLayer where Scalar == Float, Self: Parameterized {
  /// Runs sequences, each up to its length, from a zero state.
  ///
  /// - Throws: `RecurrentError` if a shape does not fit the layer.
  public func forward(
    _ x: Sequences<Float>, _ workspace: Workspace
  ) throws(RecurrentError) -> (Output<Float>, LayerTrace) {
    try forward(x, initial: nil, workspace)
  }

  /// Runs sequences, each up to its length, from a state.
  ///
  /// - Parameters:
  ///   - x: [T,N,C]
  ///   - initial: [L·D,N,H], such as the final state of an encoder; zero if nil.
  ///   - resets: [T,N], before which steps the state becomes zero.
  ///   - workspace: if it trains, values between levels are dropped, and the trace holds a record.
  /// - Throws: `RecurrentError` if a shape does not fit the layer.
  public func forward(
    _ x: Sequences<Float>, initial: State<Float>?, resets: [Bool]? = nil, _ workspace: Workspace
  ) throws(RecurrentError) -> (Output<Float>, LayerTrace) {
    try workspace.naming(self) { () throws(RecurrentError) in
      var options = CallOptions(resets: resets, dropout: .off)
      guard workspace.isTraining else {
        let output = try forward(x, initial: initial, options: options, scratch: workspace.scratch)
        return (output, LayerTrace(record: nil, x: x))
      }
      let mode = flush_to_zero()
      defer { restore_denormals(mode) }
      if dropout > 0, layerCount > 1 { options.dropout = .seeded(workspace.nextMask()) }
      let (record, output) = try record(
        x, initial: initial, into: workspace.takeRecord(), options: options, scratch: workspace.scratch)
      return (output, LayerTrace(record: record, x: x))
    }
  }

  /// Backward through time.
  ///
  /// - Returns: the gradient of x, [T,N,C].
  /// - Throws: `RecurrentError` if the workspace did not train, if the trace was used before, or if a shape does not
  ///   fit.
  public func backward(
    _ gradient: OutputGradient, _ trace: LayerTrace, into gradients: inout Gradients<Self>, _ workspace: Workspace
  ) throws(RecurrentError) -> Sequences<Float> {
    try backwardThroughState(gradient, trace, into: &gradients, workspace).dx
  }

  /// Backward through time, up to the initial state.
  ///
  /// - Returns: the gradients of x, [T,N,C], and of the initial state, [L·D,N,H].
  /// - Throws: `RecurrentError` as `backward` does.
  public func backwardThroughState(
    _ gradient: OutputGradient, _ trace: LayerTrace, into gradients: inout Gradients<Self>, _ workspace: Workspace
  ) throws(RecurrentError) -> InputGradients<Float> {
    try inPart(gradients.name) { () throws(RecurrentError) in
      let record = try trace.takeRecord()
      // Gradients that vanish on their way back become denormal numbers, which have no effect and take long.
      let mode = flush_to_zero()
      defer { restore_denormals(mode) }
      let result = try gradients.withMutableValues { gradients throws(RecurrentError) in
        try backward(
          consuming: record, x: trace.x, dy: gradient.dy, dFinal: gradient.dFinal, into: gradients,
          scratch: workspace.scratch)
      }
      workspace.giveBack(record)
      return result
    }
  }
}
