import Foundation
import Recurrent

/// h = max(0, W x + U h' + b), or tanh(…), where U is the diagonal matrix of u.
struct IndRNNReference: CellReference {
  static let variants: [(cell: Cell, name: String)] = [
    (.indRNN(), "IndRNN"), (.indRNN(nonlinearity: .tanh), "IndRNN with tanh"),
  ]
  static let gates = 1
  static let hasCellState = false
  private let isReLU: Bool

  init(_ cell: Cell) { isReLU = cell == .indRNN(nonlinearity: .relu) }

  func forward(_ step: inout ReferenceStep, _ weights: ReferenceWeights) {
    step.h = weights.sum(0, step.x, step.previousH).map { isReLU ? max($0, 0) : tanh($0) }
  }

  func backward(
    _ step: ReferenceStep, dh: [Double], dc: [Double], _ weights: ReferenceWeights
  ) -> ReferenceStepGradients {
    var gradients = ReferenceStepGradients(gates: 1, step)
    for j in step.units {
      gradients.input[0][j] = dh[j] * (isReLU ? (step.h[j] > 0 ? 1 : 0) : 1 - step.h[j] * step.h[j])
    }
    gradients.recurrent = gradients.input
    return gradients
  }
}
