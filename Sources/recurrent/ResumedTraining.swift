import RecurrentFiles
import RecurrentTraining
import ToolSupport

/// A training that `--resume` goes on with.
struct ResumedTraining {
  let path: FilePath
  let saved: SavedModel
  let training: SavedModel.Training
  /// The file's settings, with the number of epochs from the options if they have one.
  let settings: TrainingSettings

  /// - Throws: `ToolError` if the file has no training, or if an option contradicts it.
  init(_ path: FilePath, _ options: Options) throws {
    let saved = try SavedModel(contentsOf: path)
    guard let training = saved.training else {
      let weights = saved.model.layer.weightFormat
      guard weights == .full else {
        throw ToolError(
          "\(path): has weights in \(weights.rawValue) and no training, expected a file that --save wrote; 'recurrent "
            + "generate' can run it")
      }
      throw ToolError(
        "\(path): a version before 0.4 wrote it and did not keep how the model was trained, expected a file of a later "
          + "version; 'recurrent generate' can run it")
    }
    let settings = try TrainingSettings(options, default: training.settings), layer = saved.model.layer
    func expect(_ name: String, _ given: String, _ kept: String) throws {
      guard given != kept else { return }
      throw ToolError("--\(name) is '\(given)', expected '\(kept)', as it was when \(path) was trained")
    }
    let shape = try TextModelShape(options, default: TextModelShape(layer))
    try expect("cell", shape.cell.name, layer.cell.name)
    try expect("hidden", "\(shape.hiddenSize)", "\(layer.hiddenSize)")
    try expect("levels", "\(shape.levels)", "\(layer.layerCount)")
    try expect("embedding", "\(shape.embeddingSize)", "\(layer.inputSize)")
    try expect("weights", shape.weights.rawValue, layer.weightFormat.rawValue)
    for (given, kept) in zip(settings.entries, training.settings.entries) where given.name != "epochs" {
      try expect(given.name, "\(given.value)", "\(kept.value)")
    }
    guard settings.trainer.epochs >= training.progress.epoch else {
      throw ToolError(
        "--epochs is '\(settings.trainer.epochs)', expected at least the \(training.progress.epoch) "
          + "that \(path) has seen")
    }
    self.path = path
    self.saved = saved
    self.training = training
    self.settings = settings
  }

  /// - Throws: `ToolError` if the text is not the same as before and `--other-text` was not given.
  func trainer(
    _ trained: [Unicode.Scalar], _ heldOut: [Unicode.Scalar], _ options: Options
  ) throws -> CharacterTrainer {
    let vocabulary = saved.model.vocabulary, numbers = vocabulary.numbers(of: trained)
    var progress = training.progress
    progress.settings = settings.trainer
    let isOther = TextFingerprint(numbers, vocabulary: vocabulary) != progress.text
    if isOther || TextFingerprint(heldOut, vocabulary: vocabulary) != training.heldOutText {
      guard options.has("other-text") else {
        throw ToolError(
          "--data \(options["data"] ?? "") is not the text of \(progress.text.count + training.heldOutText.count) "
            + "characters that \(path) was trained on; --other-text goes on with it all the same")
      }
      printLine("another text than before, " + (isOther ? "read from its beginning" : "but only in what is held out"))
    }
    do {
      return try CharacterTrainer(
        saved.model, optimizer: saved.optimizer, numbers: numbers, resuming: progress, allowingOtherText: isOther)
    } catch { throw ToolError("\(path): \(error)") }
  }
}

extension TextFingerprint {
  /// Also distinguishes characters that are not in the vocabulary.
  init(_ text: [Unicode.Scalar], vocabulary: Vocabulary) {
    self.init(text.map { Int($0.value) }, vocabulary: vocabulary)
  }
}
