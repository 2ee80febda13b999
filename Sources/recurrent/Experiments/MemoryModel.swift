import Foundation
import Recurrent
import RecurrentTraining

/// The cells that the experiment compares, each with the initialization by which it is known for long lags.
enum MemoryCell: String, CaseIterable, Sendable {
  case rnn, irnn, indrnn, gru, lstm

  var title: String {
    switch self {
    case .rnn: "RNN, tanh"
    case .irnn: "RNN, ReLU from I"
    case .indrnn: "IndRNN"
    case .gru: "GRU"
    case .lstm: "LSTM"
    }
  }

  /// A layer that is ready to learn lags of so many steps.
  func layer(inputSize: Int, units: Int, steps: Int, seed: UInt64) throws -> Layer<Float> {
    var random = SeededGenerator(seed: seed &+ 1000)
    switch self {
    case .rnn:
      return try Layer(
        .rnn(), inputSize: inputSize, hiddenSize: units,
        initialization: Initialization(recurrent: .orthogonal, seed: seed))
    case .irnn:
      var layer = try Layer<Float>(
        .rnn(nonlinearity: .relu), inputSize: inputSize, hiddenSize: units, initialization: Initialization(seed: seed))
      layer.updateEachParameter { name, values in
        for index in values.indices {
          switch name {
          case "weight_hh_l0": values[index] = index / units == index % units ? 1 : 0
          case "weight_ih_l0": values[index] = Float(random.nextNormal()) * irnnInput
          default: values[index] = 0
          }
        }
      }
      return layer
    case .indrnn:
      var layer = try Layer<Float>(
        .indRNN(), inputSize: inputSize, hiddenSize: units, layerCount: 2, initialization: Initialization(seed: seed))
      let largest = MemoryCell.largestWeight(steps: steps)
      layer.updateEachParameter { name, values in
        for index in values.indices {
          if name.hasPrefix("weight_hh") { values[index] = Float.random(in: 0...largest, using: &random) }
          if name.hasPrefix("bias") { values[index] = 0 }
        }
      }
      return layer
    case .gru, .lstm:
      var layer = try Layer<Float>(
        self == .gru ? .gru() : .lstm(), inputSize: inputSize, hiddenSize: units,
        initialization: Initialization(recurrent: .orthogonal, seed: seed))
      let gates = layer.cell == .gru() ? 3 : 4
      // Chrono: gates that keep states for 1 to T steps
      var keeps = (0..<units).map { _ in Float(log(Double.random(in: 1...Double(max(2, steps - 1)), using: &random))) }
      if !chrono { keeps = keeps.map { _ in 1 } }
      layer.updateEachParameter { name, values in
        guard name.hasPrefix("bias") else { return }
        for index in values.indices { values[index] = 0 }
        guard name.hasPrefix("bias_ih") else { return }
        for unit in 0..<units {
          values[units + unit] = keeps[unit]
          if gates == 4, chrono { values[unit] = -keeps[unit] }
        }
      }
      return layer
    }
  }
  nonisolated(unsafe) static var x = 0
  static func largestWeight(steps: Int) -> Float { Float(pow(2, 1 / Double(steps))) }
}
nonisolated(unsafe) var chrono = true
nonisolated(unsafe) var irnnInput: Float = 0.001

/// A recurrent layer whose last outputs a dense head reads.
struct MemoryModel: Module, Composite {
  static let parts: [Part<MemoryModel>] = [Part("layer", \.layer), Part("head", \.head)]
  var layer: Layer<Float>, head: Dense
  /// The number of steps that the head reads.
  let answers: Int

  struct Trace {
    let layer: LayerTrace
    /// [T,N,H], zeros, into which the gradient of the last steps is written.
    let shape: Sequences<Float>
    let head: Dense.Trace
  }

  init(_ cell: MemoryCell, _ problem: MemoryProblem, lag: Int, units: Int, seed: UInt64) throws {
    layer = try cell.layer(
      inputSize: problem.inputSize, units: units, steps: problem.steps(lag: lag), seed: seed)
    head = try Dense(inputSize: units, outputSize: problem.outputSize, seed: seed &+ 1)
    answers = problem.answers
  }

  /// [answers,N,outputs] of [T,N,C]
  func forward(_ x: Sequences<Float>, _ w: Workspace) throws(RecurrentError) -> (Sequences<Float>, Trace) {
    let (output, layerTrace) = try layer(x, w)
    let row = output.y.batchSize * output.y.size
    let last = try Sequences(
      Array(output.y.values.suffix(answers * row)), steps: answers, batchSize: output.y.batchSize, size: output.y.size)
    let (y, headTrace) = try head(last, w)
    let zeros = try Sequences<Float>(steps: x.steps, batchSize: x.batchSize, size: output.y.size)
    return (y, Trace(layer: layerTrace, shape: zeros, head: headTrace))
  }

  func backward(
    _ dy: Sequences<Float>, _ trace: Trace, into g: inout Gradients<MemoryModel>, _ w: Workspace
  ) throws(RecurrentError) -> Sequences<Float> {
    let dLast = try head.backward(dy, trace.head, into: &g.head, w)
    var dOutput = trace.shape
    dOutput.withMutableValues { values in
      let first = values.count - dLast.values.count
      for (index, value) in dLast.values.enumerated() { values[first + index] = value }
    }
    return try layer.backward(OutputGradient(dy: dOutput), trace.layer, into: &g.layer, w)
  }
}
