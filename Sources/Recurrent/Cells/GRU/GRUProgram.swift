import CRecurrentKernels

/// h = (1 - z)∘n + z∘h', or with z and 1 - z exchanged.
struct GRUCell: CellDefinition {
  let reset: Cell.Reset
  let update: Cell.Update

  static var variants: [Cell] {
    [
      .gru(), .gru(update: .takesNew), .gru(reset: .beforeProduct), .gru(reset: .beforeProduct, update: .takesNew),
    ]
  }
  var name: String { "gru" }
  var description: String {
    let order = reset == .beforeProduct ? "GRU with reset before the product" : "GRU"
    guard update == .takesNew else { return order }
    return order + (reset == .beforeProduct ? ", " : " ") + "whose update takes the new"
  }
  // The gates of the parameters are r z n.
  var parameters: ParameterLayout { .usual(gates: 3) }

  func program(_ scalar: scalar_type, _ set: instruction_set) -> CellProgram {
    switch reset {
    case .afterProduct: afterProduct(scalar, set)
    case .beforeProduct: beforeProduct(scalar, set)
    }
  }

  /// The slots are n r z u, with u = U_n h' + b_hn. W adds to the first three slots and U to the last three.
  private func afterProduct(_ scalar: scalar_type, _ set: instruction_set) -> CellProgram {
    CellProgram(
      gates: parameters.gates, slots: 4, inputGates: [2, 0, 1], recurrentBiasSlots: [1, 2, 3], readsPreviousH: true,
      stages: [
        CellProgram.Stage(
          CellProgram.StageProduct(gates: 0..<3, firstSlot: 1), GRUGates.pass(update: update, scalar, set),
          gradients: 0..<4, leavesDh: true)
      ])
  }

  /// The slots are n r z and r∘h'. The product with U_n waits for r∘h', so there are two stages.
  private func beforeProduct(_ scalar: scalar_type, _ set: instruction_set) -> CellProgram {
    CellProgram(
      gates: parameters.gates, slots: 4, biasedSlots: 3, gradientSlots: 3, inputGates: [2, 0, 1],
      recurrentBiasSlots: [1, 2, 0], readsPreviousH: true,
      stages: [
        CellProgram.Stage(
          CellProgram.StageProduct(gates: 0..<2, firstSlot: 1), GRUResetBeforeGates.resetPass(scalar, set),
          gradients: 1..<3,
          leavesDh: true),
        CellProgram.Stage(
          CellProgram.StageProduct(gates: 2..<3, firstSlot: 0, operandSlot: 3),
          GRUResetBeforeGates.updatePass(update: update, scalar, set), gradients: 0..<1),
      ])
  }
}
