import Foundation
import RecurrentFiles
import RecurrentTraining

/// The formats of character models before they were checkpoints. What users have saved stays readable.
extension SafeTensors {
  /// The content of a file in the format "swift-recurrent character model 1" or "2" as a `Checkpoint` has it; nil if it
  /// is another file.
  ///
  /// The entries had no JSON around texts, the optimizer was called `adam`, and its arrays were flat. A model had one
  /// level. Format 1, of versions before 0.4, did not keep how the model was trained.
  func upgradedCharacterModel() throws -> SafeTensors? {
    let format = metadata["format"] ?? ""
    let hasTraining = format == "swift-recurrent character model 2"
    guard hasTraining || format == "swift-recurrent character model 1" else { return nil }
    var new = self
    new.metadata["format"] = Checkpoint.format
    new.metadata["model"] = SavedModel.kind
    new.metadata["levels"] = "1"
    new.metadata["weights"] = metadata["weights"] ?? "full"
    if !hasTraining { new.metadata["epoch"] = nil }
    for name in ["model", "cell", "characters", "weights", "text", "held_out_text"] {
      guard let text = new.metadata[name] else { continue }
      new.metadata[name] = String(decoding: try JSONEncoder().encode(text), as: UTF8.self)
    }
    new.metadata["optimizer"] = "Adam"
    new.metadata["optimizer.updates"] = metadata["updates"]
    // A training sets the rate before every update.
    new.metadata["optimizer.learning_rate"] = "0"
    for (name, tensor) in tensors {
      let words = name.split(separator: ".", maxSplits: 2)
      guard words.count == 3, words[0] == "adam", let parameter = tensors[String(words[2])],
        tensor.shape == [parameter.shape.reduce(1, *)]
      else { continue }
      new.tensors[name] = nil
      new.tensors["optimizer.\(words[1]).\(words[2])"] = Tensor(
        type: tensor.type, shape: parameter.shape, bytes: tensor.bytes)
    }
    return new
  }
}
