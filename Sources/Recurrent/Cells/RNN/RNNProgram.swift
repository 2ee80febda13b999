import CRecurrentKernels

/// h = tanh(W x + b_ih + U h' + b_hh), or ReLU instead of tanh.
struct RNNCell: CellDefinition {
  let nonlinearity: Cell.Nonlinearity

  static var variants: [Cell] { [.rnn(), .rnn(nonlinearity: .relu)] }
  var name: String { "rnn" }
  var description: String { nonlinearity == .relu ? "RNN with ReLU" : "RNN" }
  var parameters: ParameterLayout { .usual(gates: 1) }

  // The slot holds the pre-activation and then h.
  func program(_ scalar: scalar_type, _ set: instruction_set) -> CellProgram {
    CellProgram(
      gates: parameters.gates, slots: 1,
      stages: [
        CellProgram.Stage(
          CellProgram.StageProduct(gates: 0..<1, firstSlot: 0), RNNGates.pass(nonlinearity, scalar, set),
          gradients: 0..<1)
      ])
  }
}
