import Foundation
import Recurrent
import RecurrentTraining

/// How the models are built and trained.
struct TranslateSettings: Sendable {
  var task = TranslateTask.dates
  var cell = Cell.gru()
  /// H: the units of the decoder; the encoder has half as many in each direction.
  var units = 128
  var embeddingSize = 32
  var epochs = 8
  var batchSize = 64
  var learningRate: Float = 0.004
  var feedsInput = false
  /// The probability of the model's own symbol instead of the target's.
  var sampling = 0.0
  /// The sequences that a beam search follows.
  var beam = 5
}

/// How a decoder looks back at the source.
enum TranslateAttention: String, CaseIterable, Sendable {
  case none, dot, general, additive, predictive

  /// An attention whose queries and memory have `size` features.
  func make(size: Int, seed: UInt64) throws(RecurrentError) -> Attention? {
    switch self {
    case .none: nil
    case .dot: .dot(DotAttention(isScaled: true))
    case .general: .general(try GeneralAttention(querySize: size, keySize: size, seed: seed))
    case .additive: .additive(try AdditiveAttention(querySize: size, keySize: size, size: size / 2, seed: seed))
    case .predictive:
      .predictive(try PredictiveAttention(querySize: size, keySize: size, size: size / 2, distance: 5, seed: seed))
    }
  }

  var title: String { self == .none ? "without attention" : "\(rawValue) attention" }
}

/// One training of a model.
struct TranslateTraining: Sendable {
  typealias Model = EncoderDecoder<Chain<Embedding, Layer<Float>>>

  struct Epoch: Sendable {
    let loss: Double
    /// The fraction of the held-out sources that the greedy search translates exactly.
    let exact: Double
    /// The seconds since the training began.
    let seconds: Double
  }

  let settings: TranslateSettings
  let attention: TranslateAttention
  let seed: UInt64
  private(set) var model: Model
  private(set) var epochs: [Epoch] = []
  /// The fraction that the beam search translates exactly.
  private(set) var exactByBeam = 0.0

  var exact: Double { epochs.last?.exact ?? 0 }
  var seconds: Double { epochs.last?.seconds ?? 0 }

  /// - Throws: `RecurrentError` if a size is not positive.
  init(_ settings: TranslateSettings, _ attention: TranslateAttention, seed: UInt64) throws(RecurrentError) {
    self.settings = settings
    self.attention = attention
    self.seed = seed
    let units = settings.units, feedsInput = settings.feedsInput && attention != .none
    let reader = try Layer<Float>(
      settings.cell, inputSize: settings.embeddingSize, hiddenSize: units / 2, direction: .bidirectional,
      initialization: Initialization(seed: seed))
    let writer = try Layer<Float>(
      settings.cell, inputSize: settings.embeddingSize + (feedsInput ? units : 0), hiddenSize: units,
      initialization: Initialization(seed: seed &+ 1))
    let vectors = try Embedding(
      symbols: TranslateTask.sourceCharacters.count, size: settings.embeddingSize, seed: seed)
    model = EncoderDecoder(
      encoder: chain {
        Link("embedding", vectors)
        Link("layer", reader)
      }, bridge: try StateBridge(from: reader, to: writer, seed: seed &+ 2),
      decoder: try RecurrentDecoder(
        Embedding(symbols: TranslateTask.end + 1, size: settings.embeddingSize, seed: seed &+ 3), writer,
        attention: try attention.make(size: units, seed: seed &+ 4), memorySize: units, feedsInput: feedsInput,
        seed: seed &+ 5))
  }

  var decoder: SequenceDecoder {
    SequenceDecoder(start: TranslateTask.start, end: TranslateTask.end, longest: settings.task.longest)
  }

  /// - Parameter progress: is called after each update with the fraction of the training that is done.
  mutating func run(
    _ pairs: [TranslateTask.Pair], heldOut: [TranslateTask.Pair], _ progress: (Double) throws -> Void
  ) throws {
    let begin = ContinuousClock.now
    let sources = pairs.map { TranslateTask.symbols(ofSource: $0.source) }
    let targets = pairs.map { TranslateTask.symbols(ofTarget: $0.target) }
    var training = try ModelTraining(
      model, Adam(learningRate: settings.learningRate), clipping: .norm(1), workspace: Workspace(seed: seed))
    var batches = try ShuffledBatches(lengths: sources.map(\.count), batchSize: settings.batchSize, seed: seed)
    let updates = settings.epochs * batches.count
    let schedule = try WarmUpSchedule(
      steps: min(50, updates / 10 + 1), then: CosineSchedule(rate: settings.learningRate, steps: updates))
    var random = SeededGenerator(seed: ~seed)
    for _ in 0..<settings.epochs {
      var sum = 0.0
      while let batch = batches.next() {
        let forcing = try TeacherForcing(
          batch.map { targets[$0] }, start: TranslateTask.start, end: TranslateTask.end)
        var input = Model.Input(try Tokens(padding: batch.map { sources[$0] }), forcing.inputs)
        if settings.sampling > 0 {
          input.symbols = try training.model.sampled(input, probability: settings.sampling, using: &random)
        }
        training.optimizer.learningRate = schedule.rate(atStep: training.updates)
        let loss = try training.update(input) { logits throws(RecurrentError) in
          try SoftmaxCrossEntropy()(logits, forcing.targets)
        }
        sum += loss * Double(batch.count)
        try progress(Double(training.updates) / Double(updates))
      }
      model = training.model
      epochs.append(
        Epoch(
          loss: sum / Double(pairs.count), exact: try exact(heldOut) { try decoder.greedy(model.stream($0)) },
          seconds: (ContinuousClock.now - begin) / .seconds(1)))
    }
    exactByBeam = try exact(heldOut) { source in
      try decoder.beam(model.stream(source, beams: settings.beam)).map { $0[0].symbols }
    }
  }

  /// The fraction of the pairs that are translated exactly.
  private func exact(_ pairs: [TranslateTask.Pair], _ translate: (Tokens) throws -> [[Int]]) throws -> Double {
    var right = 0
    for first in stride(from: 0, to: pairs.count, by: 128) {
      let part = pairs[first..<min(first + 128, pairs.count)]
      let texts = try translate(try Tokens(padding: part.map { TranslateTask.symbols(ofSource: $0.source) }))
      right += zip(texts, part).count { TranslateTask.text($0) == $1.target }
    }
    return Double(right) / Double(pairs.count)
  }

  /// What the greedy search writes, and the weights [symbols and end][characters] of the attention, if there is one.
  func translate(_ source: String) throws(RecurrentError) -> (text: String, weights: [[Float]]?) {
    let tokens = try Tokens(padding: [TranslateTask.symbols(ofSource: source)])
    let symbols = try decoder.greedy(model.stream(tokens))[0]
    let forcing = try TeacherForcing([symbols], start: decoder.start, end: decoder.end)
    let (_, trace) = try model(.init(tokens, forcing.inputs), Workspace(isTraining: false))
    return (TranslateTask.text(symbols), try trace.decoder.weights(sequence: 0))
  }
}
