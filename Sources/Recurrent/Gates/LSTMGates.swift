import CRecurrentKernels

// i, f, o = σ(…), g = tanh(…), c = f∘c' + i∘g, h = o∘tanh(c), or h = o∘c with the tile's option.
@c @implementation
func lstm_gates_forward(_ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  var walk = TileWalk(tile)
  while let (at, inRow, count) = walk.next() {
    let slot = tile.slots + at
    let i = sigmoid(Lanes(slot))
    let f = sigmoid(Lanes(slot + tile.slot_stride))
    let g = tanh(Lanes(slot + 2 &* tile.slot_stride))
    let o = sigmoid(Lanes(slot + 3 &* tile.slot_stride))
    let c = (i * g).adding(f, times: Lanes(tile.previous_c! + at))
    i.store(slot)
    f.store(slot + tile.slot_stride)
    g.store(slot + 2 &* tile.slot_stride)
    o.store(slot + 3 &* tile.slot_stride)
    c.store(tile.c! + at)
    let h = tile.option ? o * c : o * tanh(c)
    h.store(tile.h! + inRow, count: count)
  }
}

// dh += dy; do = dh∘tanh(c), dc += dh∘o∘(1 - tanh²(c)) (or do = dh∘c, dc += dh∘o);
// di = dc∘g, df = dc∘c', dg = dc∘i, each times the activation's derivative; for the step before, dc = dc∘f.
@c @implementation
func lstm_gates_backward(_ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  let one = Lanes(1)
  var walk = TileWalk(tile)
  while let (at, inRow, count) = walk.next() {
    let slot = tile.slots + at
    let i = Lanes(slot)
    let f = Lanes(slot + tile.slot_stride)
    let g = Lanes(slot + 2 &* tile.slot_stride)
    let o = Lanes(slot + 3 &* tile.slot_stride)
    let c = Lanes(tile.c! + at)
    var dh = Lanes(tile.dh! + at)
    if let dy = tile.dy { dh = dh + Lanes(dy + inRow, count: count) }
    let squashed = tile.option ? c : tanh(c)
    let slope = tile.option ? one : one.subtracting(squashed, times: squashed)
    let dc = Lanes(tile.dc! + at).adding(dh * o, times: slope)
    (dc * g * (i.subtracting(i, times: i))).store(slot)
    (dc * Lanes(tile.previous_c! + at) * (f.subtracting(f, times: f))).store(slot + tile.slot_stride)
    (dc * i * (one.subtracting(g, times: g))).store(slot + 2 &* tile.slot_stride)
    (dh * squashed * (o.subtracting(o, times: o))).store(slot + 3 &* tile.slot_stride)
    (dc * f).store(tile.dc! + at)
  }
}

// Never inlined: in another file the variants would not see the bodies.
package enum LSTMGates {
  @inline(never)
  package static func forward(_ set: instruction_set, _ tile: UnsafePointer<gate_tile>) {
    lstm_gates_forward_for(set)(tile)
  }
  @inline(never)
  package static func backward(_ set: instruction_set, _ tile: UnsafePointer<gate_tile>) {
    lstm_gates_backward_for(set)(tile)
  }
}
