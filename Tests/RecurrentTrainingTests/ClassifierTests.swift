import CRecurrentKernels
import Foundation
import Recurrent
import RecurrentTraining
import Testing

@Suite struct ClassifierTests {
  @Test func binaryCrossEntropyIsThatOfProbabilities() throws {
    let logits: [Float] = [0, 2, -3, 200, -200, 90], labels: [Float] = [1, 0, 0.25, 1, 0, 0]
    let (loss, gradient) = try BinaryCrossEntropy()(
      try Sequences(logits, steps: 6, batchSize: 1, size: 1), labels)
    // In double precision, σ is exact enough for the smaller logits; the losses of the others are their limits.
    var expected = 0.0
    for (x, label) in zip(logits.map(Double.init), labels.map(Double.init)) {
      let p = 1 / (1 + exp(-x))
      expected += x.magnitude < 30 ? -label * log(p) - (1 - label) * log(1 - p) : (label == 0 && x > 0 ? x : 0)
    }
    #expect(abs(loss - expected / 6) < 1e-12 * expected)
    for (index, x) in logits.enumerated() {
      let p = 1 / (1 + exp(-Double(x)))
      #expect(abs(Double(gradient.values[index]) - (p - Double(labels[index])) / 6) < 1e-7)
    }
  }

  @Test(arguments: Processor.available)
  func adamsKernelsFollowTheFormula(set: InstructionSet) {
    var random = SeededGenerator(seed: 1)
    for count in [1, 15, 16, 17, 40, 100] {
      func draw(_ range: ClosedRange<Float>) -> [Float] {
        (0..<count).map { _ in Float.random(in: range, using: &random) }
      }
      let values = draw(-1...1), first = draw(-1...1), second = draw(0...1), gradient = draw(-1...1)
      var (newValues, newFirst, newSecond) = (values, first, second)
      newValues.withUnsafeMutableBufferPointer { values in
        newFirst.withUnsafeMutableBufferPointer { first in
          newSecond.withUnsafeMutableBufferPointer { second in
            gradient.withUnsafeBufferPointer { gradient in
              var rule = update_rule(
                kind: update_adam, rate: 0.1, momentum: 0, beta1: 0.9, beta2: 0.99, correction: 2, epsilon: 1e-3,
                limit: .infinity, l1: 0, l2: 0, keep: 1)
              var update = parameter_update(
                values: values.baseAddress!, state: (first.baseAddress!, second.baseAddress!, nil),
                gradient: gradient.baseAddress!, rows: nil, row_count: 0, size: count, count: count, has_rows: false,
                is_lazy: false, scale: 0.5)
              update_parameters(set.floatSet, &rule, &update)
            }
          }
        }
      }
      for i in 0..<count {
        let g = 0.5 * Double(gradient[i])
        let m = 0.9 * Double(first[i]) + 0.1 * g, v = 0.99 * Double(second[i]) + 0.01 * g * g
        let value = Double(values[i]) - 0.1 * m / ((2 * v).squareRoot() + 1e-3)
        #expect(abs(Double(newFirst[i]) - m) < 1e-6 && abs(Double(newSecond[i]) - v) < 1e-6)
        #expect(abs(Double(newValues[i]) - value) < 1e-5 * max(1, abs(value)), "\(count) values, \(set)")
      }
    }
  }

  /// Says yes or no to sequences of 12 symbols.
  private func classifier(
    _ cell: Cell, units: Int
  ) throws -> Chain<Chain<Chain<Embedding, Layer<Float>>, LastOutput>, Dense> {
    try chain {
      Link("embedding", try Embedding(symbols: 12, size: 6, seed: 1))
      Link(
        "layer", try Layer<Float>(cell, inputSize: 6, hiddenSize: units, initialization: Initialization(seed: 2)))
      Link("last", LastOutput())
      Link("head", try Dense(inputSize: units, outputSize: 1, seed: 3))
    }
  }

  /// A classifier learns whether a sequence contains symbol 1.
  @Test(arguments: [Cell.lstm(), .gru(), .rnn(), .indRNN()])
  func aClassifierLearnsWhetherASymbolOccurs(cell: Cell) throws {
    var random = SeededGenerator(seed: 3)
    func batch() throws -> (text: Tokens, labels: [Float]) {
      let texts = (0..<24).map { _ in
        (0..<Int.random(in: 5...8, using: &random)).map { _ in Int.random(in: 0..<12, using: &random) }
      }
      return (try Tokens(padding: texts, with: 1), texts.map { $0.contains(1) ? 1 : 0 })
    }
    var model = try classifier(cell, units: 8)
    var optimizer = Adam(learningRate: 0.02), gradients = try Gradients(model)
    let workspace = Workspace()
    for _ in 0..<600 {
      let (text, labels) = try batch()
      let (logits, trace) = try model(text, workspace)
      let (_, dLogits) = try BinaryCrossEntropy()(logits, labels)
      gradients.clear()
      try model.backward(dLogits, trace, into: &gradients, workspace)
      try optimizer.update(&model, gradients, clipping: .norm(5))
    }
    var right = 0, all = 0
    workspace.isTraining = false
    for _ in 0..<10 {
      let (text, labels) = try batch(), logits = try model(text, workspace).0.values
      right += zip(logits, labels).filter { ($0 > 0) == ($1 == 1) }.count
      all += labels.count
    }
    #expect(right > all * 96 / 100, "\(right) of \(all)")

    // Gradients that are not finite, and an optimizer of another model, are errors that change nothing.
    let (before, state) = (model.namedParameters().map(\.values), optimizer)
    gradients.second.withMutableValues { $0[0] = .nan }
    expectError("a gradient of head.weight is nan, expected a finite number") {
      try optimizer.update(&model, gradients)
    }
    var other = try classifier(cell, units: 7)
    let small = try Gradients(other), count = small.list.count
    #expect(throws: RecurrentError.self) { try optimizer.update(&other, small) }
    expectError("gradients has \(count) values, expected the model's parameters = \(model.parameterCount)") {
      var wrong = try Gradients(model)
      try wrong.add(small)
    }
    #expect(model.namedParameters().map(\.values) == before && optimizer == state)
  }
}
