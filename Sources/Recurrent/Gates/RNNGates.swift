import CRecurrentKernels

// h = tanh(a), or max(a, 0) with the tile's option; a NaN is passed on by both.
@c @implementation
func rnn_gates_forward(_ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  let zero = Lanes(0)
  var walk = TileWalk(tile)
  while let (at, inRow, count) = walk.next() {
    let slot = tile.slots + at
    let a = Lanes(slot)
    let h = tile.option ? zero.kept(wherePositive: zero - a, else: a) : tanh(a)
    h.store(slot)
    h.store(tile.h! + inRow, count: count)
  }
}

// d = (dh + dy)∘(1 - h²), or where h > 0 alone.
@c @implementation
func rnn_gates_backward(_ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  var walk = TileWalk(tile)
  while let (at, inRow, count) = walk.next() {
    let h = Lanes(tile.slots + at)
    var dh = Lanes(tile.dh! + at)
    if let dy = tile.dy { dh = dh + Lanes(dy + inRow, count: count) }
    let d = tile.option ? dh.kept(wherePositive: h, else: Lanes(0)) : dh * Lanes(1).subtracting(h, times: h)
    d.store(tile.slots + at)
  }
}

// Never inlined: in another file the variants would not see the bodies.
package enum RNNGates {
  @inline(never)
  package static func forward(_ set: instruction_set, _ tile: UnsafePointer<gate_tile>) {
    rnn_gates_forward_for(set)(tile)
  }
  @inline(never)
  package static func backward(_ set: instruction_set, _ tile: UnsafePointer<gate_tile>) {
    rnn_gates_backward_for(set)(tile)
  }
}
