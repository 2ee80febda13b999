import Foundation
import Recurrent
import RecurrentFiles

/// A training as one safetensors file: the model, the optimizer, and whatever else the training needs to go on with the
/// same bits.
///
///     var checkpoint = Checkpoint()
///     try checkpoint.store(model)
///     try checkpoint.store(optimizer, of: model)
///     try checkpoint.store(batches.place, as: "place")
///     try checkpoint.store(workspace.masks, as: "masks")
///     try checkpoint.write(to: path)
///
/// The tensors have the parameters' names, so PyTorch can load them; the optimizer's arrays have the same names behind
/// `optimizer.` and their own. Everything else is JSON in the metadata, which `recurrent inspect` shows. Writing
/// replaces the file at once: an interruption leaves the last good checkpoint.
public struct Checkpoint: Sendable {
  /// What the file holds.
  public private(set) var file: SafeTensors
  /// Where the checkpoint was read from, for errors.
  private let path: FilePath

  /// The entry `format` of the metadata.
  package static let format = "swift-recurrent checkpoint 1"

  /// An empty checkpoint.
  public init() {
    file = SafeTensors(metadata: ["format": Checkpoint.format])
    path = "checkpoint"
  }

  /// Reads a checkpoint.
  ///
  /// - Throws: `FileError` if the file cannot be read or is not a checkpoint.
  public init(contentsOf path: some FilePathConvertible) throws(FileError) {
    try self.init(try SafeTensors(contentsOf: path), path: path.filePath)
  }

  /// The content of a file that was read, or brought into this format.
  ///
  /// - Throws: `FileError` if it is not a checkpoint.
  package init(_ file: SafeTensors, path: FilePath) throws(FileError) {
    self.file = file
    self.path = path
    guard file.metadata["format"] == Checkpoint.format else {
      let format = file.metadata["format"].map { "the format '\($0)'" } ?? "no format"
      throw problem("its metadata has \(format), expected '\(Checkpoint.format)'")
    }
  }

  /// Writes the checkpoint: beside the old file first, then in its place.
  ///
  /// - Throws: `FileError` if it cannot be written; an old file is then as it was before.
  public func write(to path: some FilePathConvertible) throws(FileError) { try file.write(to: path) }

  // MARK: - Models

  /// Keeps every parameter of a model.
  ///
  /// - Parameter name: before the parameters' names, with a dot; needed only if there are several models.
  /// - Throws: `RecurrentError.value` if the checkpoint has a tensor of that name already.
  public mutating func store(_ model: some Parameterized, as name: String = "") throws {
    _ = try ParameterList(checking: model)
    var new = self
    for parameter in model.namedParameters() {
      let fullName = name.isEmpty ? parameter.name : "\(name).\(parameter.name)"
      try new.add(try Tensor(parameter.values, shape: parameter.shape), fullName)
    }
    new.file.metadata[name.isEmpty ? "parameters" : "\(name).parameters"] = "\(model.parameterCount)"
    self = new
  }

  /// Sets every parameter of a model of the same shapes.
  ///
  /// - Throws: `FileError` that names a tensor that is missing or does not fit. The model has not changed then.
  public func restore(_ model: inout some Parameterized, as name: String = "") throws {
    var values: [String: [Float]] = [:]
    for shape in model.parameterShapes {
      values[shape.name] = try floats(name.isEmpty ? shape.name : "\(name).\(shape.name)", shape.shape)
    }
    try model.setParameters(values)
  }

  // MARK: - Optimizers

  /// Keeps an optimizer's count of updates and its arrays, cut by the model's parameters.
  ///
  /// - Throws: `RecurrentError` if the arrays belong to another model, or if the checkpoint has such tensors already.
  public mutating func store<M: Parameterized>(
    _ optimizer: some Optimizer, of model: M, as name: String = "optimizer"
  ) throws {
    let list = try ParameterList(model)
    guard file.metadata[name] == nil else { throw twice(name) }
    var new = self
    for array in optimizer.state.arrays {
      try checkCount("array '\(array.name)' of the optimizer", array.values.count, is: list.count, "the model's values")
      for (shape, range) in zip(list.shapes, list.ranges) {
        try new.add(try Tensor(Array(array.values[range]), shape: shape.shape), "\(name).\(array.name).\(shape.name)")
      }
    }
    new.file.metadata[name] = "\(type(of: optimizer))"
    new.file.metadata["\(name).updates"] = "\(optimizer.updates)"
    new.file.metadata["\(name).learning_rate"] = "\(optimizer.learningRate)"
    self = new
  }

  /// Takes the count of updates, the learning rate and the arrays of an optimizer of the same kind. Its other numbers
  /// stay.
  ///
  /// - Throws: `FileError` or `RecurrentError` that says what is missing or does not fit. The optimizer has not changed
  ///   then.
  public func restore<M: Parameterized>(
    _ optimizer: inout some Optimizer, of model: M, as name: String = "optimizer"
  ) throws {
    let kind = try text(name), list = try ParameterList(model)
    guard kind == "\(type(of: optimizer))" else {
      throw problem("'\(name)' is \(kind), expected \(type(of: optimizer))")
    }
    let updatesText = try text("\(name).updates"), rateText = try text("\(name).learning_rate")
    guard let updates = Int(updatesText), (0..<Int.max).contains(updates) else {
      throw problem("'\(name).updates' is '\(updatesText)', expected a whole number of 0 or more")
    }
    guard let rate = Float(rateText), rate >= 0, rate.isFinite else {
      throw problem("'\(name).learning_rate' is '\(rateText)', expected a number of 0 or more")
    }
    var arrays: [(name: String, values: [Float])] = []
    // An optimizer that has made updates needs every array that its rule uses.
    for index in updates > 0 ? try optimizer.rule(ofUpdate: updates).usedStates : [] {
      let array = optimizer.state.names[index]
      var values: [Float] = []
      for shape in list.shapes { values += try floats("\(name).\(array).\(shape.name)", shape.shape) }
      arrays.append((array, values))
    }
    do { try optimizer.state.restore(updates: updates, arrays: arrays) } catch { throw problem("\(error)") }
    optimizer.learningRate = rate
  }

  // MARK: - Everything else

  /// Keeps a tensor: the state of streams, or the weights of a layer in fewer bits, as its `tensors` gives them. `file`
  /// has it by its name.
  ///
  /// - Throws: `RecurrentError.value` if the checkpoint has a tensor of that name already.
  public mutating func store(_ tensor: Tensor, as name: String) throws(RecurrentError) { try add(tensor, name) }

  /// Keeps a value as JSON in the metadata: a vocabulary, a place in the data, a schedule's state, the number of masks.
  ///
  /// - Throws: `RecurrentError.value` if the checkpoint has a value of that name already, or what the value's encoding
  ///   throws.
  public mutating func store(_ value: some Encodable, as name: String) throws {
    guard file.metadata[name] == nil else { throw twice(name) }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    file.metadata[name] = String(decoding: try encoder.encode(value), as: UTF8.self)
  }

  /// A value that `store` has kept.
  ///
  /// - Throws: `FileError` if there is none of that name, or if it is of another type.
  public func value<Value: Decodable>(_ name: String, as type: Value.Type = Value.self) throws -> Value {
    let text = try text(name)
    do { return try JSONDecoder().decode(type, from: Data(text.utf8)) } catch {
      throw problem("'\(name)' is \(text.prefix(60)), expected a value of \(type)")
    }
  }

  // MARK: - Pieces

  private mutating func add(_ tensor: Tensor, _ name: String) throws(RecurrentError) {
    guard file.tensors[name] == nil else { throw twice(name) }
    file.tensors[name] = tensor
  }

  private func twice(_ name: String) -> RecurrentError {
    .value(name: "'\(name)'", was: "in the checkpoint already", expected: "a name of its own")
  }

  private func floats(_ name: String, _ shape: [Int]) throws(FileError) -> [Float] {
    try file.floats(name, shape: shape, path: path)
  }

  private func text(_ name: String) throws(FileError) -> String {
    guard let text = file.metadata[name] else { throw problem("its metadata has no '\(name)'") }
    return text
  }

  private func problem(_ text: String) -> FileError { FileError(path, text) }
}

// MARK: - What a training keeps

extension Vocabulary: Codable {
  public init(from decoder: any Decoder) throws {
    let characters = Array(try decoder.singleValueContainer().decode(String.self).unicodeScalars)
    self.init(characters)
  }

  /// The characters as one string.
  public func encode(to encoder: any Encoder) throws {
    var text = String.UnicodeScalarView()
    text.append(contentsOf: characters)
    var container = encoder.singleValueContainer()
    try container.encode(String(text))
  }
}

extension WordVocabulary: Codable {
  private enum CodingKeys: String, CodingKey { case words, tokenizer }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    try self.init(
      try container.decode([String].self, forKey: .words),
      tokenizer: try container.decode(WordTokenizer.self, forKey: .tokenizer))
  }

  /// The words and the tokenizer.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(words, forKey: .words)
    try container.encode(tokenizer, forKey: .tokenizer)
  }
}
