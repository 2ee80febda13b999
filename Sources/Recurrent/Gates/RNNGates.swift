import CRecurrentKernels

// h = tanh(a), or max(a, 0) with the tile's option; a NaN is passed on by both.
@c @implementation
func rnn_gates_forward(_ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  let slot = tile.slots!
  guard let hRows = tile.h else { return }
  let zero = Lanes(0)
  var walk = TileWalk(tile)
  while let place = walk.next() {
    let a = Lanes(slot, place)
    let h = tile.option ? zero.kept(wherePositive: zero - a, else: a) : tanh(a)
    h.store(slot, place)
    h.store(rows: hRows, tile.h_stride, place)
  }
}

// d = (dh + dy)∘(1 - h²), or where h > 0 alone.
@c @implementation
func rnn_gates_backward(_ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  let slot = tile.slots!
  guard let dhPanel = tile.dh else { return }
  let zero = Lanes(0), one = Lanes(1)
  var walk = TileWalk(tile)
  while let place = walk.next() {
    let h = Lanes(slot, place)
    var dh = Lanes(dhPanel, place)
    if let dy = tile.dy { dh = dh + Lanes(rows: dy, tile.dy_stride, place) }
    let d = tile.option ? dh.kept(wherePositive: h, else: zero) : dh * one.subtracting(h, times: h)
    d.store(slot, place)
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
