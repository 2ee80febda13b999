#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
import Recurrent

extension RecurrentLayer {
  /// The parameters by PyTorch's names behind a prefix, for `SafeTensors`: F32, or F64 of a layer of `Double`.
  ///
  /// - Parameter weights: with `.int8`, the matrices W and U are I8, and a tensor whose name ends in `.scale` has the
  ///   scale of each row: weight_ih_l0 [G·H,C] and weight_ih_l0.scale [G·H]. With `.bfloat16`, the matrices are BF16. A
  ///   layer with weights in the same format that loads them computes the same bits as one with the parameters
  ///   themselves. Any layer loads them.
  public func tensors(prefix: String = "", weights: WeightFormat = .full) -> [String: Tensor] {
    let values = parameters.values
    var tensors: [String: Tensor] = [:]
    for (name, shape, range) in parameters.all {
      let values = values[range]
      switch shape.count == 2 ? weights : .full {
      case .full:
        tensors[prefix + name] = Tensor(scalars: values, shape: shape)
      case .int8:
        let matrix = QuantizedMatrix(values.map { Float($0) }, rows: shape[0], columns: shape[1])
        tensors[prefix + name] = Tensor(type: "I8", shape: shape, bytes: matrix.numbers.withUnsafeBytes { Data($0) })
        tensors[prefix + name + ".scale"] = Tensor(scalars: matrix.scales[...], shape: [shape[0]])
      case .bfloat16:
        let numbers = values.map { BFloat16.bits(of: Float($0)).littleEndian }
        tensors[prefix + name] = Tensor(type: "BF16", shape: shape, bytes: numbers.withUnsafeBytes { Data($0) })
      }
    }
    return tensors
  }

  /// Takes the parameters from a file, by PyTorch's names behind a prefix. A layer of `Float` rounds F64; a layer of
  /// `Double` takes every type exactly. Any layer takes matrices in 8 bits.
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
  /// - Parameter weights: with `.int8` or `.bfloat16`, the matrices are saved in fewer bits, as `tensors` describes.
  /// - Throws: `FileError` if it cannot be written; an old file is then as it was before.
  public func save(
    safetensors path: some FilePathConvertible, prefix: String = "", weights: WeightFormat = .full
  ) throws(FileError) {
    try SafeTensors(tensors: tensors(prefix: prefix, weights: weights)).write(to: path)
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
    let path = path.filePath, tensor = try tensor(name, shape: shape, path: path)
    if let values = try quantized(tensor, name, path, of: Scalar.self) { return values }
    guard let values = tensor.values(of: Scalar.self) else {
      throw FileError(path, "'\(name)' is of type \(tensor.type), expected floats")
    }
    return values
  }

  /// A tensor of any type.
  ///
  /// - Throws: `FileError` if there is no tensor of that name, or if it has another shape.
  package func tensor(_ name: String, shape: [Int], path: FilePath) throws(FileError) -> Tensor {
    guard let tensor = tensors[name] else {
      let names = tensors.keys.sorted().joined(separator: ", ")
      throw FileError(path, "has no tensor '\(name)'; it has: \(names)")
    }
    guard tensor.shape == shape else {
      throw FileError(path, "'\(name)' has the shape \(tensor.shape), expected \(shape)")
    }
    return tensor
  }

  /// The values of a matrix in 8 bits that has the scales of its rows; nil if the tensor is not one.
  private func quantized<Scalar: RecurrentScalar>(
    _ tensor: Tensor, _ name: String, _ path: FilePath, of _: Scalar.Type
  ) throws(FileError) -> [Scalar]? {
    guard tensor.type == "I8", tensor.shape.count == 2, tensors[name + ".scale"] != nil else { return nil }
    let columns = tensor.shape[1]
    let scales: [Double] = try values(name + ".scale", shape: [tensor.shape[0]], path: path, of: Double.self)
    return tensor.bytes.enumerated().map { index, byte in
      Scalar(Double(Int8(bitPattern: byte)) * scales[index / columns])
    }
  }
}
