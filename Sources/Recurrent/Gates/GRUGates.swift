import CRecurrentKernels

// A GRU's slots are n r z u with reset after the product, n r z rh with reset before it: W's gates (n r z) and U's
// (r z n) both lie next to each other. h = (1 - z)∘n + z∘h', or with z and 1 - z exchanged by the tile's option.

/// h of `n`, `z` and the state before.
@inline(always) private func mixed(_ n: Lanes, _ z: Lanes, _ previous: Lanes, zTakesNew: Bool) -> Lanes {
  zTakesNew ? previous.adding(z, times: n - previous) : n.adding(z, times: previous - n)
}

// r, z = σ(…), n = tanh(n + r∘u)
@c @implementation
func gru_gates_forward(_ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  var walk = TileWalk(tile)
  while let (at, inRow, count) = walk.next() {
    let slot = tile.slots + at
    let r = sigmoid(Lanes(slot + tile.slot_stride))
    let z = sigmoid(Lanes(slot + 2 &* tile.slot_stride))
    let n = tanh(Lanes(slot).adding(r, times: Lanes(slot + 3 &* tile.slot_stride)))
    n.store(slot)
    r.store(slot + tile.slot_stride)
    z.store(slot + 2 &* tile.slot_stride)
    let previous = Lanes(tile.previous_h! + inRow, count: count)
    mixed(n, z, previous, zTakesNew: tile.option).store(tile.h! + inRow, count: count)
  }
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

// With dn and dz as above: dr = dn∘u·σ', and dn∘r in u's place. dh keeps its direct part alone.
@c @implementation
func gru_gates_backward(_ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  var walk = TileWalk(tile)
  while let (at, inRow, count) = walk.next() {
    let slot = tile.slots + at
    let r = Lanes(slot + tile.slot_stride)
    let u = Lanes(slot + 3 &* tile.slot_stride)
    var dh = Lanes(tile.dh! + at)
    if let dy = tile.dy { dh = dh + Lanes(dy + inRow, count: count) }
    let (dn, dz, carried) = mixedBackward(
      dh, Lanes(slot), Lanes(slot + 2 &* tile.slot_stride), Lanes(tile.previous_h! + inRow, count: count),
      zTakesNew: tile.option)
    dn.store(slot)
    (dn * u * r.subtracting(r, times: r)).store(slot + tile.slot_stride)
    dz.store(slot + 2 &* tile.slot_stride)
    (dn * r).store(slot + 3 &* tile.slot_stride)
    carried.store(tile.dh! + at)
  }
}

// MARK: - Reset before the product: n's product waits for r∘h', so each direction takes two passes

// r, z = σ(…), rh = r∘h'
@c @implementation
func gru_reset_gates_forward(_ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  var walk = TileWalk(tile)
  while let (at, inRow, count) = walk.next() {
    let slot = tile.slots + at
    let previous = Lanes(tile.previous_h! + inRow, count: count)
    let r = sigmoid(Lanes(slot + tile.slot_stride))
    r.store(slot + tile.slot_stride)
    sigmoid(Lanes(slot + 2 &* tile.slot_stride)).store(slot + 2 &* tile.slot_stride)
    (r * previous).store(slot + 3 &* tile.slot_stride)
  }
}

// n = tanh(…)
@c @implementation
func gru_update_gates_forward(_ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  var walk = TileWalk(tile)
  while let (at, inRow, count) = walk.next() {
    let slot = tile.slots + at
    let n = tanh(Lanes(slot))
    n.store(slot)
    let previous = Lanes(tile.previous_h! + inRow, count: count)
    mixed(n, Lanes(slot + 2 &* tile.slot_stride), previous, zTakesNew: tile.option)
      .store(tile.h! + inRow, count: count)
  }
}

// dn and dz; dh keeps its direct part alone.
@c @implementation
func gru_update_gates_backward(_ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  var walk = TileWalk(tile)
  while let (at, inRow, count) = walk.next() {
    let slot = tile.slots + at
    var dh = Lanes(tile.dh! + at)
    if let dy = tile.dy { dh = dh + Lanes(dy + inRow, count: count) }
    let (dn, dz, carried) = mixedBackward(
      dh, Lanes(slot), Lanes(slot + 2 &* tile.slot_stride), Lanes(tile.previous_h! + inRow, count: count),
      zTakesNew: tile.option)
    dn.store(slot)
    dz.store(slot + 2 &* tile.slot_stride)
    carried.store(tile.dh! + at)
  }
}

// With drh = U_nᵀ dn: dr = drh∘h'·σ', and dh += drh∘r.
@c @implementation
func gru_reset_gates_backward(_ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  var walk = TileWalk(tile)
  while let (at, inRow, count) = walk.next() {
    let slot = tile.slots + at
    let r = Lanes(slot + tile.slot_stride)
    let drh = Lanes(tile.drh! + at)
    let previous = Lanes(tile.previous_h! + inRow, count: count)
    (drh * previous * r.subtracting(r, times: r)).store(slot + tile.slot_stride)
    Lanes(tile.dh! + at).adding(drh, times: r).store(tile.dh! + at)
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
  static func resetForward(_ set: instruction_set, _ tile: UnsafePointer<gate_tile>) {
    gru_reset_gates_forward_for(set)(tile)
  }
  @inline(never)
  static func updateForward(_ set: instruction_set, _ tile: UnsafePointer<gate_tile>) {
    gru_update_gates_forward_for(set)(tile)
  }
  @inline(never)
  static func updateBackward(_ set: instruction_set, _ tile: UnsafePointer<gate_tile>) {
    gru_update_gates_backward_for(set)(tile)
  }
  @inline(never)
  static func resetBackward(_ set: instruction_set, _ tile: UnsafePointer<gate_tile>) {
    gru_reset_gates_backward_for(set)(tile)
  }
}
