/// How a new layer's parameters are drawn.
public struct Initialization: Sendable {
  /// How recurrent weights are drawn.
  public enum Recurrent: Sendable {
    /// Like all other parameters: uniform in ±1/√H, as in PyTorch.
    case uniform
    /// The H × H matrix of each gate is orthogonal (Saxe, McClelland, Ganguli 2014, arXiv 1312.6120), as in Keras.
    case orthogonal
  }
  /// How recurrent weights are drawn.
  public var recurrent: Recurrent
  /// The sum of the two biases of an LSTM's forget gate, commonly 1 (Jozefowicz, Zaremba, Sutskever 2015). If it is
  /// nil, they are drawn like the others. Other cells, and layers without biases, must have nil here.
  public var forgetBias: Double?
  /// Equal seeds give equal parameters. If it is nil, each layer draws a new seed.
  public var seed: UInt64?

  /// PyTorch's distributions, except for what the parameters change. Each parameter is explained at its property.
  public init(recurrent: Recurrent = .uniform, forgetBias: Double? = nil, seed: UInt64? = nil) {
    self.recurrent = recurrent
    self.forgetBias = forgetBias
    self.seed = seed
  }

  /// - Throws: `RecurrentError.value` if the layer has no forget gate or no biases, but `forgetBias` is not nil; or if
  ///   it has no recurrent matrix, but `recurrent` is orthogonal.
  func check(for shape: LayerShape) throws(RecurrentError) {
    if recurrent == .orthogonal, !shape.parameterLayout.has(.recurrentWeights) {
      throw .value(
        name: "initialization.recurrent", was: "orthogonal", expected: "uniform: this cell has no recurrent matrix")
    }
    guard let forgetBias else { return }
    let hasGate = shape.cell.definition.forgetGate != nil
    guard !hasGate || !shape.hasBias else { return }
    let reason = hasGate ? "this layer has no biases" : "only an LSTM has a forget gate"
    throw .value(name: "initialization.forgetBias", was: "\(forgetBias)", expected: "nil: \(reason)")
  }

  package func fill<Scalar>(_ parameters: inout Parameters<Scalar>) {
    var random = SeededGenerator(seed: seed ?? UInt64.random(in: 0 ... .max))
    let shape = parameters.shape, units = shape.hiddenSize
    let bound = 1 / Double(units).squareRoot()
    parameters.withMutableValues { values in
      for index in values.indices { values[index] = Scalar(Double.random(in: -bound...bound, using: &random)) }
      for part in 0..<shape.parts {
        let parameters = shape.parameters(ofPart: part)
        if recurrent == .orthogonal {
          for first in stride(
            from: parameters[.recurrentWeights].lowerBound, to: parameters[.recurrentWeights].upperBound,
            by: units * units)
          {
            let block = orthogonalMatrix(units, using: &random)
            for index in block.indices { values[first + index] = Scalar(block[index]) }
          }
        }
        if let forgetBias, let gate = shape.cell.definition.forgetGate {
          for unit in gate * units..<(gate + 1) * units {
            values[parameters[.inputBias].lowerBound + unit] = Scalar(forgetBias)
            values[parameters[.recurrentBias].lowerBound + unit] = 0
          }
        }
      }
    }
  }
}

/// A random orthogonal matrix, row by row. The rows are those of a normally distributed matrix, made orthonormal one
/// after another. Each row is projected twice, so that the rows are orthogonal up to rounding.
private func orthogonalMatrix(_ size: Int, using random: inout SeededGenerator) -> [Double] {
  var matrix = (0..<size * size).map { _ in random.nextNormal() }
  matrix.withUnsafeMutableBufferPointer { matrix in
    for row in 0..<size {
      for _ in 0..<2 {
        for earlier in 0..<row {
          var projection = 0.0
          for k in 0..<size { projection += matrix[row * size + k] * matrix[earlier * size + k] }
          for k in 0..<size { matrix[row * size + k] -= projection * matrix[earlier * size + k] }
        }
      }
      var square = 0.0
      for k in 0..<size { square += matrix[row * size + k] * matrix[row * size + k] }
      let scale = 1 / square.squareRoot()
      for k in 0..<size { matrix[row * size + k] *= scale }
    }
  }
  return matrix
}
