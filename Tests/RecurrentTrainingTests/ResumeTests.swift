import Recurrent
import RecurrentTraining
import Testing

/// A training that is stopped and resumed gives the same bits as one that was never stopped.
@Suite struct ResumeTests {
  private static let vocabulary = Vocabulary(of: TrainingTests.text)
  private static let numbers = vocabulary.numbers(of: Array(TrainingTests.text.prefix(2000)))

  private static func settings(threads: Int) -> CharacterTrainer.Settings {
    var settings = CharacterTrainer.Settings()
    (settings.streams, settings.steps, settings.epochs, settings.threads) = (5, 30, 2, threads)
    (settings.dropout, settings.seed) = (0.3, 7)
    return settings
  }

  private static func trainer(_ cell: Cell, levels: Int = 1, threads: Int) throws -> CharacterTrainer {
    try CharacterTrainer(
      try CharacterModel(
        cell, vocabulary: vocabulary, embeddingSize: 6, hiddenSize: 11, layerCount: levels, layerDropout: 0.2, seed: 5),
      numbers: numbers, settings: settings(threads: threads))
  }

  @Test(arguments: [(Cell.lstm(), 1), (.gru(), 1), (.rnn(), 1), (.lstm(), 2), (.gru(), 3)], [1, 2])
  func aTrainingThatWasStoppedAnywhereGivesTheSameBits(_ model: (cell: Cell, levels: Int), threads: Int) throws {
    let (cell, levels) = model
    let whole = try ResumeTests.trainer(cell, levels: levels, threads: threads)
    #expect(whole.model.layer.layerCount == levels)
    while !whole.isFinished { _ = try whole.update() }
    let perEpoch = whole.updatesPerEpoch
    #expect(whole.updates == 2 * perEpoch && whole.totalUpdates == 2 * perEpoch && perEpoch > 5)
    for stop in [0, 1, perEpoch - 1, perEpoch, perEpoch + 3, 2 * perEpoch] {
      let first = try ResumeTests.trainer(cell, levels: levels, threads: threads)
      for _ in 0..<stop { _ = try first.update() }
      let progress = first.progress
      #expect(progress.epoch == stop / perEpoch && progress.position == stop % perEpoch * 30)
      let second = try CharacterTrainer(
        first.model, optimizer: first.optimizer, numbers: ResumeTests.numbers, resuming: progress)
      #expect(second.progress == progress && second.updates == stop)
      while !second.isFinished { _ = try second.update() }
      let where_ = "\(cell), \(levels) levels, \(threads) threads, stopped after \(stop)"
      #expect(second.model.layer.parameters == whole.model.layer.parameters, "\(where_)")
      #expect(second.model.embedding == whole.model.embedding, "\(where_)")
      #expect(second.model.head.weight == whole.model.head.weight, "\(where_)")
      #expect(second.optimizer == whole.optimizer && second.progress == whole.progress, "\(where_)")
    }
  }

  @Test func progressThatDoesNotFitIsRefused() throws {
    let trainer = try ResumeTests.trainer(.lstm(), threads: 2)
    for _ in 0..<3 { _ = try trainer.update() }
    func resume(_ progress: CharacterTrainer.Progress, _ numbers: [Int], otherText: Bool = false) throws
      -> CharacterTrainer
    {
      try CharacterTrainer(
        trainer.model, optimizer: trainer.optimizer, numbers: numbers, resuming: progress, allowingOtherText: otherText)
    }
    let changes: [(String, (inout CharacterTrainer.Progress) -> Void)] = [
      ("epoch is 3, expected 0 to 2", { $0.epoch = 3 }), ("epoch is -1, expected 0 to 2", { $0.epoch = -1 }),
      ("position is 31, expected a multiple of 30 from 0 to less than 399", { $0.position = 31 }),
      ("position is 420, expected a multiple of 30 from 0 to less than 399", { $0.position = 420 }),
      ("position is -30, expected a multiple of 30 from 0 to less than 399", { $0.position = -30 }),
      ("h has 54 values, expected levels·streams·hiddenSize = 55", { $0.state.h.removeLast() }),
      ("c has 0 values, expected levels·streams·hiddenSize of an LSTM, none of other cells = 55", { $0.state.c = [] }),
      ("dropout is nan, expected 0 up to less than 1", { $0.settings.dropout = .nan }),
    ]
    for (message, change) in changes {
      var progress = trainer.progress
      change(&progress)
      expectError(message) { try resume(progress, ResumeTests.numbers) }
    }
    var other = ResumeTests.numbers
    other[1000] = other[1000] == 1 ? 2 : 1
    let text = TextFingerprint(other, vocabulary: ResumeTests.vocabulary)
    expectError(
      "the text is another one than the training began with: \(text), expected \(trainer.progress.text)"
    ) { try resume(trainer.progress, other) }
    let going = try resume(trainer.progress, other, otherText: true)
    #expect(going.progress.position == 0 && going.progress.state.h.allSatisfy { $0 == 0 })
    #expect(going.progress.text == text)
    _ = try going.update()
    #expect(going.optimizer.updates == 4 && going.updates == 1)
  }

  @Test func aFingerprintTellsTextsApart() throws {
    let vocabulary = Vocabulary(of: Array("ab".unicodeScalars))
    let text = TextFingerprint([1, 2, 1], vocabulary: vocabulary)
    #expect(TextFingerprint(text.description) == text)
    #expect(text.count == 3 && text == TextFingerprint([1, 2, 1], vocabulary: vocabulary))
    #expect(text != TextFingerprint([1, 1, 2], vocabulary: vocabulary))
    #expect(text != TextFingerprint([1, 2, 1], vocabulary: Vocabulary(of: Array("ac".unicodeScalars))))
    for wrong in ["", "3", "3:", "x:1", "-3:1", "3:g", "3:1:2"] { #expect(TextFingerprint(wrong) == nil, "\(wrong)") }
  }

  /// An update whose gradients are not finite throws. The model, the optimizer and the place in the text do not change.
  @Test func gradientsThatAreNoNumbersAreNotApplied() throws {
    let trainer = try ResumeTests.trainer(.gru(), threads: 2)
    _ = try trainer.update()
    for wrong in [Float.nan, .infinity] {
      trainer.model.embedding.weight = trainer.model.embedding.weight.map { _ in wrong }
      let before = (trainer.model.layer.parameters, trainer.optimizer, trainer.progress)
      expectError("the loss at step 0 of sequence 0 is nan, expected a finite number") { try trainer.update() }
      #expect(trainer.model.layer.parameters == before.0)
      #expect(trainer.optimizer == before.1 && trainer.progress == before.2)
    }
  }
}
