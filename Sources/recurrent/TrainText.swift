import Foundation
import Recurrent
import RecurrentFiles
import RecurrentTraining
import ToolSupport

/// `recurrent train-text`: a character model of any text file.
enum TrainText: Command {
  static let name = "train-text"
  static let summary = "train a character model on a text file"

  private static let known = [
    Option("data", "FILE", "the text: UTF-8, or else Latin-1"),
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
    Option("save", "FILE", "write model and optimizer as safetensors, after every epoch"),
    Option("resume", "FILE", "go on with what --save wrote"),
    Option("help", nil, "print this"),
  ]

  static func run(_ arguments: [String]) throws {
    guard let options = try Options(arguments, known: known, usage: "recurrent train-text --data FILE [options]")
    else { return }
    guard let path = options["data"] else { throw ToolError("--data FILE is missing; see --help") }
    let text = try readText(path)
    let fraction = try options.number("held-out", in: 0.0...0.9, default: 0.1)
    let trained = text.count - Int(Double(text.count) * fraction)

    var settings = CharacterTrainer.Settings()
    settings.streams = try options.number("streams", in: 1...100_000, default: settings.streams)
    settings.steps = try options.number("steps", in: 1...100_000, default: settings.steps)
    settings.epochs = try options.number("epochs", in: 1...1_000_000, default: settings.epochs)
    settings.learningRate = try options.number("learning-rate", in: 1e-8...10, default: settings.learningRate)
    settings.clippingNorm = try options.number("clip", in: 1e-8...1e8, default: settings.clippingNorm)
    settings.threads = try options.number("threads", in: 1...1024, default: settings.threads)
    let sampled = try options.number("sample", in: 0...10_000_000, default: 400)
    let temperature = try options.number("temperature", in: Float(0.01)...100, default: 0.8)
    let seed = try options.number("seed", in: 0...UInt64.max, default: 1)
    settings.dropout = try options.number("dropout", in: 0...0.99, default: settings.dropout)
    settings.seed = seed
    if let save = options["save"] { try checkWritable(save, option: "save") }

    var saved: SavedModel
    if let resume = options["resume"] {
      for name in ["cell", "hidden", "embedding"] where options.has(name) {
        throw ToolError("--\(name) cannot be changed with --resume: the file has it")
      }
      saved = try SavedModel(contentsOf: resume)
    } else {
      let vocabulary = Vocabulary(of: Array(text[..<trained]))
      saved = SavedModel(
        model: try CharacterModel(
          try cell(options["cell"] ?? "lstm"), vocabulary: vocabulary,
          embeddingSize: try options.number("embedding", in: 1...100_000, default: 64),
          hiddenSize: try options.number("hidden", in: 1...100_000, default: 256), seed: seed),
        optimizer: Adam())
    }
    let numbers = saved.model.vocabulary.numbers(of: text)
    let trainer = try CharacterTrainer(
      saved.model, optimizer: saved.optimizer, numbers: Array(numbers[..<trained]), settings: settings)
    print(Processor.description)
    print(
      "\(saved.model.layer.cell.name) of \(saved.model.layer.hiddenSize) units, "
        + "\(saved.model.parameterCount) parameters; \(trained) characters to train on, \(text.count - trained) held out, "
        + "\(saved.model.vocabulary.characters.count) different ones")
    if trainer.isFinished {
      print("the file has \(trainer.optimizer.steps) updates, \(settings.epochs) epochs have no more: nothing to train")
    }
    let model = try train(trainer, heldOut: Array(numbers[trained...]), save: options["save"])
    if sampled > 0 {
      let start = Array(text[..<trained].suffix(100))
      print("\n" + (try model.sample(after: start, count: sampled, temperature: temperature, seed: seed)))
    }
  }

  private static func train(
    _ trainer: CharacterTrainer, heldOut: [Int], save: String?
  ) throws -> CharacterModel {
    let clock = ContinuousClock(), begin = clock.now
    var bar = ProgressBar("training")
    var sum = 0.0, count = 0, characters = 0
    printLine("epoch   training   held out   characters/s      time")
    while !trainer.isFinished {
      let (loss, read) = try trainer.update()
      guard loss.isFinite else { throw ToolError("the loss is \(loss): try a lower --learning-rate") }
      sum += loss * Double(read)
      count += read
      characters += read
      let seconds = (clock.now - begin) / .seconds(1)
      let done = Double(trainer.optimizer.steps) / Double(trainer.totalUpdates)
      bar.show(
        done, String(format: "%.3f nats a character, %.0f characters/s", loss, Double(characters) / seconds))
      guard trainer.optimizer.steps % trainer.updatesPerEpoch == 0 || trainer.isFinished else { continue }
      let held = heldOut.count < 2 ? "-" : String(format: "%.4f", try trainer.model.loss(of: heldOut))
      bar.finish()
      let epoch = (trainer.optimizer.steps + trainer.updatesPerEpoch - 1) / trainer.updatesPerEpoch
      printLine(
        String(format: "%5d %10.4f ", epoch, sum / Double(count)) + held.leftPadded(10)
          + String(format: " %14.0f %8.0f s", Double(characters) / seconds, (clock.now - begin) / .seconds(1)))
      (sum, count) = (0, 0)
      if let save { try SavedModel(model: trainer.model, optimizer: trainer.optimizer).write(to: save) }
    }
    return trainer.model
  }

  private static func cell(_ name: String) throws -> Cell {
    guard let cell = SavedModel.cells[name] else {
      throw ToolError("--cell is '\(name)', expected one of \(SavedModel.cells.keys.sorted().joined(separator: ", "))")
    }
    return cell
  }

  private static func readText(_ path: String) throws -> [Unicode.Scalar] {
    let data: Data
    do { data = try Data(contentsOf: URL(fileURLWithPath: path)) } catch {
      throw ToolError("\(path): cannot be read: \(error.localizedDescription)")
    }
    let text = String(data: data, encoding: .utf8).map { Array($0.unicodeScalars) } ?? data.map { Unicode.Scalar($0) }
    guard text.count >= 16 else { throw ToolError("\(path) has \(text.count) characters, expected at least 16") }
    return text
  }
}

extension String {
  fileprivate func leftPadded(_ width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}
