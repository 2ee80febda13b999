import Recurrent

extension RecurrentLayer where Scalar == Float {
  /// The parameters by PyTorch's names behind a prefix, for `SafeTensors`.
  public func tensors(prefix: String = "") -> [String: Tensor] {
    var tensors: [String: Tensor] = [:]
    for name in parameters.names {
      guard let values = try? parameters.values(name), let shape = parameters.shape(name) else { continue }
      tensors[prefix + name] = try? Tensor(values, shape: shape)
    }
    return tensors
  }

  /// Takes the parameters from a file, by PyTorch's names behind a prefix.
  ///
  /// - Throws: `FileError` that names a tensor that is missing, of the wrong shape or not of floats; the layer is then
  ///   as it was before.
  public mutating func load(_ file: SafeTensors, prefix: String = "", path: String = "safetensors") throws(FileError) {
    var loaded = parameters
    for name in loaded.names {
      let values = try file.floats(prefix + name, shape: loaded.shape(name) ?? [], path: path)
      do { try loaded.set(name, to: values) } catch { throw FileError(path, "\(error)") }
    }
    do { try setParameters(loaded) } catch { throw FileError(path, "\(error)") }
  }

  /// Takes the parameters from a safetensors file.
  ///
  /// - Throws: `FileError` where the file or a tensor in it is not what the layer needs.
  public mutating func load(safetensors path: String, prefix: String = "") throws(FileError) {
    try load(try SafeTensors(contentsOf: path), prefix: prefix, path: path)
  }
}

extension SafeTensors {
  /// The floats of a tensor of a given shape.
  ///
  /// - Throws: `FileError` where it is missing, of another shape or not of floats.
  public func floats(_ name: String, shape: [Int], path: String = "safetensors") throws(FileError) -> [Float] {
    guard let tensor = tensors[name] else {
      let names = tensors.keys.sorted().joined(separator: ", ")
      throw FileError(path, "has no tensor '\(name)'; it has: \(names)")
    }
    guard tensor.shape == shape else {
      throw FileError(path, "'\(name)' has the shape \(tensor.shape), expected \(shape)")
    }
    guard let floats = tensor.floats else {
      throw FileError(path, "'\(name)' is of type \(tensor.type), expected floats")
    }
    return floats
  }
}
