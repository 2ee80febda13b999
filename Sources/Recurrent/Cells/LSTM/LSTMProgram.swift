import CRecurrentKernels

/// c = f∘c' + i∘g, h = o∘tanh(c).
struct LSTMCell: CellDefinition {
  let cellOutput: Cell.CellOutput

  static var variants: [Cell] { [.lstm(), .lstm(cellOutput: .linear)] }
  var name: String { "lstm" }
  var description: String { cellOutput == .linear ? "LSTM with linear output" : "LSTM" }
  var parameters: ParameterLayout { .usual(gates: 4) }
  var forgetGate: Int? { 1 }
  var hasCellState: Bool { true }

  // The slots are i f g o.
  func program(_ scalar: scalar_type, _ set: instruction_set) -> CellProgram {
    CellProgram(
      gates: parameters.gates, slots: 4, hasCellState: hasCellState,
      stages: [
        CellProgram.Stage(
          CellProgram.StageProduct(gates: 0..<4, firstSlot: 0), LSTMGates.pass(cellOutput, scalar, set),
          gradients: 0..<4)
      ])
  }
}
