import CRecurrentKernels

/// Which recurrent cell a layer computes.
public enum Cell: Equatable, Sendable, BitwiseCopyable {
  /// The function that gives the h of an RNN or an IndRNN.
  public enum Nonlinearity: Sendable, BitwiseCopyable {
    /// The hyperbolic tangent.
    case tanh
    /// max(0, x)
    case relu
  }
  /// How an LSTM computes h from c.
  public enum CellOutput: Sendable, BitwiseCopyable {
    /// h = o∘tanh(c)
    case tanh
    /// h = o∘c, a published variant.
    case linear
  }
  /// Whether a GRU's reset gate acts before or after the product with U.
  public enum Reset: Sendable, BitwiseCopyable {
    /// The gate multiplies U h' + b_hh. One product serves all gates.
    case afterProduct
    /// The gate multiplies h', so the product for n waits for the gate.
    case beforeProduct
  }
  /// Whether a GRU's update gate z keeps the old state or takes the new one.
  public enum Update: Sendable, BitwiseCopyable {
    /// h = (1 - z)∘n + z∘h'
    case keepsOld
    /// h = z∘n + (1 - z)∘h'
    case takesNew
  }

  /// The plain recurrent cell, as `RNN` describes it.
  case rnn(nonlinearity: Nonlinearity = .tanh)
  /// Long short-term memory, as `LSTM` describes it.
  case lstm(cellOutput: CellOutput = .tanh)
  /// The gated recurrent unit, as `GRU` describes it.
  case gru(reset: Reset = .afterProduct, update: Update = .keepsOld)
  /// The independently recurrent cell, as `IndRNN` describes it.
  case indRNN(nonlinearity: Nonlinearity = .relu)

  /// Every variant of every cell.
  package static let all = RNNCell.variants + LSTMCell.variants + GRUCell.variants + IndRNNCell.variants

  /// The cell's definition. Each cell has it in a folder of its own.
  package var definition: any CellDefinition {
    switch self {
    case .rnn(let nonlinearity): RNNCell(nonlinearity: nonlinearity)
    case .lstm(let cellOutput): LSTMCell(cellOutput: cellOutput)
    case .gru(let reset, let update): GRUCell(reset: reset, update: update)
    case .indRNN(let nonlinearity): IndRNNCell(nonlinearity: nonlinearity)
    }
  }

  /// The cell's name without its variant, for the names of files and of benchmark cases.
  package var name: String { definition.name }
  /// G, the gates that W and U have rows for.
  package var gates: Int { definition.parameters.gates }
  /// Whether the cell multiplies by a matrix U.
  package var multipliesByMatrix: Bool { definition.parameters.has(.recurrentWeights) }
  /// Whether the cell carries c beside h.
  package var hasCellState: Bool { definition.hasCellState }
}

extension Cell: CustomStringConvertible {
  /// The cell's name, and how it differs from PyTorch's.
  public var description: String { definition.description }
}

/// What the package has to know about a cell.
package protocol CellDefinition: Sendable, CustomStringConvertible {
  /// Every variant.
  static var variants: [Cell] { get }
  /// The name without the variant.
  var name: String { get }
  /// The parameters of one part of a layer.
  var parameters: ParameterLayout { get }
  /// The number of the forget gate among the gates of the parameters; nil if the cell has none.
  var forgetGate: Int? { get }
  /// Whether the cell carries c beside h from step to step.
  var hasCellState: Bool { get }
  /// The program with the gate passes for a scalar and an instruction set. Its slots and stages depend on neither.
  func program(_ scalar: scalar_type, _ set: instruction_set) -> CellProgram
}

extension CellDefinition {
  package var forgetGate: Int? { nil }
  package var hasCellState: Bool { false }
}
