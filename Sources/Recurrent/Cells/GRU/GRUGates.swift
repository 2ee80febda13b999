import CRecurrentKernels

// With reset after the product, the slots of a GRU are n r z u; with reset before it, they are n r z rh. In this order,
// the slots that W adds to (n r z) lie next to each other, and so do those that U adds to.

/// How z mixes n and the state before.
private protocol UpdateRule {
  /// h, computed from n, z and the state before.
  static func mixed<L: Lanes>(_ n: L, _ z: L, _ previous: L) -> L
  /// The factors of n and of the state before in h.
  static func factors<L: Lanes>(_ z: L) -> (new: L, old: L)
  /// The derivative of h by z.
  static func slope<L: Lanes>(_ n: L, _ previous: L) -> L
}
/// h = (1 - z)∘n + z∘h'
private enum KeepsOld: UpdateRule {
  @inline(always) static func mixed<L: Lanes>(_ n: L, _ z: L, _ previous: L) -> L { n.adding(z, times: previous - n) }
  @inline(always) static func factors<L: Lanes>(_ z: L) -> (new: L, old: L) { (L(1) - z, z) }
  @inline(always) static func slope<L: Lanes>(_ n: L, _ previous: L) -> L { previous - n }
}
/// h = z∘n + (1 - z)∘h'
private enum TakesNew: UpdateRule {
  @inline(always) static func mixed<L: Lanes>(_ n: L, _ z: L, _ previous: L) -> L {
    previous.adding(z, times: n - previous)
  }
  @inline(always) static func factors<L: Lanes>(_ z: L) -> (new: L, old: L) { (z, L(1) - z) }
  @inline(always) static func slope<L: Lanes>(_ n: L, _ previous: L) -> L { n - previous }
}

/// The slots n r z of a gate tile and the fourth slot: u = U h' + b_hn with reset after the product, r∘h' with reset
/// before it.
private struct GRUTile<E: LaneElement> {
  let n: Panel<E>
  let r: Panel<E>
  let z: Panel<E>
  private let fourth: Panel<E>
  let previousH: RowMatrix<E>

  @inline(always) var u: Panel<E> { fourth }
  @inline(always) var rh: Panel<E> { fourth }

  @inline(always) init?(_ tile: gate_tile) {
    n = tile.slot(0)
    r = tile.slot(1)
    z = tile.slot(2)
    fourth = tile.slot(3)
    guard let previousH = RowMatrix<E>(reading: tile.previous_h, stride: tile.previous_stride) else { return nil }
    self.previousH = previousH
  }
}

/// The gradients dn and dz of the pre-activations, and the direct term of dh', at one place.
@inline(always) private func mixedBackward<E: LaneElement, U: UpdateRule>(
  _ update: U.Type, _ slots: GRUTile<E>, _ dh: VectorPair<E.Register>, _ place: TilePlace<E>
) -> (dn: VectorPair<E.Register>, dz: VectorPair<E.Register>, carried: VectorPair<E.Register>) {
  let n = slots.n[place], z = slots.z[place], previous = slots.previousH[place]
  let (new, old) = U.factors(z)
  return (
    Tanh.gradient(dh * new, value: n), Sigmoid.gradient(dh * U.slope(n, previous), value: z), dh * old
  )
}

// MARK: - Reset after the product

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

// MARK: - Reset before the product: the product for n waits for r∘h', so there are two stages

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
  guard let slots = GRUTile<E>(tile), let dhPanel = Panel<E>(tile.dh), let drhPanel = Panel<E>(tile.d_operand)
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

/// W has the gates n r z, and U has r z n.
private enum GRUStep<Update: UpdateRule>: StepEquations {
  @inline(always) static var gates: Int { 3 }
  @inline(always) static var biasedSlots: Int { 4 }
  @inline(always) static var hasU: Bool { true }

  @inline(always) static func run<L: Lanes>(_ place: StepPlace<L>) {
    let (x, h): (GateSums<L, 3>, GateSums<L, 3>) = place.sums(input: 0, recurrent: 0)
    let r = sigmoid(place.bias(ofSlot: 1) + x.second + h.first)
    let z = sigmoid(place.bias(ofSlot: 2) + x.third + h.second)
    let n = tanh((place.bias(ofSlot: 0) + x.first).adding(r, times: place.bias(ofSlot: 3) + h.third))
    place.setH(Update.mixed(n, z, place.previousH))
  }
}
/// The first stage of reset before the product.
private enum GRUResetStep: StepEquations {
  @inline(always) static var gates: Int { 3 }
  @inline(always) static var biasedSlots: Int { 3 }
  @inline(always) static var hasU: Bool { true }

  @inline(always) static func run<L: Lanes>(_ place: StepPlace<L>) {
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
  @inline(always) static var hasU: Bool { true }

  @inline(always) static func run<L: Lanes>(_ place: StepPlace<L>) {
    let (x, h): (GateSums<L, 1>, GateSums<L, 1>) = place.sums(input: 0, recurrent: 2)
    let n = tanh(place.bias(ofSlot: 0) + x.first + h.first)
    place.setH(Update.mixed(n, place.kept, place.previousH))
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
