/// The parameters of one layer, or their gradients, by PyTorch's names, shapes and gate orders: i f g o, and r z n.
public struct Parameters<Scalar: RecurrentScalar>: Sendable, Equatable {
  /// `weight_ih_l0` [G·H,C]
  public var weightIH: [Scalar]
  /// `weight_hh_l0` [G·H,H]
  public var weightHH: [Scalar]
  /// `bias_ih_l0` [G·H], empty without biases
  public var biasIH: [Scalar]
  /// `bias_hh_l0` [G·H], empty without biases
  public var biasHH: [Scalar]

  package let gates: Int
  package let inputSize: Int
  package let hiddenSize: Int

  /// Zeros.
  package init(cell: Cell, inputSize: Int, hiddenSize: Int, bias: Bool) throws(RecurrentError) {
    gates = cell.gates
    self.inputSize = inputSize
    self.hiddenSize = hiddenSize
    let units = ("gates·hiddenSize", cell.gates * (try checkedCount(("hiddenSize", hiddenSize))))
    weightIH = Array(repeating: 0, count: try checkedCount(units, ("inputSize", inputSize)))
    weightHH = Array(repeating: 0, count: try checkedCount(units, ("hiddenSize", hiddenSize)))
    biasIH = Array(repeating: 0, count: bias ? units.1 : 0)
    biasHH = biasIH
  }

  public var hasBias: Bool { !biasIH.isEmpty }

  /// PyTorch's names of a single layer of one direction.
  public var names: [String] {
    ["weight_ih_l0", "weight_hh_l0"] + (hasBias ? ["bias_ih_l0", "bias_hh_l0"] : [])
  }

  /// The shape of a parameter by PyTorch's name, nil where there is none.
  public func shape(_ name: String) -> [Int]? {
    switch name {
    case "weight_ih_l0": [gates * hiddenSize, inputSize]
    case "weight_hh_l0": [gates * hiddenSize, hiddenSize]
    case "bias_ih_l0" where hasBias, "bias_hh_l0" where hasBias: [gates * hiddenSize]
    default: nil
    }
  }

  /// The values of a parameter by PyTorch's name.
  ///
  /// - Throws: `RecurrentError.name` with the names that exist.
  public func values(_ name: String) throws(RecurrentError) -> [Scalar] {
    self[keyPath: try path(name)]
  }

  /// Sets a parameter by PyTorch's name.
  ///
  /// - Throws: `RecurrentError.name` with the names that exist, or `.count` where the count is wrong.
  public mutating func set(_ name: String, to values: [Scalar]) throws(RecurrentError) {
    let path = try path(name)
    try checkCount(name, values.count, is: self[keyPath: path].count, "\(shape(name)!)")
    self[keyPath: path] = values
  }

  private func path(_ name: String) throws(RecurrentError) -> WritableKeyPath<Parameters, [Scalar]> {
    guard names.contains(name) else { throw .name(name, kind: "parameter", known: names) }
    return switch name {
    case "weight_ih_l0": \.weightIH
    case "weight_hh_l0": \.weightHH
    case "bias_ih_l0": \.biasIH
    default: \.biasHH
    }
  }

  /// Calls `body` with each parameter that exists, in the order of `names`.
  public mutating func forEach(_ body: (inout [Scalar]) throws -> Void) rethrows {
    try body(&weightIH)
    try body(&weightHH)
    if hasBias {
      try body(&biasIH)
      try body(&biasHH)
    }
  }

  /// - Throws: `RecurrentError` where the sizes are others, or an array no longer has the count of its shape.
  package func check(against other: Parameters) throws(RecurrentError) {
    guard gates == other.gates, inputSize == other.inputSize, hiddenSize == other.hiddenSize else {
      throw .mismatch(
        "these parameters are of \(gates) gates, input size \(inputSize) and hidden size \(hiddenSize), "
          + "expected \(other.gates), \(other.inputSize) and \(other.hiddenSize)")
    }
    let gateUnits = other.gates * other.hiddenSize
    try checkCount("weightIH", weightIH.count, is: other.weightIH.count, "\(gateUnits)·\(other.inputSize)")
    try checkCount("weightHH", weightHH.count, is: other.weightHH.count, "\(gateUnits)·\(other.hiddenSize)")
    try checkCount("biasIH", biasIH.count, is: other.biasIH.count, "gates·hiddenSize")
    try checkCount("biasHH", biasHH.count, is: other.biasHH.count, "gates·hiddenSize")
  }
}
