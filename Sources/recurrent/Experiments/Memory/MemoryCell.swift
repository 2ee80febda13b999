import Foundation
import Recurrent

/// The cells that the experiment compares, each with the start that long lags need.
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

  /// Of Adam. Gated cells bear steps that make the others jump.
  var learningRate: Float {
    switch self {
    case .irnn: 1e-3
    case .rnn, .indrnn: 3e-3
    case .gru, .lstm: 5e-3
    }
  }

  /// A layer for sequences of so many steps.
  ///
  /// - Throws: `RecurrentError` if a size is not positive.
  func layer(inputSize: Int, units: Int, steps: Int, seed: UInt64) throws(RecurrentError) -> Layer<Float> {
    var random = SeededGenerator(seed: seed &+ 0x5eed)
    switch self {
    case .rnn:
      // An orthogonal matrix neither shrinks nor grows a gradient; tanh still shrinks it.
      return try Layer(
        .rnn(), inputSize: inputSize, hiddenSize: units,
        initialization: Initialization(recurrent: .orthogonal, seed: seed))
    case .irnn:
      return try MemoryCell.reluLayer(
        identity: 1, inputSize: inputSize, units: units, steps: steps, random: &random)
    case .indrnn:
      // Units that remember from one step to all steps, in two levels, as in the paper.
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
      MemoryCell.spreadGateBiases(of: &layer, steps: steps, using: &random)
      return layer
    }
  }

  /// An RNN with ReLU whose U is a multiple of the identity (Le, Jaitly, Hinton 2015, arXiv 1504.00941).
  static func reluLayer(
    identity: Float, inputSize: Int, units: Int, steps: Int, random: inout SeededGenerator
  ) throws(RecurrentError) -> Layer<Float> {
    var layer = try Layer<Float>(
      .rnn(nonlinearity: .relu), inputSize: inputSize, hiddenSize: units, initialization: Initialization(seed: 0))
    layer.updateEachParameter { name, values in
      for index in values.indices {
        switch name {
        case "weight_hh_l0": values[index] = index / units == index % units ? identity : 0
        case "weight_ih_l0": values[index] = 0.1 * Float(random.nextNormal())
        default: values[index] = 0
        }
      }
    }
    return layer
  }

  /// The largest |u| of an IndRNN: a state at most doubles over all steps.
  static func largestWeight(steps: Int) -> Float { Float(pow(2, 1 / Double(steps))) }

  /// Gives the gate that keeps a unit's state a bias of log k, with k at random from 1 to T - 1: the unit then forgets
  /// over about k steps (Tallec, Ollivier 2018, arXiv 1804.11188). An LSTM's input gate gets -log k. With the usual
  /// bias of 1, a state is gone after some ten steps.
  static func spreadGateBiases(
    of layer: inout Layer<Float>, steps: Int, using random: inout SeededGenerator
  ) {
    let units = layer.hiddenSize, isLSTM = layer.cell == .lstm()
    let biases = (0..<units).map { _ in Float(log(Double.random(in: 1...Double(max(2, steps - 1)), using: &random))) }
    layer.updateEachParameter { name, values in
      guard name.hasPrefix("bias") else { return }
      for index in values.indices { values[index] = 0 }
      guard name == "bias_ih_l0" else { return }
      for unit in 0..<units {
        // The second gate is an LSTM's f and a GRU's z; the first one is an LSTM's i.
        values[units + unit] = biases[unit]
        if isLSTM { values[unit] = -biases[unit] }
      }
    }
  }
}
