import CRecurrentKernels

// Reset after the product: one product serves all gates.

// r, z = σ(…), n = tanh(n + r∘u)
@inline(always) private func forward<E: LaneElement, U: UpdateRule>(
  _ scalar: E.Type, _ update: U.Type, _ tile: UnsafePointer<gate_tile>
) {
  let tile = tile.pointee
  guard let slots = GRUTile<E>(tile), let h = RowMatrix<E>(tile.h, stride: tile.h_stride) else { return }
  var walk = TileWalk<E>(tile)
  while let place = walk.next() {
    let r = sigmoid(slots.r[place])
    let z = sigmoid(slots.z[place])
    let n = tanh(slots.n[place].adding(r, times: slots.u[place]))
    slots.n[place] = n
    slots.r[place] = r
    slots.z[place] = z
    h[place] = U.mixed(n, z, slots.previousH[place])
  }
}

// dn and dz as above, dr = dn∘u·σ'. dn∘r replaces u. dh keeps only its direct term.
@inline(always) private func backward<E: LaneElement, U: UpdateRule>(
  _ scalar: E.Type, _ update: U.Type, _ tile: UnsafePointer<gate_tile>
) {
  let tile = tile.pointee
  guard let slots = GRUTile<E>(tile), let gradient = HiddenGradient<E>(tile) else { return }
  var walk = TileWalk<E>(tile)
  while let place = walk.next() {
    let r = slots.r[place], u = slots.u[place]
    let (dn, dz, carried) = mixedBackward(update, slots, gradient[place], place)
    slots.n[place] = dn
    slots.r[place] = Sigmoid.gradient(dn * u, value: r)
    slots.z[place] = dz
    slots.u[place] = dn * r
    gradient.dh[place] = carried
  }
}

// MARK: - The same as forward, with the sums in registers

/// W has the gates n r z, and U has r z n.
private enum GRUStep<Update: UpdateRule>: StepEquations {
  @inline(always) static var gates: Int { 3 }
  @inline(always) static var biasedSlots: Int { 4 }

  @inline(always) static func run<L: Lanes, Format: StepFormat>(_ place: StepPlace<L, Format>) {
    let (x, h): (GateSums<L, 3>, GateSums<L, 3>) = place.sums(input: 0, recurrent: 0)
    let r = sigmoid(place.bias(ofSlot: 1) + x.second + h.first)
    let z = sigmoid(place.bias(ofSlot: 2) + x.third + h.second)
    let n = tanh((place.bias(ofSlot: 0) + x.first).adding(r, times: place.bias(ofSlot: 3) + h.third))
    place.setH(Update.mixed(n, z, place.previousH))
  }
}

// MARK: - The variants, each compiled for every instruction set

@c @implementation func gru_keeps_old_forward_f32(_ tile: UnsafePointer<gate_tile>) {
  forward(Float.self, KeepsOld.self, tile)
}
@c @implementation func gru_keeps_old_forward_f64(_ tile: UnsafePointer<gate_tile>) {
  forward(Double.self, KeepsOld.self, tile)
}
@c @implementation func gru_keeps_old_backward_f32(_ tile: UnsafePointer<gate_tile>) {
  backward(Float.self, KeepsOld.self, tile)
}
@c @implementation func gru_keeps_old_backward_f64(_ tile: UnsafePointer<gate_tile>) {
  backward(Double.self, KeepsOld.self, tile)
}
@c @implementation func gru_takes_new_forward_f32(_ tile: UnsafePointer<gate_tile>) {
  forward(Float.self, TakesNew.self, tile)
}
@c @implementation func gru_takes_new_forward_f64(_ tile: UnsafePointer<gate_tile>) {
  forward(Double.self, TakesNew.self, tile)
}
@c @implementation func gru_takes_new_backward_f32(_ tile: UnsafePointer<gate_tile>) {
  backward(Float.self, TakesNew.self, tile)
}
@c @implementation func gru_takes_new_backward_f64(_ tile: UnsafePointer<gate_tile>) {
  backward(Double.self, TakesNew.self, tile)
}
@c @implementation func gru_keeps_old_step_f32(_ step: UnsafePointer<register_step>) {
  runStep(GRUStep<KeepsOld>.self, Float.self, step)
}
@c @implementation func gru_keeps_old_step_f64(_ step: UnsafePointer<register_step>) {
  runStep(GRUStep<KeepsOld>.self, Double.self, step)
}
@c @implementation func gru_takes_new_step_f32(_ step: UnsafePointer<register_step>) {
  runStep(GRUStep<TakesNew>.self, Float.self, step)
}
@c @implementation func gru_takes_new_step_f64(_ step: UnsafePointer<register_step>) {
  runStep(GRUStep<TakesNew>.self, Double.self, step)
}

package enum GRUGates {
  /// The gate pass of a GRU with reset after the product. Its slots are n r z u.
  // It is never inlined, because the variants for each instruction set would not see their bodies in another file.
  @inline(never)
  package static func pass(update: Cell.Update, _ scalar: scalar_type, _ set: instruction_set) -> GatePass {
    switch (update, scalar) {
    case (.keepsOld, .f32): GatePass(gru_keeps_old_f32(set))
    case (.keepsOld, .f64): GatePass(gru_keeps_old_f64(set))
    case (.takesNew, .f32): GatePass(gru_takes_new_f32(set))
    case (.takesNew, .f64): GatePass(gru_takes_new_f64(set))
    }
  }
}
