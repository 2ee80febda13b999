import Foundation
import Recurrent
import RecurrentFiles
import RecurrentTraining
import ToolSupport

/// A character model with its optimizer and the progress of its training, as a `Checkpoint`. The parameters have
/// PyTorch's names: `embedding.weight`, `cell.weight_ih_l0`, `head.bias`. The state of the streams is in `progress.h`
/// and `progress.c`. Sizes, vocabulary, settings and the place in the text are an entry of the metadata each.
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
  /// Nil if a version before 0.4 wrote the file, or if `recurrent quantize` did.
  var training: Training?

  /// What the metadata calls a file of this kind.
  static let kind = "character model"

  /// The cells by their names. A model always has a cell without a variant.
  static let cells = [Cell.gru(), .lstm(), .rnn()].map { (name: $0.name, value: $0) }

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
    var file = Checkpoint()
    let layer = model.layer, weights = layer.weightFormat
    if training != nil || weights == .full {  // --resume needs the parameters in full precision.
      try file.store(model)
    } else {
      try file.store(model.embedding, as: "embedding")
      try file.store(model.head, as: "head")
      for (name, tensor) in layer.tensors(prefix: "cell.", weights: weights) { try file.store(tensor, as: name) }
    }
    try file.store(SavedModel.kind, as: "model")
    try file.store(layer.cell.name, as: "cell")
    try file.store(layer.inputSize, as: "embedding_size")
    try file.store(layer.hiddenSize, as: "hidden_size")
    try file.store(layer.layerCount, as: "levels")
    try file.store(weights.rawValue, as: "weights")
    try file.store(model.vocabulary, as: "characters")
    if let training {
      let progress = training.progress, h = layer.hiddenSize
      try file.store(optimizer, of: model)
      for (name, value) in training.settings.entries { try file.store(value, as: name) }
      try file.store(progress.epoch, as: "epoch")
      try file.store(progress.position, as: "position")
      try file.store(progress.text.description, as: "text")
      try file.store(training.heldOutText.description, as: "held_out_text")
      for (name, state) in [("progress.h", progress.state.h), ("progress.c", progress.state.c)] {
        try file.store(try Tensor(state, shape: [state.count / h, h]), as: name)
      }
    }
    try file.write(to: path)
  }

  // MARK: - Reading

  init(contentsOf path: FilePath) throws {
    let content = try SafeTensors(contentsOf: path)
    let file = try Checkpoint(try content.upgradedCharacterModel() ?? content, path: path), tensors = file.file
    let entries = Metadata(path: path, file: file), kind = try entries.text("model")
    guard kind == SavedModel.kind else { throw entries.error("model", kind, "'\(SavedModel.kind)'") }
    let name = try entries.text("cell")
    guard let cell = SavedModel.cells.first(where: { $0.name == name })?.value else {
      throw entries.error("cell", name, "one of \(Options.list(SavedModel.cells.map(\.name)))")
    }
    let characters = Array(try entries.text("characters").unicodeScalars)
    guard !characters.isEmpty, Set(characters).count == characters.count else {
      throw ToolError("\(path): 'characters' has \(characters.count), expected at least one, and none of them twice")
    }
    // The tensors' shapes are checked before anything of the claimed sizes is allocated.
    let vocabulary = Vocabulary(characters), v = vocabulary.count
    let d = try entries.number("embedding_size", in: 1...100_000)
    let h = try entries.number("hidden_size", in: 1...100_000), levels = try entries.number("levels", in: 1...1000)
    _ = try tensors.tensor("embedding.weight", shape: [v, d], path: path)
    _ = try tensors.tensor("head.weight", shape: [v, h], path: path)
    for level in 0..<levels {
      let shapes = [("weight_ih", [cell.gates * h, level == 0 ? d : h]), ("weight_hh", [cell.gates * h, h])]
      for (matrix, shape) in shapes {
        let name = "cell.\(matrix)_l\(level)"
        guard tensors.tensors[name] != nil else {
          throw entries.error("levels", "\(levels)", "the number of levels of the file's tensors")
        }
        _ = try tensors.tensor(name, shape: shape, path: path)
      }
    }
    let settings = tensors.metadata["epoch"] == nil ? nil : try TrainingSettings(entries, default: TrainingSettings())
    model = try CharacterModel(
      cell, vocabulary: vocabulary, embeddingSize: d, hiddenSize: h, layerCount: levels,
      layerDropout: settings?.trainer.dropout ?? 0, seed: 0)
    try file.restore(&model)
    let weights = try entries.format("weights", of: settings == nil ? WeightFormat.allCases : [.full, .bfloat16])
    model.layer = try model.layer.converted(to: weights)
    guard let settings else { return }
    try file.restore(&optimizer, of: model)
    func state(_ tensor: String) throws -> [Float] {
      try tensors.floats(tensor, shape: tensors.tensors[tensor].map { [$0.shape.first ?? 0, h] } ?? [], path: path)
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
  let file: Checkpoint

  func error(_ name: String, _ value: String, _ expected: String) -> ToolError {
    ToolError("\(path): '\(name)' is '\(value)', expected \(expected)")
  }

  /// An entry as it is in the file, which is JSON.
  private func json(_ name: String) throws -> String {
    guard let json = file.file.metadata[name] else {
      throw ToolError("\(path): has no '\(name)' in its metadata; expected a file that --save wrote")
    }
    return json
  }

  func text(_ name: String) throws -> String {
    _ = try json(name)
    return try file.value(name)
  }

  func format(_ name: String, of known: [WeightFormat]) throws -> WeightFormat {
    let text = try text(name)
    guard let format = known.first(where: { $0.rawValue == text }) else {
      throw error(name, text, "one of \(Options.list(known.map(\.rawValue)))")
    }
    return format
  }

  func fingerprint(_ name: String) throws -> TextFingerprint {
    let text = try text(name)
    guard let fingerprint = TextFingerprint(text) else {
      throw error(name, text, "a count and a hexadecimal number, with a colon between them")
    }
    return fingerprint
  }

  /// The JSON of a number is its text.
  func number<Number: LosslessStringConvertible & Comparable>(
    _ name: String, in range: ClosedRange<Number>
  ) throws -> Number {
    let json = try json(name)
    guard let number = Number(json), range.contains(number) else {
      throw error(name, json, range.expectation)
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
