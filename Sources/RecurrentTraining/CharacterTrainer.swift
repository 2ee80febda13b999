import Foundation
import Recurrent

/// Trains a character model: truncated backward through time with the state carried from piece to piece, Adam, clipped
/// gradients, a learning rate that falls along a cosine.
public struct CharacterTrainer {
  public struct Settings: Sendable, Equatable {
    /// N, pieces of the text that are read side by side.
    public var streams = 64
    /// T, how far gradients go back.
    public var steps = 64
    /// Times through the text, in the whole training.
    public var epochs = 12
    public var learningRate: Float = 4e-3
    /// The gradients' norm is brought down to this.
    public var clippingNorm = 1.0

    public init() {}
  }

  public var model: CharacterModel
  public var optimizer: Adam
  public let settings: Settings
  /// Of the whole training.
  public let totalUpdates: Int
  private let numbers: [Int]
  private var batches: TextBatches
  private var state: State<Float>
  private var pass: ModelPass
  private var gradients: ModelGradients

  /// - Parameters:
  ///   - model: a new one, or one that has been trained by `optimizer` so far.
  ///   - optimizer: its count of updates says where in the schedule the training goes on.
  ///   - numbers: the text by the model's vocabulary.
  /// - Throws: `RecurrentError` where a setting is not positive or the text is too short.
  public init(
    _ model: CharacterModel, optimizer: Adam? = nil, numbers: [Int], settings: Settings
  ) throws(RecurrentError) {
    for (name, value) in [("streams", settings.streams), ("steps", settings.steps), ("epochs", settings.epochs)]
    where value < 1 {
      throw .size(name: name, was: value, expected: "at least 1")
    }
    guard numbers.count >= 3 else { throw .size(name: "text", was: numbers.count, expected: "at least 3 characters") }
    self.model = model
    self.optimizer = optimizer ?? Adam()
    self.numbers = numbers
    // A short text has fewer streams, so that each is some pieces long.
    var settings = settings
    settings.streams = max(1, min(settings.streams, numbers.count / (4 * settings.steps)))
    self.settings = settings
    batches = TextBatches(numbers, streams: settings.streams, steps: settings.steps)
    totalUpdates = batches.count * settings.epochs
    state = try model.layer.zeroState(batchSize: settings.streams)
    pass = ModelPass(model)
    gradients = ModelGradients(model)
  }

  public var isFinished: Bool { optimizer.steps >= totalUpdates }
  /// Updates of one time through the text.
  public var updatesPerEpoch: Int { batches.count }

  /// One piece of every stream: forward, backward, one update.
  ///
  /// - Returns: the loss in nats a character before the update, and how many characters it was of.
  /// - Throws: `RecurrentError` where the model's parts do not fit together.
  public mutating func update() throws(RecurrentError) -> (loss: Double, characters: Int) {
    var next = batches.next()
    if next == nil {
      batches = TextBatches(numbers, streams: settings.streams, steps: settings.steps)
      state = try model.layer.zeroState(batchSize: settings.streams)
      next = batches.next()
    }
    guard let batch = next else { return (0, 0) }
    gradients.clear()
    let loss = try pass.gradients(model, batch, state: &state, into: &gradients)
    optimizer.learningRate = settings.learningRate * schedule
    let scale = clippingFactor(norm: gradients.norm, limit: settings.clippingNorm)
    optimizer.beginStep()
    try apply(scale)
    return (loss, batch.targets.count)
  }

  /// From 0 up to 1 over the first updates, then down along a cosine to a fiftieth.
  private var schedule: Float {
    let done = Float(optimizer.steps) / Float(max(1, totalUpdates)), warm = Float(optimizer.steps + 1) / 50
    let lowest: Float = 0.02
    return min(1, warm) * (lowest + (1 - lowest) * (1 + cos(.pi * min(1, done))) / 2)
  }

  private mutating func apply(_ scale: Float) throws(RecurrentError) {
    var failure: RecurrentError?
    func update(_ name: String, _ values: UnsafeMutableBufferPointer<Float>, _ gradient: [Float]) {
      do throws(RecurrentError) {
        try optimizer.update(name, values, gradient: gradient, scale: scale)
      } catch { failure = failure ?? error }
    }
    model.embedding.weight.withUnsafeMutableBufferPointer { update("embedding.weight", $0, gradients.embedding) }
    model.head.weight.withUnsafeMutableBufferPointer { update("head.weight", $0, gradients.headWeight) }
    model.head.bias.withUnsafeMutableBufferPointer { update("head.bias", $0, gradients.headBias) }
    model.layer.updateEachParameter { name, values in
      update("cell.\(name)", values, (try? gradients.layer.values(name)) ?? [])
    }
    if let failure { throw failure }
  }
}
