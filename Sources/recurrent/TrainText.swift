import CToolSupport
import Foundation
import Recurrent
import RecurrentFiles
import RecurrentTraining
import ToolSupport

/// `recurrent train-text`: a character model of any text file.
enum TrainText: Command {
  static let name = "train-text"
  static let summary = "train a character model on a text file"
  static let usage = "--data FILE [options]"
  static let options = [
    Option("data", "FILE", "the text, a file or a pipe: UTF-8, or else Latin-1"),
    Option("cell", "CELL", "lstm (default), gru or rnn"),
    Option("hidden", "H", "hidden units, 256 by default"),
    Option("embedding", "D", "size of a character's vector, 64 by default"),
    Option("epochs", "E", "times through the text, 16 by default"),
    Option("streams", "N", "pieces of the text that are read side by side, 24 by default"),
    Option("steps", "T", "how far gradients go back, 64 by default"),
    Option("learning-rate", "R", "at its highest, 0.004 by default"),
    Option("clip", "G", "largest norm of the gradients, 1 by default"),
    Option("dropout", "P", "of the layer's outputs, 0.25 by default"),
    Option("held-out", "F", "the last part of the text that is not trained on, 0.1 by default"),
    Option("sample", "K", "characters of text to write at the end, 400 by default"),
    Option("temperature", "X", "of that text: bold below 1, wild above; 0.8 by default"),
    Option("threads", "K", "the streams are shared out among them, at most 2 by default"),
    Option("seed", "S", "equal seeds give equal models, 1 by default"),
    Option("save", "FILE", "write the model and the training as safetensors after every epoch and when interrupted"),
    Option("resume", "FILE", "continue a training that --save wrote, with its settings; only --epochs may differ"),
    Option("other-text", nil, "with --resume: allow --data to be another text, which is read from its beginning"),
  ]

  static func run(_ options: Options) throws {
    let data = try options.requiredPath("data")
    let sampled = try options.number("sample", in: 0...10_000_000, default: 400)
    let temperature = try options.number("temperature", in: Float(0.01)...100, default: 0.8)
    if options.has("other-text"), !options.has("resume") { throw ToolError("--other-text needs --resume FILE") }
    try options.checkWritable("save")
    let saved = try options.path("resume").map { try ResumedTraining($0, options) }
    let settings = try saved?.settings ?? TrainingSettings(options, default: TrainingSettings())
    let (trained, heldOut) = settings.split(try readText(data))
    let trainer = try saved?.trainer(trained, heldOut, options) ?? newTrainer(options, settings, trained)

    let model = trainer.model
    print(Processor.description)
    print(
      "\(model.layer.cell.name) of \(model.layer.hiddenSize) units, \(model.parameterCount) parameters; "
        + "\(trained.count) characters to train on, \(heldOut.count) held out, "
        + "\(model.vocabulary.characters.count) different ones")
    if let before = saved?.training.settings.trainer.epochs, before != settings.trainer.epochs {
      print(
        "\(settings.trainer.epochs) epochs instead of \(before): "
          + "the learning rate falls along another curve from here on")
    }
    if trainer.isFinished {
      print("the file has \(trainer.updates) updates, \(settings.trainer.epochs) epochs have no more: nothing to train")
    }
    try train(trainer, heldOut: heldOut, fraction: settings.heldOut, save: options.path("save"))
    if sampled > 0 {
      print(
        "\n"
          + (try trainer.model.sample(
            after: trained.suffix(100), count: sampled, temperature: temperature, seed: settings.trainer.seed)))
    }
  }

  private static func newTrainer(
    _ options: Options, _ settings: TrainingSettings, _ text: [Unicode.Scalar]
  ) throws -> CharacterTrainer {
    let name = options["cell"] ?? "lstm", vocabulary = Vocabulary(of: text)
    guard let cell = SavedModel.cells[name] else {
      throw ToolError("--cell is '\(name)', expected one of \(SavedModel.cells.keys.sorted().joined(separator: ", "))")
    }
    let model = try CharacterModel(
      cell, vocabulary: vocabulary, embeddingSize: try options.number("embedding", in: 1...100_000, default: 64),
      hiddenSize: try options.number("hidden", in: 1...100_000, default: 256), seed: settings.trainer.seed)
    return try CharacterTrainer(model, numbers: vocabulary.numbers(of: text), settings: settings.trainer)
  }

  // MARK: - Training

  /// - Throws: `EarlyEnd` if a signal asks for it.
  private static func train(
    _ trainer: CharacterTrainer, heldOut: [Unicode.Scalar], fraction: Double, save: FilePath?
  ) throws {
    let clock = ContinuousClock(), begin = clock.now
    let heldOutText = TextFingerprint(heldOut, vocabulary: trainer.model.vocabulary)
    let heldOut = trainer.model.vocabulary.numbers(of: heldOut)
    var bar = ProgressBar("training")
    var sum = 0.0, count = 0, characters = 0
    func write(_ path: FilePath) throws {
      try SavedModel(trainer, heldOut: fraction, heldOutText: heldOutText).write(to: path)
    }
    note_interrupts()
    printLine("epoch training held out  char/s    time")
    while !trainer.isFinished, noted_interrupt() == 0 {
      let epoch = trainer.epoch + 1, loss: Double, read: Int
      do { (loss, read) = try trainer.update() } catch {
        bar.finish()
        throw ToolError("update \(trainer.updates + 1) is refused: \(error): try a lower --learning-rate")
      }
      sum += loss * Double(read)
      count += read
      characters += read
      let speed = Double(characters) / ((clock.now - begin) / .seconds(1))
      bar.show(
        Double(trainer.updates) / Double(trainer.totalUpdates),
        [String(format: "%.3f nats a character", loss), String(format: "%.0f characters/s", speed)])
      guard trainer.epoch == epoch, noted_interrupt() == 0 else { continue }
      let held = heldOut.count < 2 ? "-" : String(format: "%.4f", try trainer.model.loss(of: heldOut))
      bar.finish()
      printLine(
        String(format: "%5d %8.4f ", epoch, sum / Double(count)) + held.leftPadded(8)
          + String(format: " %7.0f %5.0f s", speed, (clock.now - begin) / .seconds(1)))
      (sum, count) = (0, 0)
      if let save { try write(save) }
    }
    stop_noting_interrupts()
    let signal = noted_interrupt()
    guard signal != 0 else {
      // What had nothing left to train is saved all the same.
      if let save, characters == 0 { try write(save) }
      return
    }
    bar.finish()
    let place = "after update \(trainer.updates) of \(trainer.totalUpdates)"
    if let save { try write(save) }
    throw EarlyEnd(
      status: 128 + signal,
      message: save.map { "interrupted \(place): saved in \($0), and --resume goes on from there" }
        ?? "interrupted \(place): nothing is saved, since there is no --save")
  }
}

extension String {
  fileprivate func leftPadded(_ width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}
