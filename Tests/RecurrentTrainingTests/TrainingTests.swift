import Foundation
import Recurrent
import RecurrentTraining
import Testing

/// Trainings of the character model.
@Suite struct TrainingTests {
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
    expectError("dropout is 2.0, expected 0 to 1") {
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
