import Foundation
import Recurrent

/// r, z = σ(…), n = tanh(W x + b_in + r∘(U h' + b_hn)), or tanh(W x + b_in + U (r∘h') + b_hn);
/// h = (1 - z)∘n + z∘h', or z∘n + (1 - z)∘h'.
struct GRUReference: CellReference {
  static let variants: [(cell: Cell, name: String)] = [
    (.gru(), "GRU"), (.gru(update: .takesNew), "GRU whose update takes the new"),
    (.gru(reset: .beforeProduct), "GRU with reset before the product"),
    (
      .gru(reset: .beforeProduct, update: .takesNew),
      "GRU with reset before the product, whose update takes the new"
    ),
  ]
  static let gates = 3
  static let hasCellState = false
  private let resetsBefore: Bool
  private let takesNew: Bool

  init(_ cell: Cell) {
    guard case .gru(let reset, let update) = cell else { preconditionFailure("\(cell) is no GRU") }
    resetsBefore = reset == .beforeProduct
    takesNew = update == .takesNew
  }

  func forward(_ step: inout ReferenceStep, _ weights: ReferenceWeights) {
    let h = step.previousH, units = step.units
    let r = weights.sum(0, step.x, h).map(sigmoid), z = weights.sum(1, step.x, h).map(sigmoid)
    let input = weights.input(2, step.x)
    // U_n h' + b_hn, or U_n (r∘h') + b_hn.
    let u = weights.recurrent(2, resetsBefore ? units.map { r[$0] * h[$0] } : h)
    let n = units.map { tanh(input[$0] + (resetsBefore ? u[$0] : r[$0] * u[$0])) }
    step.h = units.map { takesNew ? z[$0] * n[$0] + (1 - z[$0]) * h[$0] : (1 - z[$0]) * n[$0] + z[$0] * h[$0] }
    step.kept = [r, z, n, u]
  }

  func backward(
    _ step: ReferenceStep, dh: [Double], dc: [Double], _ weights: ReferenceWeights
  ) -> ReferenceStepGradients {
    var gradients = ReferenceStepGradients(gates: 3, step)
    let h = step.previousH, r = step.kept[0], u = step.kept[3]
    for j in step.units {
      let (z, n) = (step.kept[1][j], step.kept[2][j])
      let new = takesNew ? z : 1 - z
      gradients.input[1][j] = dh[j] * (takesNew ? n - h[j] : h[j] - n) * z * (1 - z)
      gradients.input[2][j] = dh[j] * new * (1 - n * n)
      gradients.previousH[j] = dh[j] * (1 - new)
    }
    let dn = gradients.input[2]
    var dr: [Double]
    if resetsBefore {
      let drh = weights.recurrentTransposed(2, dn)  // the gradient of r∘h'
      dr = step.units.map { drh[$0] * h[$0] }
      for j in step.units { gradients.previousH[j] += drh[j] * r[j] }
      gradients.operands[2] = step.units.map { r[$0] * h[$0] }
    } else {
      dr = step.units.map { dn[$0] * u[$0] }
    }
    for j in step.units { gradients.input[0][j] = dr[j] * r[j] * (1 - r[j]) }
    gradients.recurrent = gradients.input
    if !resetsBefore { gradients.recurrent[2] = step.units.map { dn[$0] * r[$0] } }
    return gradients
  }
}
