import Foundation
import Recurrent
import RecurrentTraining
import Testing

@Suite struct TrainingTests {
  // MARK: - Gradients against finite differences

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

  // MARK: - Optimizer

  /// PyTorch 2.15, torch.optim.Adam(lr=0.1), values [1, -2], gradients [0.5, -3] then [0.1, 4].
  @Test func adamMakesPyTorchsSteps() throws {
    var adam = Adam(learningRate: 0.1)
    var values: [Float] = [1, -2]
    for (gradient, expected) in [([0.5, -3], [0.9, -1.9]), ([0.1, 4], [0.81969595, -1.91935098])]
      as [([Float], [Float])]
    {
      try adam.update(count: 2) { update throws(RecurrentError) in
        try values.withUnsafeMutableBufferPointer { values throws(RecurrentError) in
          try update.apply("values", values, gradient: gradient)
        }
      }
      for (value, expected) in zip(values, expected) { #expect(abs(value - expected) < 1e-5, "\(values)") }
    }
  }

  @Test func clippingKeepsTheDirection() throws {
    #expect(try clippingFactor(norm: 5, limit: 1) == 0.2)
    #expect(try clippingFactor(norm: 5, limit: 10) == 1)
    #expect(try clippingFactor(norm: 5, limit: .infinity) == 1)
    for wrong in [Double.nan, .infinity, -1] {
      expectError("norm of the gradients is \(wrong), expected 0 or more, and finite") {
        try clippingFactor(norm: wrong, limit: 1)
      }
    }
    for wrong in [Double.nan, 0, -1] {
      expectError("clipping norm is \(wrong), expected more than 0") { try clippingFactor(norm: 1, limit: wrong) }
    }
  }

  @Test func adamRefusesWhatItCannotApply() throws {
    var values: [Float] = [1, 2], adam = Adam()
    func step(_ adam: inout Adam, _ updates: [(name: String, gradient: [Float])]) throws(RecurrentError) {
      try adam.update(count: 2) { update throws(RecurrentError) in
        for (name, gradient) in updates {
          try values.withUnsafeMutableBufferPointer { values throws(RecurrentError) in
            try update.apply(name, values, gradient: gradient)
          }
        }
      }
    }
    try step(&adam, [("a", [1, 1])])
    let before = (adam, values)
    let changes: [(String, (inout Adam) -> Void)] = [
      ("learning rate is nan, expected 0 or more", { $0.learningRate = .nan }),
      ("learning rate is inf, expected 0 or more", { $0.learningRate = .infinity }),
      ("learning rate is -0.1, expected 0 or more", { $0.learningRate = -0.1 }),
      ("beta1 is 1.0, expected 0 up to less than 1", { $0.beta1 = 1 }),
      ("beta1 is nan, expected 0 up to less than 1", { $0.beta1 = .nan }),
      ("beta2 is -1.0, expected 0 up to less than 1", { $0.beta2 = -1 }),
      ("epsilon is 0.0, expected more than 0", { $0.epsilon = 0 }),
      ("epsilon is nan, expected more than 0", { $0.epsilon = .nan }),
      ("updates is -1, expected 0 to \(Int.max - 1)", { $0.updates = -1 }),
      ("l1 is nan, expected 0 or more", { $0.l1 = .nan }),
      ("l2 is -1.0, expected 0 or more", { $0.l2 = -1 }),
    ]
    for (message, change) in changes {
      var wrong = adam
      change(&wrong)
      let unchanged = wrong
      expectError(message) { try step(&wrong, [("a", [1, 1])]) }
      #expect(wrong.first == unchanged.first && wrong.second == unchanged.second, "\(message)")
      #expect(wrong.updates == unchanged.updates && values == before.1, "\(message)")
    }
    expectError("gradient of a has 1 values, expected the values' count = 2") { try step(&adam, [("a", [1])]) }
    #expect(adam == before.0 && values == before.1)
    // It is an error if a step updates more or fewer values than it said. The arrays before the error stay updated.
    var more = adam
    expectError("the arrays up to b has 4 values, expected the values of all arrays = 2") {
      try step(&more, [("a", [1, 1]), ("b", [1, 1])])
    }
    #expect(more.updates == 2)
    expectError("the updated arrays has 0 values, expected the values of all arrays = 2") { try step(&more, []) }
    // After the error, the optimizer of another model still has its moments.
    let before2 = adam
    expectError("array 'first' of the optimizer has 2 values, expected the parameters' values = 3") {
      try adam.update(count: 3) { _ in Issue.record("must not be called") }
    }
    #expect(adam == before2)
  }

  // MARK: - A whole model

  /// Sentences that follow fixed rules, so that the least possible loss is known.
  static let text: [Unicode.Scalar] = {
    var random = SeededGenerator(seed: 8)
    let who = ["the cell", "a gate", "the record", "a panel"], does = ["keeps", "opens", "reads", "packs"]
    let what = ["its state", "the tile", "each row", "the sum"]
    return (0..<400).flatMap { _ in
      Array(
        "\(who.randomElement(using: &random)!) \(does.randomElement(using: &random)!) \(what.randomElement(using: &random)!).\n"
          .unicodeScalars)
    }
  }()

  @Test(arguments: [
    Cell.lstm(), .gru(), .rnn(),
    .gru(reset: .beforeProduct, update: .takesNew),
  ])
  func aSmallTextIsLearned(cell: Cell) throws {
    let vocabulary = Vocabulary(of: TrainingTests.text), numbers = vocabulary.numbers(of: TrainingTests.text)
    let trained = Array(numbers.dropLast(1000)), held = Array(numbers.suffix(1000))
    var settings = CharacterTrainer.Settings()
    (settings.streams, settings.steps, settings.epochs, settings.dropout) = (8, 20, 6, 0)
    settings.learningRate = 0.01
    let model = try CharacterModel(cell, vocabulary: vocabulary, embeddingSize: 12, hiddenSize: 40, seed: 1)
    let before = try model.loss(of: held)
    #expect(abs(before - log(Double(vocabulary.count))) < 1, "an untrained model guesses: \(before)")
    let trainer = try CharacterTrainer(model, numbers: trained, settings: settings)
    while !trainer.isFinished { _ = try trainer.update() }
    let after = try trainer.model.loss(of: held)
    // Each sentence makes three choices of four in about 27 characters: log(64) / 27 = 0.15 nats a character. An
    // untrained model has 3.2.
    #expect(after < 0.35, "\(cell): \(after) nats a character")
    let sample = try trainer.model.sample(after: Array("the ".unicodeScalars), count: 60, temperature: 0.5, seed: 2)
    #expect(sample.unicodeScalars.count == 60 && sample.contains("\n"), "\(cell): \(sample)")
  }

  @Test func equalSeedsAndThreadsGiveEqualModels() throws {
    let vocabulary = Vocabulary(of: TrainingTests.text), numbers = vocabulary.numbers(of: TrainingTests.text)
    var settings = CharacterTrainer.Settings()
    (settings.streams, settings.steps, settings.epochs, settings.threads) = (6, 15, 1, 2)
    func train(_ updates: Int) throws -> CharacterTrainer {
      let model = try CharacterModel(
        .lstm(), vocabulary: vocabulary, embeddingSize: 8, hiddenSize: 17, seed: 5)
      let trainer = try CharacterTrainer(model, numbers: numbers, settings: settings)
      for _ in 0..<updates { _ = try trainer.update() }
      return trainer
    }
    let one = try train(20), two = try train(20)
    #expect(one.model.layer.parameters == two.model.layer.parameters)
    #expect(one.optimizer == two.optimizer)
  }

  /// The rate rises over 50 updates of the optimizer, and falls along a cosine over those of the training.
  @Test func theRateWarmsUpAndFalls() throws {
    let vocabulary = Vocabulary(of: TrainingTests.text), numbers = vocabulary.numbers(of: TrainingTests.text)
    var settings = CharacterTrainer.Settings()
    (settings.streams, settings.steps, settings.epochs, settings.learningRate) = (8, 15, 2, 0.01)
    let model = try CharacterModel(.rnn(), vocabulary: vocabulary, embeddingSize: 4, hiddenSize: 5, seed: 1)
    for before in [0, 30, 1000] {
      var optimizer = Adam()
      if before > 0 {
        let zeros = [Float](repeating: 0, count: model.parameterCount)
        try optimizer.state.restore(updates: before, arrays: [("first", zeros), ("second", zeros)])
      }
      let trainer = try CharacterTrainer(model, optimizer: optimizer, numbers: numbers, settings: settings)
      #expect(trainer.totalUpdates > 100)
      while !trainer.isFinished {
        let done = Double(trainer.updates) / Double(trainer.totalUpdates)
        let warm = min(1, Double(trainer.optimizer.updates + 1) / 50)
        let rate = 0.01 * warm * (0.02 + 0.98 * (1 + cos(.pi * done)) / 2)
        _ = try trainer.update()
        let actual = Double(trainer.optimizer.learningRate)
        #expect(abs(actual - rate) < 1e-6 * rate, "update \(trainer.updates): \(actual), expected \(rate)")
      }
    }
  }

  /// The same text as in `aSmallTextIsLearned`, with values dropped between the levels.
  @Test func aModelOfSeveralLevelsLearns() throws {
    let vocabulary = Vocabulary(of: TrainingTests.text), numbers = vocabulary.numbers(of: TrainingTests.text)
    var settings = CharacterTrainer.Settings()
    (settings.streams, settings.steps, settings.epochs, settings.dropout) = (8, 20, 6, 0.05)
    settings.learningRate = 0.01
    let model = try CharacterModel(
      .gru(), vocabulary: vocabulary, embeddingSize: 12, hiddenSize: 40, layerCount: 2, layerDropout: 0.05, seed: 1)
    #expect(model.parameterShapes.contains { $0.name == "cell.weight_ih_l1" && $0.shape == [120, 40] })
    let trainer = try CharacterTrainer(model, numbers: Array(numbers.dropLast(1000)), settings: settings)
    while !trainer.isFinished { _ = try trainer.update() }
    let after = try trainer.model.loss(of: Array(numbers.suffix(1000)))
    #expect(after < 0.4, "\(after) nats a character")
    let sample = try trainer.model.sample(after: Array("the ".unicodeScalars), count: 60, temperature: 0.5, seed: 2)
    #expect(sample.unicodeScalars.count == 60 && sample.contains("\n"), "\(sample)")
    expectError("dropout is 2.0, expected 0 ... 1") {
      try CharacterModel(
        .gru(), vocabulary: vocabulary, embeddingSize: 2, hiddenSize: 2, layerCount: 2, layerDropout: 2, seed: 1)
    }
    expectError("layerCount is 0, expected at least 1") {
      try CharacterModel(.gru(), vocabulary: vocabulary, embeddingSize: 2, hiddenSize: 2, layerCount: 0, seed: 1)
    }
  }

  /// The gradient of all streams on one thread is the sum of the gradients of several threads.
  @Test func threadsShareTheBatch() throws {
    let vocabulary = Vocabulary(of: TrainingTests.text), numbers = vocabulary.numbers(of: TrainingTests.text)
    var weights: [[Float]] = []
    for threads in [1, 2, 3] {
      var settings = CharacterTrainer.Settings()
      (settings.streams, settings.steps, settings.threads, settings.dropout) = (7, 15, threads, 0)
      let model = try CharacterModel(
        .gru(), vocabulary: vocabulary, embeddingSize: 8, hiddenSize: 17, seed: 5)
      let trainer = try CharacterTrainer(model, numbers: numbers, settings: settings)
      for _ in 0..<3 { _ = try trainer.update() }
      weights.append(trainer.model.layer.parameters.values)
    }
    for other in weights[1...] {
      for (a, b) in zip(weights[0], other) { #expect(abs(a - b) < 2e-4) }
    }
  }

  @Test func badSettingsAreErrors() throws {
    let vocabulary = Vocabulary(of: TrainingTests.text), numbers = vocabulary.numbers(of: TrainingTests.text)
    let model = try CharacterModel(
      .rnn(), vocabulary: vocabulary, embeddingSize: 2, hiddenSize: 2, seed: 1)
    let changes: [(String, (inout CharacterTrainer.Settings) -> Void)] = [
      ("steps is 0, expected at least 1", { $0.steps = 0 }),
      ("streams is -1, expected at least 1", { $0.streams = -1 }),
      ("epochs is 0, expected at least 1", { $0.epochs = 0 }),
      ("threads is 0, expected at least 1", { $0.threads = 0 }),
      ("learning rate is nan, expected 0 or more", { $0.learningRate = .nan }),
      ("learning rate is -1.0, expected 0 or more", { $0.learningRate = -1 }),
      ("clipping norm is nan, expected more than 0", { $0.clippingNorm = .nan }),
      ("clipping norm is 0.0, expected more than 0", { $0.clippingNorm = 0 }),
      ("dropout is nan, expected 0 up to less than 1", { $0.dropout = .nan }),
      ("dropout is 1.0, expected 0 up to less than 1", { $0.dropout = 1 }),
      ("epochs is \(Int.max), expected fewer", { ($0.steps, $0.epochs) = (4, .max) }),
    ]
    for (message, change) in changes {
      var settings = CharacterTrainer.Settings()
      change(&settings)
      expectError(message) { try CharacterTrainer(model, numbers: numbers, settings: settings) }
    }
    var settings = CharacterTrainer.Settings()
    settings.steps = .max
    let error = #expect(throws: RecurrentError.self) {
      try CharacterTrainer(model, numbers: numbers, settings: settings)
    }
    guard case .product(["streams", "steps"], [1, .max], _) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(throws: RecurrentError.size(name: "text", was: 2, expected: "at least 3 characters")) {
      try CharacterTrainer(model, numbers: [1, 2], settings: .init())
    }
    #expect(throws: RecurrentError.size(name: "streams", was: 0, expected: "at least 1")) {
      try TextBatches(numbers, streams: 0, steps: 1)
    }
    #expect(throws: RecurrentError.size(name: "steps", was: 0, expected: "at least 1")) {
      try TextBatches(numbers, streams: 1, steps: 0)
    }
    #expect(throws: RecurrentError.size(name: "text", was: 1, expected: "at least 2 characters")) {
      try model.loss(of: [1])
    }
    for count in [-5, .max] {
      #expect(throws: RecurrentError.size(name: "count", was: count, expected: "0 to 2^40")) {
        try model.sample(after: [], count: count, seed: 1)
      }
    }
    #expect(try model.sample(after: [], count: 0, seed: 1).isEmpty)
    var dense = try Dense(inputSize: 4, outputSize: 4, seed: 1), y = [Float](repeating: 0, count: 4)
    let x: [Float] = [1, 2, 3, 4]
    dense.weight = [1]
    #expect(throws: RecurrentError.count(name: "weight", was: 1, expected: 16, shape: "4·4")) {
      var span = y.mutableSpan
      try dense.forward(x.span, rows: 1, into: &span, scratch: Scratch())
    }
    for temperature in [Float(0), .nan, .infinity] {
      expectError("temperature is \(temperature), expected more than 0") {
        try model.sample(after: [], count: 3, temperature: temperature, seed: 1)
      }
    }
    #expect(try model.sample(after: [], count: 3, seed: 1).unicodeScalars.count == 3)
  }
}
