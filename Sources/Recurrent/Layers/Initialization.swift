#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// How a new layer's parameters are drawn.
public struct Initialization: Sendable {
  /// How recurrent weights are drawn.
  public enum Recurrent: Sendable {
    /// Like everything else: uniform in ±1/√H, as PyTorch does.
    case uniform
    /// Each gate's H × H block orthogonal (Saxe, McClelland, Ganguli 2014, arXiv 1312.6120), as Keras does.
    case orthogonal
  }
  /// The recurrent weights.
  public var recurrent: Recurrent
  /// What the biases of an LSTM's forget gate add up to, commonly 1 (Jozefowicz, Zaremba, Sutskever 2015); nil draws
  /// them like the others. Other cells, and layers without biases, refuse it.
  public var forgetBias: Double?
  /// Equal seeds give equal parameters; nil draws a new one each time.
  public var seed: UInt64?

  /// PyTorch's distributions, but for what is said here; each is explained at its property.
  public init(recurrent: Recurrent = .uniform, forgetBias: Double? = nil, seed: UInt64? = nil) {
    self.recurrent = recurrent
    self.forgetBias = forgetBias
    self.seed = seed
  }

  /// - Throws: `RecurrentError.value` if the layer has no forget gate or no biases, but `forgetBias` is not nil; or no
  ///   recurrent matrix that could be orthogonal.
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

/// A generator whose numbers follow from its seed (SplitMix64: Steele, Lea, Flood 2014, doi 10.1145/2714064.2660195).
public struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// Equal seeds give equal numbers.
  public init(seed: UInt64) { state = seed }

  /// Any 64 bits, each as likely as any other.
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
  }

  /// A normally distributed number (Box and Muller 1958).
  public mutating func nextNormal() -> Double {
    let radius = (-2 * log(Double.random(in: Double.leastNormalMagnitude...1, using: &self))).squareRoot()
    return radius * cos(2 * .pi * Double.random(in: 0..<1, using: &self))
  }
}

/// A random orthogonal matrix by rows: the rows of a normal one, made orthonormal one after another. Each row is
/// projected twice, which keeps the rows orthogonal to rounding.
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
