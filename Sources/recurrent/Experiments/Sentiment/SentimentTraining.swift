import Foundation
import Recurrent
import RecurrentFiles
import RecurrentTraining

/// One training of a model, up to the epoch with the lowest validation loss.
struct SentimentTraining: Sendable {
  /// What an epoch gave.
  struct Epoch: Sendable {
    let number: Int, trainingLoss: Double, validation: Score, seconds: Double
  }
  /// A model's mean loss, and its fraction of right answers.
  struct Score: Sendable {
    var loss = 0.0, accuracy = 0.0
  }

  let settings: SentimentSettings
  let seed: UInt64
  /// The processes that train together, and the number of threads of each; nil if this process trains alone.
  var ranks: Ranks?
  var threads = 1
  /// The file that the training is written to after each epoch.
  var save: FilePath?
  private let data: SentimentData
  private(set) var epochs: [Epoch] = []
  /// The model after its best epoch.
  private(set) var best: SentimentModel
  /// From 1.
  private(set) var bestEpoch = 0
  /// Of the best model, measured once, after the training.
  private(set) var heldOut = Score()

  var seconds: Double { epochs.reduce(0) { $0 + $1.seconds } }
  var validation: Score { epochs[bestEpoch - 1].validation }

  /// - Throws: `RecurrentError` if a setting is out of its range.
  init(_ settings: SentimentSettings, _ data: SentimentData, seed: UInt64) throws(RecurrentError) {
    self.settings = settings
    self.data = data
    self.seed = seed
    best = try SentimentModel(words: SentimentSettings.words, outputs: data.outputs, settings, seed: seed)
  }

  /// - Parameter progress: is called after each update with the fraction of the longest training that is done.
  mutating func run(_ progress: (Double) throws -> Void) throws {
    let training = data.training
    try ranks?.broadcast(&best)
    var update = try ModelTraining(
      best, Adam(learningRate: settings.learningRate), clipping: .norm(1),
      workspace: Workspace(seed: seed, threads: threads > 1 ? try Threads(count: threads) : nil))
    var batches = try ShuffledBatches(lengths: training.texts.map(\.count), batchSize: settings.batchSize, seed: seed)
    var random = SeededGenerator(seed: seed &+ 0x5eed)
    var stopping = try EarlyStopping(patience: settings.patience)
    let total = Double(settings.epochs * batches.count)
    for number in 1...settings.epochs {
      let begin = ContinuousClock.now
      var sum = 0.0
      while let batch = batches.next() {
        // Ranks draw the random numbers of the whole batch, so that these do not depend on the number of ranks.
        let texts = batch.map { dropWords(of: training.texts[$0], using: &random) }
        let loss =
          if let ranks {
            try update.update(on: ranks, batch) { share in
              let words = Dictionary(uniqueKeysWithValues: zip(batch, texts))
              return try Tokens(padding: share.map { words[$0]! }, longest: SentimentSettings.longest)
            } loss: { logits, share throws(RecurrentError) in
              try SentimentTraining.loss(logits, share.map { training.labels[$0] })
            }
          } else {
            try update.update(try Tokens(padding: texts, longest: SentimentSettings.longest)) {
              logits throws(RecurrentError) in
              try SentimentTraining.loss(logits, batch.map { training.labels[$0] })
            }
          }
        sum += loss * Double(batch.count)
        try progress(Double(update.updates) / total)
      }
      try ranks?.check(update.model)
      let validation = try score(update.model, data.validation)
      epochs.append(
        Epoch(
          number: number, trainingLoss: sum / Double(training.texts.count), validation: validation,
          seconds: (ContinuousClock.now - begin) / .seconds(1)))
      let shouldStop = try stopping.update(metric: validation.loss)
      if stopping.isBest { (best, bestEpoch) = (update.model, number) }
      if let save, ranks?.isFirst ?? true {
        try endingBySignals(save) { try checkpoint(update, batches.place).write(to: save) }
      }
      if shouldStop { break }
    }
    heldOut = try score(best, data.heldOut)
  }

  /// The training after an epoch, and the best model so far.
  private func checkpoint(
    _ update: ModelTraining<SentimentModel, Adam>, _ place: ShuffledBatches.Place
  ) throws -> Checkpoint {
    var checkpoint = Checkpoint()
    try checkpoint.store(update.model)
    try checkpoint.store(best, as: "best")
    try checkpoint.store(update.optimizer, of: update.model)
    try checkpoint.store(settings.name, as: "model")
    try checkpoint.store(place, as: "place")
    try checkpoint.store(update.workspace.masks, as: "masks")
    try checkpoint.store(data.classes, as: "classes")
    try checkpoint.store(data.vocabulary, as: "vocabulary")
    return checkpoint
  }

  /// Replaces some words by the unknown one, so that the model does not trust in single words.
  private func dropWords(of text: [Int], using random: inout SeededGenerator) -> [Int] {
    guard settings.wordDropout > 0 else { return text }
    return text.map {
      Double.random(in: 0..<1, using: &random) < settings.wordDropout ? WordVocabulary.unknown : $0
    }
  }

  /// The mean loss of logits [1,N,outputs], and its gradient.
  private static func loss(
    _ logits: consuming Sequences<Float>, _ labels: [Int]
  ) throws(RecurrentError) -> (loss: Double, gradient: Sequences<Float>) {
    guard logits.size == 1 else { return try SoftmaxCrossEntropy()(logits, labels) }
    return try BinaryCrossEntropy()(logits, labels.map { Float($0) })
  }

  /// The loss and the accuracy over a part of the texts, whose batches the ranks divide.
  private func score(_ model: SentimentModel, _ part: SentimentData.Part) throws -> Score {
    let workspace = Workspace(isTraining: false)
    // Texts of similar lengths are in one batch, so that few steps are padding.
    let order = part.texts.indices.sorted { part.texts[$0].count < part.texts[$1].count }
    var score = Score()
    for (number, start) in stride(from: 0, to: order.count, by: 256).enumerated() {
      if let ranks, number % ranks.count != ranks.rank { continue }
      let batch = order[start..<min(order.count, start + 256)]
      let text = try Tokens(padding: batch.map { part.texts[$0] }, longest: SentimentSettings.longest)
      let logits = try model(text, workspace).0, labels = batch.map { part.labels[$0] }
      let weight = Double(batch.count) / Double(order.count)
      let right =
        logits.size == 1
        ? try binaryAccuracy(logits, labels.map { Float($0) }) : try accuracy(logits, labels)
      score.accuracy += weight * right
      score.loss += weight * (try SentimentTraining.loss(logits, labels).loss)
    }
    if let sums = try ranks?.sum([score.loss, score.accuracy]) { score = Score(loss: sums[0], accuracy: sums[1]) }
    return score
  }

  /// The best model's probabilities of the classes of a text.
  func probabilities(of text: String) throws(RecurrentError) -> [Float] {
    let tokens = try Tokens(padding: [data.vocabulary.numbers(of: text)], longest: SentimentSettings.longest)
    var logits = try best(tokens, Workspace(isTraining: false)).0.values
    // A single logit is that of the second class, against 0 of the first.
    if logits.count == 1 { logits.insert(0, at: 0) }
    logits.withUnsafeMutableBufferPointer { SoftmaxCrossEntropy.softmax($0) }
    return logits
  }
}
