import Recurrent

/// An RNN whose matrix U is diagonal, with the diagonal u.
struct IndRNNReference: CellReference {
  static let variants: [(cell: Cell, name: String)] = [
    (.indRNN(), "IndRNN"), (.indRNN(nonlinearity: .tanh), "IndRNN with tanh"),
  ]
  static let gates = RNNReference.gates
  static let hasCellState = RNNReference.hasCellState
  private let rnn: RNNReference

  init(_ cell: Cell) { rnn = RNNReference(isReLU: cell == .indRNN(nonlinearity: .relu)) }

  func forward(_ step: inout ReferenceStep, _ weights: ReferenceWeights) { rnn.forward(&step, weights) }

  func backward(
    _ step: ReferenceStep, dh: [Double], dc: [Double], _ weights: ReferenceWeights
  ) -> ReferenceStepGradients {
    rnn.backward(step, dh: dh, dc: dc, weights)
  }
}
