import RecurrentTraining
import ToolSupport

/// How a character model is trained, as options of the command line and as metadata of a file.
struct TrainingSettings: Equatable {
  var trainer = CharacterTrainer.Settings()
  /// The last part of the text, which is not trained on.
  var heldOut = 0.1

  init() {}

  /// - Parameters:
  ///   - source: options, or a file's metadata.
  ///   - standard: the settings that the source does not have.
  /// - Throws: what the source throws if a value is not a number or out of its range.
  init(_ source: some NumberSource, default standard: TrainingSettings) throws {
    let settings = standard.trainer
    trainer.epochs = try source.number("epochs", in: 1...1_000_000, default: settings.epochs)
    trainer.streams = try source.number("streams", in: 1...100_000, default: settings.streams)
    trainer.steps = try source.number("steps", in: 1...100_000, default: settings.steps)
    trainer.learningRate = try source.number("learning-rate", in: 1e-8...10, default: settings.learningRate)
    trainer.clippingNorm = try source.number("clip", in: 1e-8...1e8, default: settings.clippingNorm)
    trainer.dropout = try source.number("dropout", in: 0...0.99, default: settings.dropout)
    trainer.threads = try source.number("threads", in: 1...1024, default: settings.threads)
    trainer.seed = try source.number("seed", in: 0...UInt64.max, default: settings.seed)
    heldOut = try source.number("held-out", in: 0...0.9, default: standard.heldOut)
  }

  /// Each setting by its option's name.
  var entries: [(name: String, value: any Encodable & CustomStringConvertible)] {
    [
      ("epochs", trainer.epochs), ("streams", trainer.streams), ("steps", trainer.steps),
      ("learning-rate", trainer.learningRate), ("clip", trainer.clippingNorm), ("dropout", trainer.dropout),
      ("threads", trainer.threads), ("seed", trainer.seed), ("held-out", heldOut),
    ]
  }

  /// A text's beginning, which is trained on, and its rest.
  func split(_ text: [Unicode.Scalar]) -> (trained: [Unicode.Scalar], heldOut: [Unicode.Scalar]) {
    let end = text.count - Int(Double(text.count) * heldOut)
    return (Array(text[..<end]), Array(text[end...]))
  }
}
