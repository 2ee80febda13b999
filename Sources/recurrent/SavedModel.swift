import Foundation
import Recurrent
import RecurrentFiles
import RecurrentTraining
import ToolSupport

/// A character model with its optimizer, as a safetensors file: the cell's parameters by PyTorch's names behind `cell.`,
/// the optimizer's moments behind `adam.first.` and `adam.second.`, the rest as metadata.
struct SavedModel {
  var model: CharacterModel
  var optimizer: Adam

  /// By name; a model is always of a cell without variants.
  static let cells = Dictionary(
    uniqueKeysWithValues: [
      Cell.lstm(), .gru(), .rnn(),
    ].map { ($0.name, $0) })

  init(model: CharacterModel, optimizer: Adam) {
    self.model = model
    self.optimizer = optimizer
  }

  func write(to path: String) throws {
    var file = SafeTensors(tensors: model.layer.tensors(prefix: "cell."))
    let (v, d, h) = (model.embedding.symbols, model.embedding.size, model.layer.hiddenSize)
    file.tensors["embedding.weight"] = try Tensor(model.embedding.weight, shape: [v, d])
    file.tensors["head.weight"] = try Tensor(model.head.weight, shape: [v, h])
    file.tensors["head.bias"] = try Tensor(model.head.bias, shape: [v])
    for (name, values) in optimizer.first {
      file.tensors["adam.first.\(name)"] = try Tensor(values, shape: [values.count])
    }
    for (name, values) in optimizer.second {
      file.tensors["adam.second.\(name)"] = try Tensor(values, shape: [values.count])
    }
    var characters = String.UnicodeScalarView()
    characters.append(contentsOf: model.vocabulary.characters)
    file.metadata = [
      "format": "swift-recurrent character model 1", "cell": model.layer.cell.name,
      "embedding_size": "\(d)", "hidden_size": "\(h)", "updates": "\(optimizer.steps)",
      "characters": String(characters),
    ]
    try file.write(to: path)
  }

  init(contentsOf path: String) throws {
    let file = try SafeTensors(contentsOf: path)
    func entry(_ name: String) throws -> String {
      guard let value = file.metadata[name] else {
        throw ToolError("\(path): has no '\(name)' in its metadata; expected a file that --save wrote")
      }
      return value
    }
    func size(_ name: String) throws -> Int {
      let text = try entry(name)
      guard let value = Int(text), value >= 0 else {
        throw ToolError("\(path): '\(name)' is '\(text)', expected a number")
      }
      return value
    }
    guard let cell = SavedModel.cells[try entry("cell")] else {
      throw ToolError("\(path): the cell is '\(try entry("cell"))', expected one of \(SavedModel.cells.keys.sorted())")
    }
    let characters = Array(try entry("characters").unicodeScalars)
    guard !characters.isEmpty, Set(characters).count == characters.count else {
      throw ToolError("\(path): 'characters' has \(characters.count), some of them twice, or none")
    }
    let vocabulary = Vocabulary(characters)
    // The tensors' shapes are checked before anything of the claimed sizes is allocated.
    let (v, d, h) = (vocabulary.count, try size("embedding_size"), try size("hidden_size"))
    let embedding = try file.floats("embedding.weight", shape: [v, d], path: path)
    let headWeight = try file.floats("head.weight", shape: [v, h], path: path)
    model = try CharacterModel(cell, vocabulary: vocabulary, embeddingSize: d, hiddenSize: h, seed: 0)
    model.embedding.weight = embedding
    model.head.weight = headWeight
    model.head.bias = try file.floats("head.bias", shape: [v], path: path)
    try model.layer.load(file, prefix: "cell.", path: path)
    optimizer = Adam()
    optimizer.steps = try size("updates")
    guard optimizer.steps > 0 else { return }
    var counts = [
      "embedding.weight": embedding.count, "head.weight": headWeight.count, "head.bias": model.head.bias.count,
    ]
    for name in model.layer.parameters.names {
      counts["cell.\(name)"] = try model.layer.parameters.values(name).count
    }
    for (name, count) in counts {
      optimizer.first[name] = try file.floats("adam.first.\(name)", shape: [count], path: path)
      optimizer.second[name] = try file.floats("adam.second.\(name)", shape: [count], path: path)
    }
  }
}
