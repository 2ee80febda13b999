import Foundation
import Recurrent

/// h = tanh(W x + b_ih + U h' + b_hh), or max(0, …).
struct RNNReference: CellReference {
  static let variants: [(cell: Cell, name: String)] = [
    (.rnn(), "RNN"), (.rnn(nonlinearity: .relu), "RNN with ReLU"),
  ]
  static let gates = 1
  static let hasCellState = false
  private let isReLU: Bool

  init(_ cell: Cell) { self.init(isReLU: cell == .rnn(nonlinearity: .relu)) }
  init(isReLU: Bool) { self.isReLU = isReLU }

  func forward(_ step: inout ReferenceStep, _ weights: ReferenceWeights) {
    step.h = weights.sum(0, step.x, step.previousH).map { isReLU ? max($0, 0) : tanh($0) }
  }

  func backward(
    _ step: ReferenceStep, dh: [Double], dc: [Double], _ weights: ReferenceWeights
  ) -> ReferenceStepGradients {
    var gradients = ReferenceStepGradients(gates: 1, step)
    for j in step.units {
      let slope = isReLU ? (step.h[j] > 0 ? 1 : 0) : 1 - step.h[j] * step.h[j]
      gradients.input[0][j] = dh[j] * slope
    }
    gradients.recurrent = gradients.input
    return gradients
  }
}
