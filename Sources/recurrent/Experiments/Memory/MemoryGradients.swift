import Recurrent
import RecurrentTraining

/// The gradients of a loss with respect to the state at every step. They come from the public interface alone: each
/// step is a call of its own that starts from the state of the step before, and backward hands the gradient of each
/// initial state to the call before. That is what backward through time computes in one call.
struct MemoryGradients {
  /// [T+1]: the norm of dL/dh[t] over all sequences. t = 0 is the initial state, and T the state after the last step.
  var h: [Double] = []
  /// [T+1]: the same of dL/dc[t]; empty if the cell has no c.
  var c: [Double] = []

  /// - Parameters:
  ///   - layer: of one level.
  ///   - head: reads the last output.
  ///   - batch: of the adding problem.
  init(_ layer: Layer<Float>, _ head: Dense, _ batch: MemoryBatch) throws(RecurrentError) {
    let x = batch.x, row = x.batchSize * x.size, w = Workspace()
    var state = try layer.zeroState(batchSize: x.batchSize), traces: [LayerTrace] = []
    for step in 0..<x.steps {
      let one = try Sequences(
        Array(x.values[step * row..<(step + 1) * row]), steps: 1, batchSize: x.batchSize, size: x.size)
      let (output, trace) = try layer.forward(one, initial: state, w)
      state = output.final
      traces.append(trace)
    }
    let last = try Sequences(state.h, steps: 1, batchSize: x.batchSize, size: layer.hiddenSize)
    let (y, headTrace) = try head(last, w)
    let (_, dy) = try MeanSquaredError()(y, batch.sums)
    var headGradients = try Gradients(head), layerGradients = try Gradients(layer)
    var dState = try layer.zeroStateGradient(batchSize: x.batchSize)
    dState.dh = try head.backward(dy, headTrace, into: &headGradients, w).values
    note(dState)
    for trace in traces.reversed() {
      dState = try layer.backwardThroughState(
        OutputGradient(dFinal: dState), trace, into: &layerGradients, w
      ).dInitial
      note(dState)
    }
    h.reverse()
    c.reverse()
  }

  private mutating func note(_ gradient: StateGradient<Float>) {
    func norm(_ values: [Float]) -> Double { values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot() }
    h.append(norm(gradient.dh))
    if !gradient.dc.isEmpty { c.append(norm(gradient.dc)) }
  }
}
