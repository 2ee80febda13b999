import CRecurrentKernels

// A GRU's slots are n r z u with reset after the product, n r z rh with reset before it: W's gates (n r z) and U's
// (r z n) both lie next to each other. h = (1 - z)∘n + z∘h', or with z and 1 - z exchanged by the tile's option.

/// h of `n`, `z` and the state before.
@inline(always) private func mixed(_ n: Lanes, _ z: Lanes, _ previous: Lanes, zTakesNew: Bool) -> Lanes {
  zTakesNew ? previous.adding(z, times: n - previous) : n.adding(z, times: previous - n)
}

/// dn before tanh, dz before σ and the direct part of dh' of a unit whose dh is complete.
@inline(always) private func mixedBackward(
  _ dh: Lanes, _ n: Lanes, _ z: Lanes, _ previous: Lanes, zTakesNew: Bool
) -> (dn: Lanes, dz: Lanes, carried: Lanes) {
  let one = Lanes(1)
  let old = zTakesNew ? one - z : z, new = zTakesNew ? z : one - z
  let difference = zTakesNew ? n - previous : previous - n
  return (
    dh * new * one.subtracting(n, times: n), dh * difference * z.subtracting(z, times: z), dh * old
  )
}

// r, z = σ(…), n = tanh(n + r∘u)
@c @implementation
func gru_gates_forward(_ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  let nSlot = tile.slots!, rSlot = nSlot + tile.slot_stride, zSlot = rSlot + tile.slot_stride
  let uSlot = zSlot + tile.slot_stride
  guard let previousH = tile.previous_h, let hRows = tile.h else { return }
  var walk = TileWalk(tile)
  while let place = walk.next() {
    let r = sigmoid(Lanes(rSlot, place))
    let z = sigmoid(Lanes(zSlot, place))
    let n = tanh(Lanes(nSlot, place).adding(r, times: Lanes(uSlot, place)))
    n.store(nSlot, place)
    r.store(rSlot, place)
    z.store(zSlot, place)
    mixed(n, z, Lanes(rows: previousH, tile.previous_stride, place), zTakesNew: tile.option).store(
      rows: hRows, tile.h_stride, place)
  }
}

// dn and dz as above, dr = dn∘u·σ', and dn∘r in u's place. dh keeps its direct part alone.
@c @implementation
func gru_gates_backward(_ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  let nSlot = tile.slots!, rSlot = nSlot + tile.slot_stride, zSlot = rSlot + tile.slot_stride
  let uSlot = zSlot + tile.slot_stride
  guard let previousH = tile.previous_h, let dhPanel = tile.dh else { return }
  var walk = TileWalk(tile)
  while let place = walk.next() {
    let r = Lanes(rSlot, place), u = Lanes(uSlot, place)
    var dh = Lanes(dhPanel, place)
    if let dy = tile.dy { dh = dh + Lanes(rows: dy, tile.dy_stride, place) }
    let (dn, dz, carried) = mixedBackward(
      dh, Lanes(nSlot, place), Lanes(zSlot, place), Lanes(rows: previousH, tile.previous_stride, place),
      zTakesNew: tile.option)
    dn.store(nSlot, place)
    (dn * u * r.subtracting(r, times: r)).store(rSlot, place)
    dz.store(zSlot, place)
    (dn * r).store(uSlot, place)
    carried.store(dhPanel, place)
  }
}

// MARK: - Reset before the product: n's product waits for r∘h', so each direction takes two passes

// r, z = σ(…), rh = r∘h'
@c @implementation
func gru_reset_gates_forward(_ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  let rSlot = tile.slots! + tile.slot_stride, zSlot = rSlot + tile.slot_stride, rhSlot = zSlot + tile.slot_stride
  guard let previousH = tile.previous_h else { return }
  var walk = TileWalk(tile)
  while let place = walk.next() {
    let r = sigmoid(Lanes(rSlot, place))
    let z = sigmoid(Lanes(zSlot, place))
    r.store(rSlot, place)
    z.store(zSlot, place)
    (r * Lanes(rows: previousH, tile.previous_stride, place)).store(rhSlot, place)
  }
}

// n = tanh(…)
@c @implementation
func gru_update_gates_forward(_ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  let nSlot = tile.slots!, zSlot = nSlot + 2 &* tile.slot_stride
  guard let previousH = tile.previous_h, let hRows = tile.h else { return }
  var walk = TileWalk(tile)
  while let place = walk.next() {
    let n = tanh(Lanes(nSlot, place))
    n.store(nSlot, place)
    mixed(n, Lanes(zSlot, place), Lanes(rows: previousH, tile.previous_stride, place), zTakesNew: tile.option).store(
      rows: hRows, tile.h_stride, place)
  }
}

// dn and dz; dh keeps its direct part alone.
@c @implementation
func gru_update_gates_backward(_ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  let nSlot = tile.slots!, zSlot = nSlot + 2 &* tile.slot_stride
  guard let previousH = tile.previous_h, let dhPanel = tile.dh else { return }
  var walk = TileWalk(tile)
  while let place = walk.next() {
    var dh = Lanes(dhPanel, place)
    if let dy = tile.dy { dh = dh + Lanes(rows: dy, tile.dy_stride, place) }
    let (dn, dz, carried) = mixedBackward(
      dh, Lanes(nSlot, place), Lanes(zSlot, place), Lanes(rows: previousH, tile.previous_stride, place),
      zTakesNew: tile.option)
    dn.store(nSlot, place)
    dz.store(zSlot, place)
    carried.store(dhPanel, place)
  }
}

// With drh = U_nᵀ dn: dr = drh∘h'·σ', and dh += drh∘r.
@c @implementation
func gru_reset_gates_backward(_ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  let rSlot = tile.slots! + tile.slot_stride
  guard let previousH = tile.previous_h, let dhPanel = tile.dh, let drhPanel = tile.drh else { return }
  var walk = TileWalk(tile)
  while let place = walk.next() {
    let r = Lanes(rSlot, place), drh = Lanes(drhPanel, place)
    (drh * Lanes(rows: previousH, tile.previous_stride, place) * r.subtracting(r, times: r)).store(rSlot, place)
    Lanes(dhPanel, place).adding(drh, times: r).store(dhPanel, place)
  }
}

// Never inlined: in another file the variants would not see the bodies.
package enum GRUGates {
  @inline(never)
  package static func forward(_ set: instruction_set, _ tile: UnsafePointer<gate_tile>) {
    gru_gates_forward_for(set)(tile)
  }
  @inline(never)
  package static func backward(_ set: instruction_set, _ tile: UnsafePointer<gate_tile>) {
    gru_gates_backward_for(set)(tile)
  }
  @inline(never)
  package static func resetForward(_ set: instruction_set, _ tile: UnsafePointer<gate_tile>) {
    gru_reset_gates_forward_for(set)(tile)
  }
  @inline(never)
  package static func updateForward(_ set: instruction_set, _ tile: UnsafePointer<gate_tile>) {
    gru_update_gates_forward_for(set)(tile)
  }
  @inline(never)
  package static func updateBackward(_ set: instruction_set, _ tile: UnsafePointer<gate_tile>) {
    gru_update_gates_backward_for(set)(tile)
  }
  @inline(never)
  package static func resetBackward(_ set: instruction_set, _ tile: UnsafePointer<gate_tile>) {
    gru_reset_gates_backward_for(set)(tile)
  }
}
