import Recurrent

extension RecurrentLayer where Scalar == Float {
  /// The parameters by PyTorch's names behind a prefix, for `SafeTensors`.
  public func tensors(prefix: String = "") -> [String: Tensor] {
    let values = parameters.values
    return Dictionary(
      uniqueKeysWithValues: parameters.all.map { name, shape, range in
        (prefix + name, Tensor(floats: values[range], shape: shape))
      })
  }

  /// Takes the parameters from a file, by PyTorch's names behind a prefix.
  ///
  /// - Throws: `FileError` that names a tensor that is missing, of the wrong shape or not of floats; the layer is then
  ///   as it was before.
  public mutating func load(
    _ file: SafeTensors, prefix: String = "", path: some FilePathConvertible = "safetensors"
  ) throws(FileError) {
    var loaded = parameters
    let all = parameters.all
    try loaded.withMutableValues { values throws(FileError) in
      for (name, shape, range) in all {
        _ = values[range].update(fromContentsOf: try file.floats(prefix + name, shape: shape, path: path))
      }
    }
    do { try setParameters(loaded) } catch { throw FileError(path.filePath, "\(error)") }
  }

  /// Takes the parameters from a safetensors file.
  ///
  /// - Throws: `FileError` if the file or a tensor in it is not what the layer needs.
  public mutating func load(safetensors path: some FilePathConvertible, prefix: String = "") throws(FileError) {
    try load(try SafeTensors(contentsOf: path), prefix: prefix, path: path)
  }

  /// Writes the parameters to a safetensors file, by PyTorch's names behind a prefix.
  ///
  /// - Throws: `FileError` if it cannot be written; an old file is then as it was before.
  public func save(safetensors path: some FilePathConvertible, prefix: String = "") throws(FileError) {
    try SafeTensors(tensors: tensors(prefix: prefix)).write(to: path)
  }
}

extension SafeTensors {
  /// The floats of a tensor of a given shape.
  ///
  /// - Throws: `FileError` if it is missing, of another shape or not of floats.
  public func floats(
    _ name: String, shape: [Int], path: some FilePathConvertible = "safetensors"
  ) throws(FileError) -> [Float] {
    let path = path.filePath
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
