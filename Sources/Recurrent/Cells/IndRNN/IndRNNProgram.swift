import CRecurrentKernels

/// h = tanh(W x + u∘h' + b), or ReLU instead of tanh.
struct IndRNNCell: CellDefinition {
  let nonlinearity: Cell.Nonlinearity

  static var variants: [Cell] { [.indRNN(nonlinearity: .relu), .indRNN(nonlinearity: .tanh)] }
  var name: String { "indrnn" }
  var description: String { nonlinearity == .tanh ? "IndRNN with tanh" : "IndRNN" }
  var parameters: ParameterLayout {
    ParameterLayout(
      gates: 1,
      [
        ParameterLayout.Row(name: "weight_ih", role: .inputWeights),
        ParameterLayout.Row(name: "weight_hh", role: .vector(0)),
        ParameterLayout.Row(name: "bias_ih", role: .inputBias),
      ])
  }

  // The slot holds W x + b and then h. The stage has no product.
  func program(_ scalar: scalar_type, _ set: instruction_set) -> CellProgram {
    CellProgram(
      gates: parameters.gates, slots: 1, vectors: 1, readsPreviousH: true,
      stages: [
        CellProgram.Stage(nil, IndRNNGates.pass(nonlinearity, scalar, set), gradients: 0..<1, leavesDh: true)
      ])
  }
}
