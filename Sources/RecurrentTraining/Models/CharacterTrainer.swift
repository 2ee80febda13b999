import Foundation
import Recurrent

/// Trains a character model: truncated backward through time with the state carried from piece to piece, Adam, clipped
/// gradients, a learning rate that falls along a cosine. The streams are shared out among threads, whose gradients are
/// added in a fixed order.
public final class CharacterTrainer {
  /// How a model is trained. Equal settings, texts and models give equal bits.
  public struct Settings: Sendable, Equatable {
    /// N, the number of streams: pieces of the text that are read side by side. A short text has fewer streams, so that
    /// each has several batches.
    public var streams = 24
    /// T, the number of steps that gradients go back.
    public var steps = 64
    /// How often the whole training reads the text.
    public var epochs = 8
    /// The highest learning rate, at least 0.
    public var learningRate: Float = 4e-3
    /// The dropout rate of the layer's outputs, 0 up to less than 1. Between levels, the layer has its own.
    public var dropout: Float = 0.3
    /// The seed of the dropout.
    public var seed: UInt64 = 1
    /// The gradients' norm is brought down to this, which is more than 0.
    public var clippingNorm = 1.0
    /// Equal numbers of threads give equal models. With more than two, use more streams.
    public var threads = min(2, ProcessInfo.processInfo.activeProcessorCount)

    /// The settings of a text of about a million characters.
    public init() {}

    fileprivate func check() throws(RecurrentError) {
      for (name, value) in [("streams", streams), ("steps", steps), ("epochs", epochs), ("threads", threads)]
      where value < 1 {
        throw .size(name: name, was: value, expected: "at least 1")
      }
      try checkNumber("learning rate", learningRate, learningRate >= 0 && learningRate.isFinite, "0 or more")
      try checkNumber("clipping norm", clippingNorm, clippingNorm > 0, "more than 0")
      try checkNumber("dropout", dropout, dropout >= 0 && dropout < 1, "0 up to less than 1")
    }
  }

  /// How far a training has come. With the model and the optimizer, this is all that is needed to resume it and get the
  /// same bits.
  public struct Progress: Sendable, Equatable {
    /// How the model is trained.
    public var settings: Settings
    /// How often the text has been read to its end.
    public var epoch: Int
    /// The number of steps of each stream that have been read in this epoch.
    public var position: Int
    /// The state after those steps: [L,N,H] of the streams of each thread, one thread after another; zeros at the
    /// beginning of an epoch.
    public var state: State<Float>
    /// The fingerprint of the text that the model is trained on.
    public var text: TextFingerprint

    /// The place in a training.
    public init(settings: Settings, epoch: Int, position: Int, state: State<Float>, text: TextFingerprint) {
      self.settings = settings
      self.epoch = epoch
      self.position = position
      self.state = state
      self.text = text
    }
  }

  /// What has been learnt so far.
  public var model: CharacterModel
  /// The moments of the model's parameters; `update` sets the learning rate.
  public var optimizer: Adam
  /// How the model is trained.
  public let settings: Settings
  /// Whole times through the text so far.
  public private(set) var epoch = 0
  /// The number of updates of the whole training.
  public let totalUpdates: Int
  /// The number of updates of one epoch, which reads the text once.
  public let updatesPerEpoch: Int
  private let text: TextFingerprint
  /// The fraction of the rate by the number of the optimizer's updates: a fiftieth more in each of the first 50. An
  /// optimizer that was trained on another text before is warm.
  private let warmUp: WarmUpSchedule<ConstantSchedule>
  /// The rate by the number of this training's updates.
  private let cosine: CosineSchedule
  private var gradients: Gradients<CharacterModel>
  private let parallel: DataParallel<CharacterModel>
  private let shards: [Shard]

  /// A training from its beginning.
  ///
  /// - Parameters:
  ///   - model: a new one, or one that `optimizer` has trained on something else.
  ///   - optimizer: a new one by default.
  ///   - numbers: the text by the model's vocabulary.
  ///   - settings: how to train.
  /// - Throws: `RecurrentError` if a setting is out of its range or the text is too short.
  public init(
    _ model: CharacterModel, optimizer: Adam = Adam(), numbers: [Int], settings: Settings
  ) throws(RecurrentError) {
    try settings.check()
    guard numbers.count >= 3 else { throw .size(name: "text", was: numbers.count, expected: "at least 3 characters") }
    self.model = model
    self.model.dropout = try Dropout(rate: settings.dropout)
    self.optimizer = optimizer
    self.settings = settings
    text = TextFingerprint(numbers, vocabulary: model.vocabulary)
    let streams = max(1, min(settings.streams, numbers.count / 4 / settings.steps))
    let threads = min(settings.threads, streams), length = (numbers.count - 1) / streams
    var shards: [Shard] = []
    for thread in 0..<threads {
      let first = streams * thread / threads, end = streams * (thread + 1) / threads
      shards.append(
        try Shard(
          model, numbers: Array(numbers[first * length...end * length]), streams: end - first, of: streams,
          steps: settings.steps))
    }
    self.shards = shards
    updatesPerEpoch = shards[0].updatesPerEpoch
    let (updates, overflow) = updatesPerEpoch.multipliedReportingOverflow(by: settings.epochs)
    guard !overflow else { throw .size(name: "epochs", was: settings.epochs, expected: "fewer") }
    totalUpdates = updates
    warmUp = try WarmUpSchedule(steps: 49, start: 1.0 / 50, then: ConstantSchedule(rate: 1))
    cosine = try CosineSchedule(rate: settings.learningRate, steps: updates, lowest: settings.learningRate / 50)
    gradients = try Gradients(model)
    parallel = try DataParallel(model, threads: Threads(count: threads), seed: settings.seed)
  }

  /// Resumes a training; it gives the same bits as if it had not been stopped.
  ///
  /// - Parameters:
  ///   - model, optimizer: as they were when the training stopped.
  ///   - numbers: the text that the training began with.
  ///   - progress: where it stopped. If its settings are changed, the training is no longer the same.
  ///   - allowingOtherText: whether another text is accepted. It is read from its beginning; the epochs so far count.
  /// - Throws: `RecurrentError` if the other form throws, if the text is another one, or if the progress does
  ///   not fit such a training.
  public convenience init(
    _ model: CharacterModel, optimizer: Adam, numbers: [Int], resuming progress: Progress,
    allowingOtherText: Bool = false
  ) throws(RecurrentError) {
    try self.init(model, optimizer: optimizer, numbers: numbers, settings: progress.settings)
    guard (0...settings.epochs).contains(progress.epoch) else {
      throw .size(name: "epoch", was: progress.epoch, expected: "0 to \(settings.epochs)")
    }
    epoch = progress.epoch
    if progress.text != text {
      guard allowingOtherText else {
        throw .value(
          name: "the text", was: "another one than the training began with: \(text)", expected: "\(progress.text)")
      }
      return
    }
    let length = shards[0].length
    guard (0..<length).contains(progress.position), progress.position.isMultiple(of: settings.steps) else {
      throw .size(
        name: "position", was: progress.position,
        expected: "a multiple of \(settings.steps) from 0 to less than \(length)")
    }
    let state = self.progress.state
    try checkCount("h", progress.state.h.count, is: state.h.count, "levels·streams·hiddenSize")
    try checkCount(
      "c", progress.state.c.count, is: state.c.count, "levels·streams·hiddenSize of an LSTM, none of other cells")
    var rest = progress.state
    for shard in shards {
      let (h, c) = (shard.place.state.h.count, shard.place.state.c.count)
      shard.place = Shard.Place(
        position: progress.position, state: State(h: Array(rest.h.prefix(h)), c: Array(rest.c.prefix(c))))
      rest.h.removeFirst(h)
      rest.c.removeFirst(c)
    }
  }

  /// Where the training is now.
  public var progress: Progress {
    var state = State<Float>(h: [])
    for shard in shards {
      state.h += shard.place.state.h
      state.c += shard.place.state.c
    }
    return Progress(settings: settings, epoch: epoch, position: shards[0].place.position, state: state, text: text)
  }

  /// The number of updates of this training so far.
  public var updates: Int { epoch * updatesPerEpoch + shards[0].place.position / settings.steps }

  /// Whether the text has been read as many times as `settings` says.
  public var isFinished: Bool { epoch >= settings.epochs }

  /// One piece of every stream: forward, backward, one update.
  ///
  /// - Returns: the loss in nats a character before the update, and how many characters it was of.
  /// - Throws: `RecurrentError` if the model's parts do not fit together, or if the norm of the gradients is
  ///   infinite or NaN; model, optimizer and progress are then as they were before.
  public func update() throws(RecurrentError) -> (loss: Double, characters: Int) {
    let places = shards.map(\.place), rate = optimizer.learningRate
    do throws(RecurrentError) {
      let result = try runUpdate()
      if shards[0].isAtEnd {
        epoch += 1
        for shard in shards { shard.restart() }
      }
      return result
    } catch {
      for (shard, place) in zip(shards, places) { shard.place = place }
      optimizer.learningRate = rate
      throw error
    }
  }

  private func runUpdate() throws(RecurrentError) -> (loss: Double, characters: Int) {
    let rate = cosine.rate(atStep: updates) * warmUp.rate(atStep: optimizer.updates), shards = shards
    // An update draws a mask for the outputs, and one for all levels' inputs if there are several levels.
    let masks = model.layer.dropout > 0 && model.layer.layerCount > 1 ? 2 : 1
    parallel.masks = masks &* optimizer.updates
    let loss = try parallel.gradients(of: model, into: &gradients) {
      part, model, gradients, workspace throws(RecurrentError) in
      try shards[part].run(model, into: &gradients, workspace)
    }
    optimizer.learningRate = rate
    try optimizer.update(&model, gradients, clipping: .norm(settings.clippingNorm))
    return (loss, shards.reduce(0) { $0 + $1.characters })
  }
}

/// The streams of one thread.
private final class Shard: @unchecked Sendable {
  /// What one update passes on to the next one: the position in the text and the state.
  struct Place {
    /// The number of steps of each stream that have been read.
    var position: Int
    /// The state after those steps.
    var state: State<Float>
  }

  /// The number of characters of the last update.
  private(set) var characters = 0
  /// The fraction of all streams that the thread has.
  private let weight: Double
  private let initial: State<Float>
  private var batches: TextBatches
  private var state: State<Float>

  init(
    _ model: CharacterModel, numbers: [Int], streams: Int, of allStreams: Int, steps: Int
  ) throws(RecurrentError) {
    weight = Double(streams) / Double(allStreams)
    batches = try TextBatches(numbers, streams: streams, steps: steps)
    initial = try model.layer.zeroState(batchSize: streams)
    state = initial
  }

  var updatesPerEpoch: Int { batches.count }

  /// The number of steps of each stream.
  var length: Int { batches.length }

  var isAtEnd: Bool { batches.position >= batches.length }

  var place: Place {
    get { Place(position: batches.position, state: state) }
    set {
      batches.position = newValue.position
      state = newValue.state
    }
  }

  /// Goes back to the beginning of the streams.
  func restart() { place = Place(position: 0, state: initial) }

  /// Adds the gradients of the next piece of every stream, and returns its loss, both times the fraction of all streams
  /// that the thread has.
  func run(
    _ model: CharacterModel, into gradients: inout Gradients<CharacterModel>, _ workspace: Workspace
  ) throws(RecurrentError) -> Double {
    guard let batch = batches.next() else { return 0 }
    let (logits, final, trace) = try model.forward(try batch.tokens, from: state, workspace)
    state = final
    let (loss, dLogits) = try SoftmaxCrossEntropy()(logits, batch.targets, weight: Float(weight))
    try model.backward(dLogits, trace, into: &gradients, workspace)
    characters = batch.targets.count
    return loss * weight
  }
}
