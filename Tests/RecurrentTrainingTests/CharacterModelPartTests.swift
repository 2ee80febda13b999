import Foundation
import Recurrent
import RecurrentTraining
import Testing

/// What the character model is made of, and its loss, each by itself.
@Suite struct CharacterModelPartTests {
  @Test func denseGradientsAreFiniteDifferences() throws {
    for (rows, inputs, outputs) in [(1, 1, 1), (5, 7, 3), (13, 16, 33), (300, 5, 66)] {
      var dense = try Dense(inputSize: inputs, outputSize: outputs, seed: 1)
      var random = SeededGenerator(seed: 2)
      var x = (0..<rows * inputs).map { _ in Float.random(in: -1...1, using: &random) }
      let dy = (0..<rows * outputs).map { _ in Float.random(in: -1...1, using: &random) }
      func loss() throws -> Double {
        var sum = 0.0
        for row in 0..<rows {
          for unit in 0..<outputs {
            var y = Double(dense.bias[unit])
            for k in 0..<inputs { y += Double(dense.weight[unit * inputs + k]) * Double(x[row * inputs + k]) }
            sum += y * Double(dy[row * outputs + unit])
          }
        }
        return sum
      }
      var y = [Float](repeating: .nan, count: dy.count)
      var ySpan = y.mutableSpan
      try dense.forward(x.span, rows: rows, into: &ySpan, scratch: Scratch())
      let forward = zip(y, dy).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
      let expected = try loss()
      #expect(abs(forward - expected) < 1e-5 * Double(dy.count), "\(rows) rows, \(inputs) to \(outputs)")

      var dx = [Float](repeating: .nan, count: x.count)
      var gradients = [Float](repeating: 0, count: dense.weight.count + outputs)
      var dxSpan = dx.mutableSpan, gradientsSpan = gradients.mutableSpan
      try dense.backward(
        x: x.span, dy: dy.span, rows: rows, dx: &dxSpan, into: &gradientsSpan, scratch: Scratch())
      let dWeight = gradients[..<dense.weight.count], dBias = Array(gradients[dense.weight.count...])
      // The loss is linear in each number, so finite differences with a large distance are exact.
      for index in [0, x.count / 2, x.count - 1] {
        x[index] += 0.5
        #expect(abs(try loss() - expected - 0.5 * Double(dx[index])) < 1e-4)
        x[index] -= 0.5
      }
      for index in [0, dWeight.count / 2, dWeight.count - 1] {
        dense.weight[index] += 0.5
        #expect(abs(try loss() - expected - 0.5 * Double(dWeight[index])) < 1e-3)
        dense.weight[index] -= 0.5
      }
      dense.bias[outputs - 1] += 0.5
      #expect(abs(try loss() - expected - 0.5 * Double(dBias[outputs - 1])) < 1e-3)
    }
  }

  @Test func crossEntropyIsThatOfProbabilities() throws {
    let logits: [Float] = [1, 2, 3, -1, 0, 100]
    let (loss, gradient) = try SoftmaxCrossEntropy()(
      try Sequences(logits, steps: 2, batchSize: 1, size: 3), [2, 1])
    func probabilities(_ row: ArraySlice<Float>) -> [Double] {
      let powers = row.map { exp(Double($0) - Double(row.max()!)) }
      return powers.map { $0 / powers.reduce(0, +) }
    }
    let first = probabilities(logits[0..<3]), second = probabilities(logits[3..<6])
    // The second target's probability is exp(-100), so its loss is the difference of the logits.
    #expect(abs(loss - (-log(first[2]) + 100) / 2) < 1e-5)
    for (index, expected) in [first[0], first[1], first[2] - 1, second[0], second[1] - 1, second[2]].enumerated() {
      #expect(abs(Double(gradient.values[index]) - expected / 2) < 1e-6)
    }
  }

  @Test func embeddingGathersAndScatters() throws {
    let embedding = try Embedding(symbols: 3, size: 2, seed: 4), w = Workspace()
    let (x, trace) = try embedding(try Tokens([2, 0, 2], steps: 3, batchSize: 1), w)
    #expect(x.values == [4, 5, 0, 1, 4, 5].map { embedding.weight[$0] })
    var gradients = try Gradients(embedding)
    let dx = try Sequences<Float>([1, 2, 3, 4, 5, 6], steps: 3, batchSize: 1, size: 2)
    try embedding.backward(dx, trace, into: &gradients, w)
    #expect(gradients.values == [3, 4, 0, 0, 6, 8])
    // Padding adds nothing to the gradient, whatever dy is there.
    let padded = try embedding(try Tokens(padding: [[2], [1, 1]]), w).1
    gradients.clear()
    try embedding.backward(
      try Sequences<Float>([1, 2, 3, 4, 5, 6, 7, 8], steps: 2, batchSize: 2, size: 2), padded, into: &gradients, w)
    #expect(gradients.values == [0, 0, 10, 12, 1, 2])
    for index in [3, -1, .max] {
      expectError("symbol of step 1 of sequence 0 is \(index), expected 0 to 2") {
        try embedding(try Tokens([0, index], steps: 2, batchSize: 1), w)
      }
    }
    expectError("dx has 2 values, expected 3·1·2 = 6") {
      try embedding.backward(try Sequences(steps: 1, batchSize: 1, size: 2), trace, into: &gradients, w)
    }
    for deviation: Float in [0, -1, .nan, .infinity] {
      expectError("deviation is \(deviation), expected more than 0") {
        try Embedding(symbols: 3, size: 2, deviation: deviation, seed: 1)
      }
    }
    let narrow = try Embedding(symbols: 3, size: 2, deviation: 0.5, seed: 4)
    #expect(narrow.weight == embedding.weight.map { 0.5 * $0 })
  }
}
