/// The role of one parameter of a cell.
package enum ParameterRole: Sendable, Equatable, BitwiseCopyable {
  /// W, [G·H,C]
  case inputWeights
  /// U, [G·H,H]
  case recurrentWeights
  /// [G·H], added to W x
  case inputBias
  /// [G·H], added to U h'
  case recurrentBias
  /// [H], one value for each unit. The index is the parameter's number among the vectors of a gate tile.
  case vector(Int)

  var isBias: Bool { self == .inputBias || self == .recurrentBias }
}

/// The parameters of a cell, in the order in which a part of a layer keeps them. Names, ranges, initialization,
/// packing, gradients and files all follow from this list.
package struct ParameterLayout: Sendable, Equatable {
  /// One parameter: its name without the part's suffix, and its role.
  package struct Row: Sendable, Equatable {
    package let name: String
    package let role: ParameterRole
  }
  /// G: the number of gates that W, U and the biases have rows for.
  package let gates: Int
  package let rows: [Row]

  package init(gates: Int, _ rows: [Row]) {
    self.gates = gates
    self.rows = rows
  }

  /// PyTorch's four parameters.
  package static func usual(gates: Int) -> ParameterLayout {
    ParameterLayout(
      gates: gates,
      [
        Row(name: "weight_ih", role: .inputWeights), Row(name: "weight_hh", role: .recurrentWeights),
        Row(name: "bias_ih", role: .inputBias), Row(name: "bias_hh", role: .recurrentBias),
      ])
  }

  /// The same layout without biases.
  package var withoutBiases: ParameterLayout { ParameterLayout(gates: gates, rows.filter { !$0.role.isBias }) }

  package func has(_ role: ParameterRole) -> Bool { rows.contains { $0.role == role } }

  /// The shape of a parameter of a part with C inputs and H units.
  package func shape(_ role: ParameterRole, inputSize: Int, hiddenSize: Int) -> [Int] {
    switch role {
    case .inputWeights: [gates * hiddenSize, inputSize]
    case .recurrentWeights: [gates * hiddenSize, hiddenSize]
    case .inputBias, .recurrentBias: [gates * hiddenSize]
    case .vector: [hiddenSize]
    }
  }

  /// The number of values of a parameter. This allocates nothing, because calls use it.
  package func count(_ role: ParameterRole, inputSize: Int, hiddenSize: Int) -> Int {
    switch role {
    case .inputWeights: gates * hiddenSize * inputSize
    case .recurrentWeights: gates * hiddenSize * hiddenSize
    case .inputBias, .recurrentBias: gates * hiddenSize
    case .vector: hiddenSize
    }
  }

  /// The number of values of all parameters of a part.
  package func count(inputSize: Int, hiddenSize: Int) -> Int {
    var total = 0
    for row in rows { total += count(row.role, inputSize: inputSize, hiddenSize: hiddenSize) }
    return total
  }
}

/// Where the parameters of one part lie among all values of a layer, or among all gradients.
package struct PartParameters: Sendable {
  package let layout: ParameterLayout
  package let start: Int
  package let inputSize: Int
  package let hiddenSize: Int

  /// The range of a parameter; empty if the part does not have it.
  package subscript(role: ParameterRole) -> Range<Int> {
    var first = start
    for row in layout.rows {
      let count = layout.count(row.role, inputSize: inputSize, hiddenSize: hiddenSize)
      if row.role == role { return first..<first + count }
      first += count
    }
    return first..<first
  }

  /// One past the last value of the part.
  package var end: Int { start + layout.count(inputSize: inputSize, hiddenSize: hiddenSize) }

  package func shape(_ role: ParameterRole) -> [Int] {
    layout.shape(role, inputSize: inputSize, hiddenSize: hiddenSize)
  }
}
