import Foundation
import Recurrent
import RecurrentFiles
import RecurrentTraining
import ToolSupport

/// A character model with its optimizer and the progress of its training, as a safetensors file. The cell's parameters
/// have PyTorch's names with the prefix `cell.`, the optimizer's moments have the prefixes `adam.first.` and
/// `adam.second.`, and the state of the streams has the prefix `progress.`. The rest is metadata.
struct SavedModel {
  /// The progress of the training.
  struct Training {
    var progress: CharacterTrainer.Progress
    /// The fraction of the text that is held out.
    var heldOut: Double
    var heldOutText: TextFingerprint

    var settings: TrainingSettings {
      var settings = TrainingSettings()
      settings.trainer = progress.settings
      settings.heldOut = heldOut
      return settings
    }
  }

  var model: CharacterModel
  var optimizer = Adam()
  /// Nil if a version before 0.4 wrote the file, or if its weights are not full.
  var training: Training?

  private static let format = "swift-recurrent character model 2"
  private static let oldFormat = "swift-recurrent character model 1"

  /// The cells by their names. A model always has a cell without a variant.
  static let cells = Dictionary(uniqueKeysWithValues: [Cell.lstm(), .gru(), .rnn()].map { ($0.name, $0) })

  /// A training as it is now.
  init(_ trainer: CharacterTrainer, heldOut: Double, heldOutText: TextFingerprint) {
    model = trainer.model
    optimizer = trainer.optimizer
    training = Training(progress: trainer.progress, heldOut: heldOut, heldOutText: heldOutText)
  }

  /// The model of another file with its weights in another format; it is no longer trained.
  init(_ other: SavedModel, convertedTo weights: WeightFormat) throws {
    model = other.model
    model.layer = try model.layer.converted(to: weights)
  }

  // MARK: - Writing

  func write(to path: FilePath) throws {
    var file = SafeTensors(tensors: model.layer.tensors(prefix: "cell.", weights: model.layer.weightFormat))
    let (v, d, h) = (model.embedding.symbols, model.embedding.size, model.layer.hiddenSize)
    file.tensors["embedding.weight"] = try Tensor(model.embedding.weight, shape: [v, d])
    file.tensors["head.weight"] = try Tensor(model.head.weight, shape: [v, h])
    file.tensors["head.bias"] = try Tensor(model.head.bias, shape: [v])
    let list = try ParameterList(model)
    for (array, values) in optimizer.state.arrays {
      for (shape, range) in zip(list.shapes, list.ranges) {
        file.tensors["adam.\(array).\(shape.name)"] = try Tensor(Array(values[range]), shape: [shape.count])
      }
    }
    var characters = String.UnicodeScalarView()
    characters.append(contentsOf: model.vocabulary.characters)
    file.metadata = [
      "format": SavedModel.format, "cell": model.layer.cell.name, "embedding_size": "\(d)", "hidden_size": "\(h)",
      "updates": "\(optimizer.steps)", "characters": String(characters),
    ]
    if model.layer.weightFormat != .full { file.metadata["weights"] = model.layer.weightFormat.rawValue }
    if let training {
      let progress = training.progress
      for (name, value) in training.settings.entries { file.metadata[name] = value }
      file.metadata["epoch"] = "\(progress.epoch)"
      file.metadata["position"] = "\(progress.position)"
      file.metadata["text"] = "\(progress.text)"
      file.metadata["held_out_text"] = "\(training.heldOutText)"
      file.tensors["progress.h"] = try Tensor(progress.state.h, shape: [progress.state.h.count / h, h])
      file.tensors["progress.c"] = try Tensor(progress.state.c, shape: [progress.state.c.count / h, h])
    }
    try file.write(to: path)
  }

  // MARK: - Reading

  init(contentsOf path: FilePath) throws {
    let file = try SafeTensors(contentsOf: path), entries = Metadata(path: path, entries: file.metadata)
    let format = try entries.text("format")
    guard [SavedModel.format, SavedModel.oldFormat].contains(format) else {
      throw entries.error("format", "'\(SavedModel.format)'")
    }
    guard let cell = SavedModel.cells[try entries.text("cell")] else {
      throw entries.error("cell", "one of \(SavedModel.cells.keys.sorted().joined(separator: ", "))")
    }
    let characters = Array(try entries.text("characters").unicodeScalars)
    guard !characters.isEmpty, Set(characters).count == characters.count else {
      throw ToolError("\(path): 'characters' has \(characters.count), expected at least one, and none of them twice")
    }
    let vocabulary = Vocabulary(characters)
    // The tensors' shapes are checked before anything of the claimed sizes is allocated.
    let v = vocabulary.count, d = try entries.number("embedding_size", in: 1...100_000)
    let h = try entries.number("hidden_size", in: 1...100_000)
    let embedding = try file.floats("embedding.weight", shape: [v, d], path: path)
    let headWeight = try file.floats("head.weight", shape: [v, h], path: path)
    model = try CharacterModel(cell, vocabulary: vocabulary, embeddingSize: d, hiddenSize: h, seed: 0)
    model.embedding.weight = embedding
    model.head.weight = headWeight
    model.head.bias = try file.floats("head.bias", shape: [v], path: path)
    try model.layer.load(file, prefix: "cell.", path: path)
    if let name = file.metadata["weights"] {
      guard let weights = WeightFormat(rawValue: name) else {
        throw entries.error("weights", "one of \(WeightFormat.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      model.layer = try model.layer.converted(to: weights)
      if weights != .full { return }
    }
    let steps = try entries.number("updates", in: 0...(1 << 53))
    var first: [Float] = [], second: [Float] = []
    for shape in steps > 0 ? model.parameterShapes : [] {
      first += try file.floats("adam.first.\(shape.name)", shape: [shape.count], path: path)
      let values = try file.floats("adam.second.\(shape.name)", shape: [shape.count], path: path)
      if let wrong = values.first(where: { !($0 >= 0) }) {
        throw ToolError("\(path): 'adam.second.\(shape.name)' has a value of \(wrong), expected 0 or more")
      }
      second += values
    }
    let arrays = steps > 0 ? [(name: "first", values: first), (name: "second", values: second)] : []
    try optimizer.state.restore(steps: steps, arrays: arrays)
    guard format == SavedModel.format else { return }
    let settings = try TrainingSettings(entries, default: TrainingSettings())
    func state(_ tensor: String) throws -> [Float] {
      try file.floats(tensor, shape: file.tensors[tensor].map { [$0.shape.first ?? 0, h] } ?? [], path: path)
    }
    training = Training(
      progress: .init(
        settings: settings.trainer, epoch: try entries.number("epoch", in: 0...settings.trainer.epochs),
        position: try entries.number("position", in: 0...(1 << 53)),
        state: State(h: try state("progress.h"), c: try state("progress.c")), text: try entries.fingerprint("text")),
      heldOut: settings.heldOut, heldOutText: try entries.fingerprint("held_out_text"))
  }
}

/// The metadata of a file that `--save` wrote.
private struct Metadata: NumberSource {
  let path: FilePath
  let entries: [String: String]

  func error(_ name: String, _ expected: String) -> ToolError {
    ToolError("\(path): '\(name)' is '\(entries[name] ?? "")', expected \(expected)")
  }

  func text(_ name: String) throws -> String {
    guard let value = entries[name] else {
      throw ToolError("\(path): has no '\(name)' in its metadata; expected a file that --save wrote")
    }
    return value
  }

  func fingerprint(_ name: String) throws -> TextFingerprint {
    guard let fingerprint = TextFingerprint(try text(name)) else {
      throw error(name, "a count and a hexadecimal number, with a colon between them")
    }
    return fingerprint
  }

  func number<Number: LosslessStringConvertible & Comparable>(
    _ name: String, in range: ClosedRange<Number>
  ) throws -> Number {
    guard let number = Number(try text(name)), range.contains(number) else {
      throw error(name, "a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// A file has every number: there is no default.
  func number<Number: LosslessStringConvertible & Comparable>(
    _ name: String, in range: ClosedRange<Number>, default standard: Number
  ) throws -> Number {
    try number(name, in: range)
  }
}
