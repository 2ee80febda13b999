import Recurrent

extension RecurrentLayer {
  /// The parameters by PyTorch's names behind a prefix, for `SafeTensors`: F32, or F64 of a layer of `Double`.
  public func tensors(prefix: String = "") -> [String: Tensor] {
    let values = parameters.values
    return Dictionary(
      uniqueKeysWithValues: parameters.all.map { name, shape, range in
        (prefix + name, Tensor(scalars: values[range], shape: shape))
      })
  }

  /// Takes the parameters from a file, by PyTorch's names behind a prefix. A layer of `Float` rounds F64; a layer of
  /// `Double` takes every type exactly.
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
        _ = values[range].update(
          fromContentsOf: try file.values(prefix + name, shape: shape, path: path, of: Scalar.self))
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
  /// The floats of a tensor of a given shape, those of F64 rounded.
  ///
  /// - Throws: `FileError` if it is missing, of another shape or not of floats.
  public func floats(
    _ name: String, shape: [Int], path: some FilePathConvertible = "safetensors"
  ) throws(FileError) -> [Float] {
    try values(name, shape: shape, path: path, of: Float.self)
  }

  /// The floats of a tensor of a given shape in double precision, all exact.
  ///
  /// - Throws: `FileError` if it is missing, of another shape or not of floats.
  public func doubles(
    _ name: String, shape: [Int], path: some FilePathConvertible = "safetensors"
  ) throws(FileError) -> [Double] {
    try values(name, shape: shape, path: path, of: Double.self)
  }

  fileprivate func values<Scalar: RecurrentScalar>(
    _ name: String, shape: [Int], path: some FilePathConvertible, of _: Scalar.Type
  ) throws(FileError) -> [Scalar] {
    let path = path.filePath
    guard let tensor = tensors[name] else {
      let names = tensors.keys.sorted().joined(separator: ", ")
      throw FileError(path, "has no tensor '\(name)'; it has: \(names)")
    }
    guard tensor.shape == shape else {
      throw FileError(path, "'\(name)' has the shape \(tensor.shape), expected \(shape)")
    }
    guard let values = tensor.values(of: Scalar.self) else {
      throw FileError(path, "'\(name)' is of type \(tensor.type), expected floats")
    }
    return values
  }
}
