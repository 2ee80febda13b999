import CRecurrentKernels

// Reset before the product: the product for n waits for r∘h', so there are two stages.

// r, z = σ(…), rh = r∘h'
@inline(always) private func resetForward<E: LaneElement>(_ scalar: E.Type, _ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  guard let slots = GRUTile<E>(tile) else { return }
  var walk = TileWalk<E>(tile)
  while let place = walk.next() {
    let r = sigmoid(slots.r[place])
    slots.r[place] = r
    slots.z[place] = sigmoid(slots.z[place])
    slots.rh[place] = r * slots.previousH[place]
  }
}

// With d_operand = U_nᵀ dn, the gradient of rh: dr = d_operand∘h'·σ', and dh += d_operand∘r.
@inline(always) private func resetBackward<E: LaneElement>(_ scalar: E.Type, _ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  guard let slots = GRUTile<E>(tile), let dhPanel: Panels<E> = tile.state(tile.dh),
    let drhPanel: Panels<E> = tile.state(tile.d_operand)
  else { return }
  var walk = TileWalk<E>(tile)
  while let place = walk.next() {
    let r = slots.r[place], drh = drhPanel[place]
    slots.r[place] = Sigmoid.gradient(drh * slots.previousH[place], value: r)
    dhPanel[place] = dhPanel[place].adding(drh, times: r)
  }
}

// n = tanh(…)
@inline(always) private func updateForward<E: LaneElement, U: UpdateRule>(
  _ scalar: E.Type, _ update: U.Type, _ tile: UnsafePointer<gate_tile>
) {
  let tile = tile.pointee
  guard let slots = GRUTile<E>(tile), let h = RowMatrix<E>(tile.h, stride: tile.h_stride) else { return }
  var walk = TileWalk<E>(tile)
  while let place = walk.next() {
    let n = tanh(slots.n[place])
    slots.n[place] = n
    h[place] = U.mixed(n, slots.z[place], slots.previousH[place])
  }
}

// dn and dz as above. dh keeps only its direct term.
@inline(always) private func updateBackward<E: LaneElement, U: UpdateRule>(
  _ scalar: E.Type, _ update: U.Type, _ tile: UnsafePointer<gate_tile>
) {
  let tile = tile.pointee
  guard let slots = GRUTile<E>(tile), let gradient = HiddenGradient<E>(tile) else { return }
  var walk = TileWalk<E>(tile)
  while let place = walk.next() {
    let (dn, dz, carried) = mixedBackward(update, slots, gradient[place], place)
    slots.n[place] = dn
    slots.z[place] = dz
    gradient.dh[place] = carried
  }
}

// MARK: - The same as forward, with the sums in registers

/// The first stage of reset before the product.
private enum GRUResetStep: StepEquations {
  @inline(always) static var gates: Int { 3 }
  @inline(always) static var biasedSlots: Int { 3 }

  @inline(always) static func run<L: Lanes, Format: StepFormat>(_ place: StepPlace<L, Format>) {
    let (x, h): (GateSums<L, 2>, GateSums<L, 2>) = place.sums(input: 1, recurrent: 0)
    let r = sigmoid(place.bias(ofSlot: 1) + x.first + h.first)
    place.kept = sigmoid(place.bias(ofSlot: 2) + x.second + h.second)
    place.setOperand(r * place.previousH)
  }
}
/// The second stage of reset before the product.
private enum GRUUpdateStep<Update: UpdateRule>: StepEquations {
  @inline(always) static var gates: Int { GRUResetStep.gates }
  @inline(always) static var biasedSlots: Int { GRUResetStep.biasedSlots }

  @inline(always) static func run<L: Lanes, Format: StepFormat>(_ place: StepPlace<L, Format>) {
    let (x, h): (GateSums<L, 1>, GateSums<L, 1>) = place.sums(input: 0, recurrent: 2)
    let n = tanh(place.bias(ofSlot: 0) + x.first + h.first)
    place.setH(Update.mixed(n, place.kept, place.previousH))
  }
}

// MARK: - The variants, each compiled for every instruction set

@c @implementation func gru_update_keeps_old_forward_f32(_ tile: UnsafePointer<gate_tile>) {
  updateForward(Float.self, KeepsOld.self, tile)
}
@c @implementation func gru_update_keeps_old_forward_f64(_ tile: UnsafePointer<gate_tile>) {
  updateForward(Double.self, KeepsOld.self, tile)
}
@c @implementation func gru_update_keeps_old_backward_f32(_ tile: UnsafePointer<gate_tile>) {
  updateBackward(Float.self, KeepsOld.self, tile)
}
@c @implementation func gru_update_keeps_old_backward_f64(_ tile: UnsafePointer<gate_tile>) {
  updateBackward(Double.self, KeepsOld.self, tile)
}
@c @implementation func gru_update_takes_new_forward_f32(_ tile: UnsafePointer<gate_tile>) {
  updateForward(Float.self, TakesNew.self, tile)
}
@c @implementation func gru_update_takes_new_forward_f64(_ tile: UnsafePointer<gate_tile>) {
  updateForward(Double.self, TakesNew.self, tile)
}
@c @implementation func gru_update_takes_new_backward_f32(_ tile: UnsafePointer<gate_tile>) {
  updateBackward(Float.self, TakesNew.self, tile)
}
@c @implementation func gru_update_takes_new_backward_f64(_ tile: UnsafePointer<gate_tile>) {
  updateBackward(Double.self, TakesNew.self, tile)
}
@c @implementation func gru_reset_forward_f32(_ tile: UnsafePointer<gate_tile>) { resetForward(Float.self, tile) }
@c @implementation func gru_reset_forward_f64(_ tile: UnsafePointer<gate_tile>) { resetForward(Double.self, tile) }
@c @implementation func gru_reset_backward_f32(_ tile: UnsafePointer<gate_tile>) { resetBackward(Float.self, tile) }
@c @implementation func gru_reset_backward_f64(_ tile: UnsafePointer<gate_tile>) { resetBackward(Double.self, tile) }
@c @implementation func gru_reset_step_f32(_ step: UnsafePointer<register_step>) {
  runStep(GRUResetStep.self, Float.self, step)
}
@c @implementation func gru_reset_step_f64(_ step: UnsafePointer<register_step>) {
  runStep(GRUResetStep.self, Double.self, step)
}
@c @implementation func gru_update_keeps_old_step_f32(_ step: UnsafePointer<register_step>) {
  runStep(GRUUpdateStep<KeepsOld>.self, Float.self, step)
}
@c @implementation func gru_update_keeps_old_step_f64(_ step: UnsafePointer<register_step>) {
  runStep(GRUUpdateStep<KeepsOld>.self, Double.self, step)
}
@c @implementation func gru_update_takes_new_step_f32(_ step: UnsafePointer<register_step>) {
  runStep(GRUUpdateStep<TakesNew>.self, Float.self, step)
}
@c @implementation func gru_update_takes_new_step_f64(_ step: UnsafePointer<register_step>) {
  runStep(GRUUpdateStep<TakesNew>.self, Double.self, step)
}

package enum GRUResetBeforeGates {
  /// The gate pass of the first stage of a GRU with reset before the product. Its slots are n r z rh.
  @inline(never)
  package static func resetPass(_ scalar: scalar_type, _ set: instruction_set) -> GatePass {
    switch scalar {
    case .f32: GatePass(gru_reset_f32(set))
    case .f64: GatePass(gru_reset_f64(set))
    }
  }
  /// The gate pass of the second stage of a GRU with reset before the product. Its slots are n r z rh.
  @inline(never)
  package static func updatePass(update: Cell.Update, _ scalar: scalar_type, _ set: instruction_set) -> GatePass {
    switch (update, scalar) {
    case (.keepsOld, .f32): GatePass(gru_update_keeps_old_f32(set))
    case (.keepsOld, .f64): GatePass(gru_update_keeps_old_f64(set))
    case (.takesNew, .f32): GatePass(gru_update_takes_new_f32(set))
    case (.takesNew, .f64): GatePass(gru_update_takes_new_f64(set))
    }
  }
}
