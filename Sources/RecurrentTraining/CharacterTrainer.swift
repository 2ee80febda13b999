import Foundation
import Recurrent

/// Trains a character model: truncated backward through time with the state carried from piece to piece, Adam, clipped
/// gradients, a learning rate that falls along a cosine. The streams are shared out among threads, whose gradients are
/// added in a fixed order.
public final class CharacterTrainer {
  public struct Settings: Sendable, Equatable {
    /// N, pieces of the text that are read side by side.
    public var streams = 24
    /// T, how far gradients go back.
    public var steps = 64
    /// Times through the text, in the whole training.
    public var epochs = 16
    public var learningRate: Float = 4e-3
    /// Of the layer's outputs.
    public var dropout: Float = 0.25
    /// Of the dropout.
    public var seed: UInt64 = 1
    /// The gradients' norm is brought down to this.
    public var clippingNorm = 1.0
    /// Equal numbers give equal models. More than two of them want more streams.
    public var threads = min(2, ProcessInfo.processInfo.activeProcessorCount)

    public init() {}
  }

  public var model: CharacterModel
  public var optimizer: Adam
  public let settings: Settings
  /// Of the whole training.
  public let totalUpdates: Int
  /// Of one time through the text.
  public let updatesPerEpoch: Int
  private var gradients: ModelGradients
  private let shards: [Shard]

  /// - Parameters:
  ///   - model: a new one, or one that has been trained by `optimizer` so far.
  ///   - optimizer: its count of updates says where in the schedule the training goes on.
  ///   - numbers: the text by the model's vocabulary.
  /// - Throws: `RecurrentError` where a setting is not positive or the text is too short.
  public init(
    _ model: CharacterModel, optimizer: Adam? = nil, numbers: [Int], settings: Settings
  ) throws(RecurrentError) {
    for (name, value) in [
      ("streams", settings.streams), ("steps", settings.steps), ("epochs", settings.epochs),
      ("threads", settings.threads),
    ]
    where value < 1 {
      throw .size(name: name, was: value, expected: "at least 1")
    }
    guard numbers.count >= 3 else { throw .size(name: "text", was: numbers.count, expected: "at least 3 characters") }
    for (name, value) in [("learningRate", Double(settings.learningRate)), ("clippingNorm", settings.clippingNorm)]
    where !value.isFinite {
      throw .value(name: name, was: "\(value)", expected: "a finite number")
    }
    self.model = model
    self.optimizer = optimizer ?? Adam()
    // A short text has fewer streams, so that each is some pieces long.
    var settings = settings
    settings.streams = max(1, min(settings.streams, numbers.count / 4 / settings.steps))
    settings.threads = min(settings.threads, settings.streams)
    self.settings = settings
    let length = (numbers.count - 1) / settings.streams
    var shards: [Shard] = []
    for thread in 0..<settings.threads {
      let first = settings.streams * thread / settings.threads, end = settings.streams * (thread + 1) / settings.threads
      shards.append(
        try Shard(
          model, numbers: Array(numbers[first * length...end * length]), streams: end - first, settings: settings,
          // A training that goes on draws anew.
          seed: settings.seed &+ UInt64(thread) << 32 &+ UInt64(truncatingIfNeeded: self.optimizer.steps)))
    }
    self.shards = shards
    updatesPerEpoch = shards[0].updatesPerEpoch
    let (updates, overflow) = updatesPerEpoch.multipliedReportingOverflow(by: settings.epochs)
    guard !overflow else { throw .size(name: "epochs", was: settings.epochs, expected: "fewer") }
    totalUpdates = updates
    gradients = ModelGradients(model)
  }

  public var isFinished: Bool { optimizer.steps >= totalUpdates }

  /// One piece of every stream: forward, backward, one update.
  ///
  /// - Returns: the loss in nats a character before the update, and how many characters it was of.
  /// - Throws: `RecurrentError` where the model's parts do not fit together.
  public func update() throws(RecurrentError) -> (loss: Double, characters: Int) {
    runShards()
    gradients.clear()
    var loss = 0.0, characters = 0
    for shard in shards {
      let (part, count) = try shard.result.get()
      loss += part * Double(count)
      characters += count
      gradients.add(shard.gradients)
    }
    optimizer.learningRate = settings.learningRate * schedule
    let scale = clippingFactor(norm: gradients.norm, limit: settings.clippingNorm)
    try model.apply(gradients, &optimizer, scale: scale)
    return (loss / Double(characters), characters)
  }

  /// The copy of the model that the threads read is gone when this returns: an update then changes it in place.
  @inline(never)
  private func runShards() {
    let model = model, shards = shards
    DispatchQueue.concurrentPerform(iterations: shards.count) { shards[$0].run(model) }
  }

  /// From 0 up to 1 over the first updates, then down along a cosine to a fiftieth.
  private var schedule: Float {
    let done = Float(optimizer.steps) / Float(max(1, totalUpdates)), warm = Float(optimizer.steps + 1) / 50
    let lowest: Float = 0.02
    return min(1, warm) * (lowest + (1 - lowest) * (1 + cos(.pi * min(1, done))) / 2)
  }
}

/// The streams of one thread.
private final class Shard: @unchecked Sendable {
  private(set) var gradients: ModelGradients
  /// Mean loss and characters of the last run.
  private(set) var result: Result<(Double, Int), RecurrentError> = .success((0, 0))
  private let streams: Int
  private let settings: CharacterTrainer.Settings
  private let initial: State<Float>
  private var batches: TextBatches
  private var state: State<Float>
  private var pass: ModelPass

  init(
    _ model: CharacterModel, numbers: [Int], streams: Int, settings: CharacterTrainer.Settings, seed: UInt64
  ) throws(RecurrentError) {
    self.streams = streams
    self.settings = settings
    batches = try TextBatches(numbers, streams: streams, steps: settings.steps)
    pass = try ModelPass(dropout: settings.dropout, seed: seed)
    initial = try model.layer.zeroState(batchSize: streams)
    state = initial
    gradients = ModelGradients(model)
  }

  var updatesPerEpoch: Int { batches.count }

  /// The gradients of the next piece of every stream, weighted by the thread's share of all streams.
  func run(_ model: CharacterModel) {
    var next = batches.next()
    if next == nil {
      batches.restart()
      state = initial
      next = batches.next()
    }
    guard let batch = next else { return }
    gradients.clear()
    let weight = Float(streams) / Float(settings.streams)
    do throws(RecurrentError) {
      let loss = try pass.gradients(model, batch, state: &state, weight: weight, into: &gradients)
      result = .success((loss, batch.targets.count))
    } catch { result = .failure(error) }
  }
}
