import CRecurrentKernels

// With reset after the product, the slots of a GRU are n r z u; with reset before it, they are n r z rh. In this order,
// the slots that W adds to (n r z) lie next to each other, and so do those that U adds to.

/// The scalar and the update rule that a variant of the GRU is compiled for.
private protocol GRUForm {
  associatedtype Element: LaneElement
  associatedtype Update: UpdateRule
}
private enum Form<Element: LaneElement, Update: UpdateRule>: GRUForm {}

/// How z mixes n and the state before.
private protocol UpdateRule {
  /// h, computed from n, z and the state before.
  static func mixed<E>(_ n: Lanes<E>, _ z: Lanes<E>, _ previous: Lanes<E>) -> Lanes<E>
  /// The factors of n and of the state before in h.
  static func factors<E>(_ z: Lanes<E>) -> (new: Lanes<E>, old: Lanes<E>)
  /// The derivative of h by z.
  static func slope<E>(_ n: Lanes<E>, _ previous: Lanes<E>) -> Lanes<E>
}
/// h = (1 - z)∘n + z∘h'
private enum KeepsOld: UpdateRule {
  @inline(always) static func mixed<E>(_ n: Lanes<E>, _ z: Lanes<E>, _ previous: Lanes<E>) -> Lanes<E> {
    n.adding(z, times: previous - n)
  }
  @inline(always) static func factors<E>(_ z: Lanes<E>) -> (new: Lanes<E>, old: Lanes<E>) { (Lanes(1) - z, z) }
  @inline(always) static func slope<E>(_ n: Lanes<E>, _ previous: Lanes<E>) -> Lanes<E> { previous - n }
}
/// h = z∘n + (1 - z)∘h'
private enum TakesNew: UpdateRule {
  @inline(always) static func mixed<E>(_ n: Lanes<E>, _ z: Lanes<E>, _ previous: Lanes<E>) -> Lanes<E> {
    previous.adding(z, times: n - previous)
  }
  @inline(always) static func factors<E>(_ z: Lanes<E>) -> (new: Lanes<E>, old: Lanes<E>) { (z, Lanes(1) - z) }
  @inline(always) static func slope<E>(_ n: Lanes<E>, _ previous: Lanes<E>) -> Lanes<E> { n - previous }
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
@inline(always) private func mixedBackward<F: GRUForm>(
  _ form: F.Type, _ slots: GRUTile<F.Element>, _ dh: Lanes<F.Element>, _ place: TilePlace<F.Element>
) -> (dn: Lanes<F.Element>, dz: Lanes<F.Element>, carried: Lanes<F.Element>) {
  let n = slots.n[place], z = slots.z[place], previous = slots.previousH[place]
  let (new, old) = F.Update.factors(z)
  return (
    Tanh.gradient(dh * new, value: n), Sigmoid.gradient(dh * F.Update.slope(n, previous), value: z), dh * old
  )
}

// MARK: - Reset after the product

// r, z = σ(…), n = tanh(n + r∘u)
@inline(always) private func forward<F: GRUForm>(_ form: F.Type, _ tile: UnsafePointer<gate_tile>) {
  typealias E = F.Element
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
    h[place] = F.Update.mixed(n, z, slots.previousH[place])
  }
}

// dn and dz as above, dr = dn∘u·σ'. dn∘r replaces u. dh keeps only its direct term.
@inline(always) private func backward<F: GRUForm>(_ form: F.Type, _ tile: UnsafePointer<gate_tile>) {
  typealias E = F.Element
  let tile = tile.pointee
  guard let slots = GRUTile<E>(tile), let gradient = HiddenGradient<E>(tile) else { return }
  var walk = TileWalk<E>(tile)
  while let place = walk.next() {
    let r = slots.r[place], u = slots.u[place]
    let (dn, dz, carried) = mixedBackward(form, slots, gradient[place], place)
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
@inline(always) private func updateForward<F: GRUForm>(_ form: F.Type, _ tile: UnsafePointer<gate_tile>) {
  typealias E = F.Element
  let tile = tile.pointee
  guard let slots = GRUTile<E>(tile), let h = RowMatrix<E>(tile.h, stride: tile.h_stride) else { return }
  var walk = TileWalk<E>(tile)
  while let place = walk.next() {
    let n = tanh(slots.n[place])
    slots.n[place] = n
    h[place] = F.Update.mixed(n, slots.z[place], slots.previousH[place])
  }
}

// dn and dz as above. dh keeps only its direct term.
@inline(always) private func updateBackward<F: GRUForm>(_ form: F.Type, _ tile: UnsafePointer<gate_tile>) {
  typealias E = F.Element
  let tile = tile.pointee
  guard let slots = GRUTile<E>(tile), let gradient = HiddenGradient<E>(tile) else { return }
  var walk = TileWalk<E>(tile)
  while let place = walk.next() {
    let (dn, dz, carried) = mixedBackward(form, slots, gradient[place], place)
    slots.n[place] = dn
    slots.z[place] = dz
    gradient.dh[place] = carried
  }
}

// MARK: - The variants, each compiled for every instruction set

private typealias KeepsOldForm<E: LaneElement> = Form<E, KeepsOld>
private typealias TakesNewForm<E: LaneElement> = Form<E, TakesNew>

@c @implementation func gru_keeps_old_forward_f32(_ tile: UnsafePointer<gate_tile>) {
  forward(KeepsOldForm<Float>.self, tile)
}
@c @implementation func gru_keeps_old_forward_f64(_ tile: UnsafePointer<gate_tile>) {
  forward(KeepsOldForm<Double>.self, tile)
}
@c @implementation func gru_keeps_old_backward_f32(_ tile: UnsafePointer<gate_tile>) {
  backward(KeepsOldForm<Float>.self, tile)
}
@c @implementation func gru_keeps_old_backward_f64(_ tile: UnsafePointer<gate_tile>) {
  backward(KeepsOldForm<Double>.self, tile)
}
@c @implementation func gru_takes_new_forward_f32(_ tile: UnsafePointer<gate_tile>) {
  forward(TakesNewForm<Float>.self, tile)
}
@c @implementation func gru_takes_new_forward_f64(_ tile: UnsafePointer<gate_tile>) {
  forward(TakesNewForm<Double>.self, tile)
}
@c @implementation func gru_takes_new_backward_f32(_ tile: UnsafePointer<gate_tile>) {
  backward(TakesNewForm<Float>.self, tile)
}
@c @implementation func gru_takes_new_backward_f64(_ tile: UnsafePointer<gate_tile>) {
  backward(TakesNewForm<Double>.self, tile)
}
@c @implementation func gru_update_keeps_old_forward_f32(_ tile: UnsafePointer<gate_tile>) {
  updateForward(KeepsOldForm<Float>.self, tile)
}
@c @implementation func gru_update_keeps_old_forward_f64(_ tile: UnsafePointer<gate_tile>) {
  updateForward(KeepsOldForm<Double>.self, tile)
}
@c @implementation func gru_update_keeps_old_backward_f32(_ tile: UnsafePointer<gate_tile>) {
  updateBackward(KeepsOldForm<Float>.self, tile)
}
@c @implementation func gru_update_keeps_old_backward_f64(_ tile: UnsafePointer<gate_tile>) {
  updateBackward(KeepsOldForm<Double>.self, tile)
}
@c @implementation func gru_update_takes_new_forward_f32(_ tile: UnsafePointer<gate_tile>) {
  updateForward(TakesNewForm<Float>.self, tile)
}
@c @implementation func gru_update_takes_new_forward_f64(_ tile: UnsafePointer<gate_tile>) {
  updateForward(TakesNewForm<Double>.self, tile)
}
@c @implementation func gru_update_takes_new_backward_f32(_ tile: UnsafePointer<gate_tile>) {
  updateBackward(TakesNewForm<Float>.self, tile)
}
@c @implementation func gru_update_takes_new_backward_f64(_ tile: UnsafePointer<gate_tile>) {
  updateBackward(TakesNewForm<Double>.self, tile)
}
@c @implementation func gru_reset_forward_f32(_ tile: UnsafePointer<gate_tile>) { resetForward(Float.self, tile) }
@c @implementation func gru_reset_forward_f64(_ tile: UnsafePointer<gate_tile>) { resetForward(Double.self, tile) }
@c @implementation func gru_reset_backward_f32(_ tile: UnsafePointer<gate_tile>) { resetBackward(Float.self, tile) }
@c @implementation func gru_reset_backward_f64(_ tile: UnsafePointer<gate_tile>) { resetBackward(Double.self, tile) }

package enum GRUGates {
  /// The gate pass of a GRU with reset after the product. Its slots are n r z u.
  // It is never inlined, because the variants for each instruction set would not see their bodies in another file.
  @inline(never)
  package static func pass(update: Cell.Update, _ scalar: scalar_type, _ set: instruction_set) -> GatePass {
    switch (update, scalar) {
    case (.keepsOld, .f32):
      GatePass(forward: gru_keeps_old_forward_f32_for(set), backward: gru_keeps_old_backward_f32_for(set))
    case (.keepsOld, .f64):
      GatePass(forward: gru_keeps_old_forward_f64_for(set), backward: gru_keeps_old_backward_f64_for(set))
    case (.takesNew, .f32):
      GatePass(forward: gru_takes_new_forward_f32_for(set), backward: gru_takes_new_backward_f32_for(set))
    case (.takesNew, .f64):
      GatePass(forward: gru_takes_new_forward_f64_for(set), backward: gru_takes_new_backward_f64_for(set))
    }
  }
  /// The gate pass of the first stage of a GRU with reset before the product. Its slots are n r z rh.
  @inline(never)
  package static func resetPass(_ scalar: scalar_type, _ set: instruction_set) -> GatePass {
    switch scalar {
    case .f32: GatePass(forward: gru_reset_forward_f32_for(set), backward: gru_reset_backward_f32_for(set))
    case .f64: GatePass(forward: gru_reset_forward_f64_for(set), backward: gru_reset_backward_f64_for(set))
    }
  }
  /// The gate pass of the second stage of a GRU with reset before the product. Its slots are n r z rh.
  @inline(never)
  package static func updatePass(update: Cell.Update, _ scalar: scalar_type, _ set: instruction_set) -> GatePass {
    switch (update, scalar) {
    case (.keepsOld, .f32):
      GatePass(forward: gru_update_keeps_old_forward_f32_for(set), backward: gru_update_keeps_old_backward_f32_for(set))
    case (.keepsOld, .f64):
      GatePass(forward: gru_update_keeps_old_forward_f64_for(set), backward: gru_update_keeps_old_backward_f64_for(set))
    case (.takesNew, .f32):
      GatePass(forward: gru_update_takes_new_forward_f32_for(set), backward: gru_update_takes_new_backward_f32_for(set))
    case (.takesNew, .f64):
      GatePass(forward: gru_update_takes_new_forward_f64_for(set), backward: gru_update_takes_new_backward_f64_for(set))
    }
  }
}
