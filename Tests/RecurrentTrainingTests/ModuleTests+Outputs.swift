import Foundation
import Recurrent
import RecurrentTraining
import Testing

/// The outputs of single modules.
extension ModuleTests {
  /// The probabilities in double precision, of small and of huge logits, in widths that fill a vector or do not.
  @Test func probabilitiesAreThoseOfDoubles() throws {
    let w = Workspace()
    for size in [1, 5, 16, 33] {
      for spread: Float in [1, 30, 1e4, 1e30] {
        var x = try ModuleTests.numbers(steps: 3, batchSize: 2, size: size, lengths: [3, 1])
        x.withMutableValues { values in for index in values.indices { values[index] *= spread } }
        let (shares, shareTrace) = try Softmax()(x, w), (answers, answerTrace) = try Sigmoid()(x, w)
        #expect(shares.lengths == x.lengths && answers.lengths == x.lengths)
        let (_, dy) = try ModuleTests.weighted(x)
        let dShares = try Softmax().backward(dy, shareTrace, w), dAnswers = try Sigmoid().backward(dy, answerTrace, w)
        for row in 0..<6 {
          let range = row * size..<(row + 1) * size, isPadding = row % 2 == 1 && row > 1
          let logits = x.values[range].map(Double.init), largest = logits.max()!
          let powers = logits.map { exp($0 - largest) }, sum = powers.reduce(0, +)
          let mean = zip(powers, dy.values[range]).reduce(0) { $0 + $1.0 / sum * Double($1.1) }
          for (index, place) in range.enumerated() {
            let share = powers[index] / sum, answer = 1 / (1 + exp(-logits[index])), d = Double(dy.values[place])
            for (name, was, expected) in [
              ("softmax", shares, share), ("sigmoid", answers, answer), ("softmax's dx", dShares, share * (d - mean)),
              ("sigmoid's dx", dAnswers, d * answer * (1 - answer)),
            ] {
              let distance = abs(Double(was.values[place]) - (isPadding ? 0 : expected))
              // A float of 30 has an error of 2e-6, which exp turns into that of its result.
              #expect(distance < 2e-6, "\(name) of \(size) logits within \(spread), row \(row), \(index)")
              #expect(!isPadding || distance == 0, "\(name), padding")
            }
          }
        }
      }
    }
    let huge = try Sequences<Float>([.infinity, 0, -.infinity, .nan], steps: 1, batchSize: 1, size: 4)
    #expect(try Sigmoid()(huge, w).0.values.prefix(3) == [1, 0.5, 0])
    #expect(try Sigmoid()(huge, w).0.values[3].isNaN && Softmax()(huge, w).0.values.allSatisfy(\.isNaN))
  }

  /// A model that ends in probabilities, and one that has them inside.
  @Test func probabilitiesAreLinksOfAChain() throws {
    let x = try ModuleTests.numbers(steps: 4, batchSize: 3, size: 5, lengths: [4, 1, 3])
    let gated = try chain {
      Link("gate", try Dense(inputSize: 5, outputSize: 6, seed: 1))
      Link("sigmoid", Sigmoid())
      Link("layer", try GRU<Float>(inputSize: 6, hiddenSize: 4))
      Link("last", LastOutput())
      Link("head", try Dense(inputSize: 4, outputSize: 3, seed: 2))
      Link("softmax", Softmax())
    }
    try ModuleTests.expectRight(gated, x, loss: ModuleTests.weighted)
    let y = try gated(x, Workspace(isTraining: false)).0
    for sequence in 0..<3 { #expect(abs(y[0, sequence].reduce(0, +) - 1) < 1e-6) }
    #expect(gated.parameterShapes.map(\.name).first == "gate.weight")
    let wrong = try Sequences<Float>(steps: 1, batchSize: 3, size: 2)
    expectError("dy has 6 values, expected 4·3·5 = 60") { try Softmax().backward(wrong, try Softmax()(x, .init()).1) }
    expectError("dy has 6 values, expected 4·3·5 = 60") { try Sigmoid().backward(wrong, try Sigmoid()(x, .init()).1) }
  }

  /// The last output of a sequence is that of the sequence alone.
  @Test func lastOutputIsThatOfTheLastStep() throws {
    let x = try ModuleTests.numbers(steps: 4, batchSize: 3, size: 5, lengths: [4, 1, 3]),
      w = Workspace(isTraining: false)
    let gru = try GRU<Float>(inputSize: 5, hiddenSize: 6, layerCount: 2, direction: .bidirectional)
    let output = try gru(x, w).0, last = try LastOutput()(output, w).0
    #expect(last.steps == 1 && last.size == 12 && last.lengths == nil)
    for (sequence, length) in x.lengths!.enumerated() {
      #expect(last[0, sequence].prefix(6) == output.y[length - 1, sequence].prefix(6))
      #expect(last[0, sequence].suffix(6) == output.y[0, sequence].suffix(6))
    }
    #expect(output.y.lengths == x.lengths)
    let mean = try TimePooling(.mean)(output.y, w).0, largest = try TimePooling(.max)(output.y, w).0
    for feature in 0..<12 {
      let values = (0..<3).map { output.y[$0, 2].dropFirst(feature).first! }
      #expect(abs(mean[0, 2].dropFirst(feature).first! - values.reduce(0, +) / 3) < 1e-6)
      #expect(largest[0, 2].dropFirst(feature).first! == values.max()!)
    }
    let both = try TimePooling(.meanAndMax)(output.y, w).0
    for sequence in 0..<3 { #expect(Array(both[0, sequence]) == Array(mean[0, sequence]) + largest[0, sequence]) }
  }

  /// PyTorch 2.15: torch.nn.functional.layer_norm([1, 2, 4, 8], (4,)), eps 1e-5.
  @Test func layerNormIsPyTorchs() throws {
    let x = try Sequences<Float>([1, 2, 4, 8], steps: 1, batchSize: 1, size: 4)
    let y = try LayerNorm(size: 4)(x, Workspace()).0.values
    let mean = 3.75, deviation = (Double(7.1875) + 1e-5).squareRoot()
    for (value, x) in zip(y, [1.0, 2, 4, 8]) { #expect(abs(Double(value) - (x - mean) / deviation) < 1e-6) }
  }

  @Test func dropoutKeepsTheMeanAndNumbersItsMasks() throws {
    let ones = try Sequences<Float>(
      Array(repeating: 1, count: 100_000), steps: 1, batchSize: 1, size: 100_000)
    let dropout = try Dropout(rate: 0.25), w = Workspace(seed: 7)
    var gradients = try Gradients(dropout)
    let (first, trace) = try dropout(ones, w), (second, _) = try dropout(ones, w)
    #expect(Set(first.values) == [0, 1 / 0.75])
    #expect(abs(first.values.reduce(0, +) / 100_000 - 1) < 0.02)
    #expect(first != second && w.masks == 2)
    #expect(try dropout.backward(ones, trace, into: &gradients, w) == first)
    // A training that goes on has the masks of one that was not stopped.
    #expect(try dropout(ones, Workspace(seed: 7, masks: 1)).0 == second)
    #expect(try dropout(ones, Workspace(isTraining: false)).0 == ones)
    for rate in [Float(1), -0.5, .nan] {
      expectError("dropout is \(rate), expected 0 up to less than 1") { try Dropout(rate: rate) }
    }
  }
}
