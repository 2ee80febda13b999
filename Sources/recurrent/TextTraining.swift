import CToolSupport
import Foundation
import Recurrent
import RecurrentFiles
import RecurrentTraining
import ToolSupport

/// The cell, the sizes and the format of the weights of a character model, as options of the command line.
struct TextModelShape {
  var cell: Cell = .gru()
  var hiddenSize = 384, levels = 1, embeddingSize = 64
  var weights: WeightFormat = .full

  init() {}

  init(_ layer: Layer<Float>) {
    (cell, hiddenSize) = (layer.cell, layer.hiddenSize)
    (levels, embeddingSize, weights) = (layer.layerCount, layer.inputSize, layer.weightFormat)
  }

  /// - Throws: `ToolError` if an option is not a number, out of its range, or no cell or format.
  init(_ options: Options, default standard: TextModelShape) throws {
    cell = try options.cell() ?? standard.cell
    hiddenSize = try options.number("hidden", in: 1...100_000, default: standard.hiddenSize)
    levels = try options.number("levels", in: 1...1000, default: standard.levels)
    embeddingSize = try options.number("embedding", in: 1...100_000, default: standard.embeddingSize)
    weights = try options.choice("weights", among: [.full, .bfloat16].named) ?? standard.weights
  }
}

/// The training of a character model on a text, which `train-text` and `experiment text` share.
struct TextTraining {
  /// The text, the model, and how it is trained. `--seed` and `--threads` are read too.
  static let options: [Option] = {
    let shape = TextModelShape(), settings = TrainingSettings(), trainer = settings.trainer
    return [
      Option("data", "FILE", "the text, a file or a pipe: UTF-8, or else Latin-1"),
      Option("cell", "CELL", "gru (default), lstm or rnn"),
      Option("hidden", "H", "hidden units, \(shape.hiddenSize) by default"),
      Option("levels", "L", "layers on top of each other, \(shape.levels) by default"),
      Option("embedding", "D", "size of a character's vector, \(shape.embeddingSize) by default"),
      Option("weights", "FORMAT", "full (default), or bf16, which rounds what products multiply"),
      Option("epochs", "E", "times through the text, \(trainer.epochs) by default"),
      Option("streams", "N", "pieces of the text that are read side by side, \(trainer.streams) by default"),
      Option("steps", "T", "how far gradients go back, \(trainer.steps) by default"),
      Option("learning-rate", "R", "at its highest, \(trainer.learningRate) by default"),
      Option("clip", "G", "largest norm of the gradients, \(trainer.clippingNorm) by default"),
      Option("dropout", "P", "of the outputs of every level, \(trainer.dropout) by default"),
      Option("held-out", "F", "the last part of the text that is not trained on, \(settings.heldOut) by default"),
    ]
  }()

  /// What an epoch gave.
  struct Epoch {
    /// From 1.
    let number: Int
    /// In nats a character, while the model was changing.
    let trainingLoss: Double
    /// In nats a character, after the epoch; nil if no text is held out.
    let heldOutLoss: Double?
    /// Of the whole training so far.
    let charactersPerSecond: Double
    /// Since the training began or went on.
    let seconds: Double
  }

  let trainer: CharacterTrainer
  let settings: TrainingSettings
  /// What the model is trained on, and what is held out.
  let text: [Unicode.Scalar], heldOut: [Unicode.Scalar]

  /// - Parameter saved: a training to go on with.
  /// - Throws: `ToolError` or `RecurrentError` if an option is wrong, or the text cannot be read or is not that of
  ///   `saved`.
  init(_ options: Options, resuming saved: ResumedTraining? = nil) throws {
    let data = try options.requiredPath("data")
    settings = try saved?.settings ?? TrainingSettings(options, default: TrainingSettings())
    (text, heldOut) = settings.split(try readText(data))
    if let saved {
      trainer = try saved.trainer(text, heldOut, options)
    } else {
      let shape = try TextModelShape(options, default: TextModelShape()), vocabulary = Vocabulary(of: text)
      var model = try CharacterModel(
        shape.cell, vocabulary: vocabulary, embeddingSize: shape.embeddingSize, hiddenSize: shape.hiddenSize,
        layerCount: shape.levels, layerDropout: settings.trainer.dropout, seed: settings.trainer.seed)
      model.layer = try model.layer.converted(to: shape.weights)
      trainer = try CharacterTrainer(model, numbers: vocabulary.numbers(of: text), settings: settings.trainer)
    }
  }

  /// How many streams read the text: a short text has fewer than were asked for.
  var streams: Int { trainer.progress.state.h.count / trainer.model.layer.layerCount / trainer.model.layer.hiddenSize }

  /// The model and the text in one line.
  var summary: String {
    let model = trainer.model, layer = model.layer
    let levels = layer.layerCount == 1 ? "" : " in each of \(layer.layerCount) levels"
    let weights = layer.weightFormat == .full ? "" : ", weights in \(layer.weightFormat.rawValue)"
    return "\(layer.cell.name) of \(layer.hiddenSize) units\(levels)\(weights), \(model.parameterCount) parameters; "
      + "\(text.count) characters to train on, \(heldOut.count) held out, "
      + "\(model.vocabulary.characters.count) different ones"
      + (streams < settings.trainer.streams
        ? "; the text is too short for \(settings.trainer.streams) streams and is read in \(streams) streams" : "")
  }

  /// Trains to the end, with a progress bar.
  ///
  /// - Parameter endOfEpoch: is called after each epoch.
  /// - Throws: `Interrupted` if a signal was noted, after the update that was running; `ToolError` if an update is
  ///   refused; and what `endOfEpoch` throws.
  func run(_ endOfEpoch: (Epoch) throws -> Void) throws {
    let clock = ContinuousClock(), begin = clock.now
    let heldOut = trainer.model.vocabulary.numbers(of: heldOut)
    var bar = ProgressBar("training")
    defer { bar.finish() }
    var sum = 0.0, count = 0, characters = 0
    while !trainer.isFinished {
      try Interrupted.check()
      let epoch = trainer.epoch + 1, loss: Double, read: Int
      do { (loss, read) = try trainer.update() } catch {
        throw ToolError("update \(trainer.updates + 1) is refused: \(error): try a lower --learning-rate")
      }
      sum += loss * Double(read)
      count += read
      characters += read
      let speed = Double(characters) / ((clock.now - begin) / .seconds(1))
      bar.show(
        Double(trainer.updates) / Double(trainer.totalUpdates),
        [String(format: "%.3f nats a character", loss), String(format: "%.0f characters/s", speed)])
      guard trainer.epoch == epoch else { continue }
      try Interrupted.check()
      let heldOutLoss = heldOut.count < 2 ? nil : try trainer.model.loss(of: heldOut)
      bar.finish()
      try endOfEpoch(
        Epoch(
          number: epoch, trainingLoss: sum / Double(count), heldOutLoss: heldOutLoss, charactersPerSecond: speed,
          seconds: (clock.now - begin) / .seconds(1)))
      (sum, count) = (0, 0)
    }
    try Interrupted.check()
  }

  /// Writes the model, the optimizer and the progress.
  ///
  /// - Throws: `FileError` if the file cannot be written; an old file is then as it was before.
  func save(to path: FilePath) throws {
    let heldOutText = TextFingerprint(heldOut, vocabulary: trainer.model.vocabulary)
    try SavedModel(trainer, heldOut: settings.heldOut, heldOutText: heldOutText).write(to: path)
  }
}
