import CRecurrentKernels

/// Which recurrent cell a layer computes.
public enum Cell: Equatable, Sendable, BitwiseCopyable {
  /// What an RNN's h passes through.
  public enum Nonlinearity: Sendable, BitwiseCopyable {
    /// The hyperbolic tangent.
    case tanh
    /// max(0, x)
    case relu
  }
  /// How an LSTM's h follows from its c.
  public enum CellOutput: Sendable, BitwiseCopyable {
    /// h = o∘tanh(c)
    case tanh
    /// h = o∘c, a published variant.
    case linear
  }
  /// Where a GRU's reset gate acts.
  public enum Reset: Sendable, BitwiseCopyable {
    /// On U h' + b_hh: one product serves all gates.
    case afterProduct
    /// On h': n's product waits for the gate.
    case beforeProduct
  }
  /// What a GRU's update gate z lets through.
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

  /// The definition of each cell is in a folder of its own.
  package var definition: any CellDefinition {
    switch self {
    case .rnn(let nonlinearity): RNNCell(nonlinearity: nonlinearity)
    case .lstm(let cellOutput): LSTMCell(cellOutput: cellOutput)
    case .gru(let reset, let update): GRUCell(reset: reset, update: update)
    case .indRNN(let nonlinearity): IndRNNCell(nonlinearity: nonlinearity)
    }
  }

  /// Without its variant, for names of files and cases.
  package var name: String { definition.name }
  /// G, the gates that W and U have rows for.
  package var gates: Int { definition.parameters.gates }
  /// Whether the cell multiplies by a matrix U.
  package var multipliesByMatrix: Bool { definition.parameters.has(.recurrentWeights) }
  /// Whether the cell carries c beside h.
  package var hasCellState: Bool { definition.innerStates > 0 }
}

extension Cell: CustomStringConvertible {
  /// The cell's name, and how it differs from PyTorch's.
  public var description: String { definition.description }
}

/// What a cell tells the package about itself.
package protocol CellDefinition: Sendable, CustomStringConvertible {
  /// Every variant.
  static var variants: [Cell] { get }
  /// The name without the variant.
  var name: String { get }
  var parameters: ParameterLayout { get }
  /// The gate that an LSTM forgets by, among those of the parameters; nil if the cell has none.
  var forgetGate: Int? { get }
  /// The states beside h that the cell carries from step to step: 1 for an LSTM's c.
  var innerStates: Int { get }
  /// The program, with the gate passes of a scalar and an instruction set. Which slots and stages it has depends on
  /// neither.
  func program(_ scalar: ScalarKind, _ set: instruction_set) -> CellProgram
}

extension CellDefinition {
  package var forgetGate: Int? { nil }
  package var innerStates: Int { 0 }
}
