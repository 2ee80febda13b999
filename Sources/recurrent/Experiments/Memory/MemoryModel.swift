import Recurrent
import RecurrentTraining

/// A recurrent layer whose last outputs a dense head reads.
struct MemoryModel: Module, Composite {
  static let parts: [Part<MemoryModel>] = [Part("layer", \.layer), Part("head", \.head)]
  var layer: Layer<Float>, head: Dense
  /// The number of steps that the head reads.
  let answers: Int

  struct Trace {
    let layer: LayerTrace
    /// T
    let steps: Int
    let head: Dense.Trace
  }

  /// - Throws: `RecurrentError` if a size is not positive.
  init(
    _ cell: MemoryCell, _ problem: MemoryProblem, lag: Int, units: Int, seed: UInt64
  ) throws(RecurrentError) {
    layer = try cell.layer(inputSize: problem.inputSize, units: units, steps: problem.steps(lag: lag), seed: seed)
    head = try Dense(inputSize: units, outputSize: problem.outputSize, seed: seed &+ 1)
    answers = problem.answers
  }

  /// [answers,N,outputs] of [T,N,C]
  func forward(_ x: Sequences<Float>, _ w: Workspace) throws(RecurrentError) -> (Sequences<Float>, Trace) {
    let (output, layerTrace) = try layer(x, w)
    let y = output.y, row = y.batchSize * y.size
    let last = try Sequences(
      Array(y.values.suffix(answers * row)), steps: answers, batchSize: y.batchSize, size: y.size)
    let (answer, headTrace) = try head(last, w)
    return (answer, Trace(layer: layerTrace, steps: x.steps, head: headTrace))
  }

  func backward(
    _ d: Sequences<Float>, _ trace: Trace, into g: inout Gradients<MemoryModel>, _ w: Workspace
  ) throws(RecurrentError) -> Sequences<Float> {
    let dLast = try head.backward(d, trace.head, into: &g.head, w)
    var dy = try Sequences<Float>(steps: trace.steps, batchSize: dLast.batchSize, size: dLast.size)
    dy.withMutableValues { values in
      let first = values.count - dLast.values.count
      for (index, value) in dLast.values.enumerated() { values[first + index] = value }
    }
    return try layer.backward(OutputGradient(dy: dy), trace.layer, into: &g.layer, w)
  }
}
