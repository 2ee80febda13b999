import Foundation
import Recurrent

/// i, f, o = σ(…), g = tanh(…), c = f∘c' + i∘g, h = o∘tanh(c), or o∘c.
struct LSTMReference: CellReference {
  static let variants: [(cell: Cell, name: String)] = [
    (.lstm(), "LSTM"), (.lstm(cellOutput: .linear), "LSTM with linear output"),
  ]
  static let gates = 4
  static let hasCellState = true
  private let isLinear: Bool

  init(_ cell: Cell) { isLinear = cell == .lstm(cellOutput: .linear) }

  private func output(_ c: Double) -> Double { isLinear ? c : tanh(c) }

  func forward(_ step: inout ReferenceStep, _ weights: ReferenceWeights) {
    let sums = (0..<4).map { weights.sum($0, step.x, step.previousH) }
    let i = sums[0].map(sigmoid), f = sums[1].map(sigmoid), g = sums[2].map { tanh($0) }, o = sums[3].map(sigmoid)
    let c = step.units.map { f[$0] * step.previousC[$0] + i[$0] * g[$0] }
    step.c = c
    step.h = step.units.map { o[$0] * output(c[$0]) }
    step.kept = [i, f, g, o]
  }

  func backward(
    _ step: ReferenceStep, dh: [Double], dc: [Double], _ weights: ReferenceWeights
  ) -> ReferenceStepGradients {
    var gradients = ReferenceStepGradients(gates: 4, step)
    for j in step.units {
      let (i, f, g, o) = (step.kept[0][j], step.kept[1][j], step.kept[2][j], step.kept[3][j])
      let squashed = output(step.c[j])
      let dc = dc[j] + dh[j] * o * (isLinear ? 1 : 1 - squashed * squashed)
      gradients.input[0][j] = dc * g * i * (1 - i)
      gradients.input[1][j] = dc * step.previousC[j] * f * (1 - f)
      gradients.input[2][j] = dc * i * (1 - g * g)
      gradients.input[3][j] = dh[j] * squashed * o * (1 - o)
      gradients.previousC[j] = dc * f
    }
    gradients.recurrent = gradients.input
    return gradients
  }
}
