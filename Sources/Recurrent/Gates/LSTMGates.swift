import CRecurrentKernels

/// The slots i f g o of a tile.
private struct LSTMTile {
  let i: UnsafeMutablePointer<Float>
  let f: UnsafeMutablePointer<Float>
  let g: UnsafeMutablePointer<Float>
  let o: UnsafeMutablePointer<Float>

  @inline(always) init?(_ tile: gate_tile) {
    guard let slots = tile.slots else { return nil }
    i = slots
    f = i + tile.slot_stride
    g = f + tile.slot_stride
    o = g + tile.slot_stride
  }

  /// The gates and c of one place, stored; o and c are needed again for h.
  @inline(always) func activate(
    _ place: TilePlace, c cPanel: UnsafeMutablePointer<Float>, previousC kept: UnsafeMutablePointer<Float>?
  ) -> (o: Lanes, c: Lanes) {
    let i = sigmoid(Lanes(self.i, place))
    let f = sigmoid(Lanes(self.f, place))
    let g = tanh(Lanes(self.g, place))
    let o = sigmoid(Lanes(self.o, place))
    let previous = Lanes(cPanel, place)
    let c = newC(i, f, g, previous)
    if let kept { previous.store(kept, place) }
    i.store(self.i, place)
    f.store(self.f, place)
    g.store(self.g, place)
    o.store(self.o, place)
    c.store(cPanel, place)
    return (o, c)
  }
}

/// c = f∘c' + i∘g, with the same bits in forward and, again, in backward.
@inline(always) private func newC(_ i: Lanes, _ f: Lanes, _ g: Lanes, _ previous: Lanes) -> Lanes {
  (i * g).adding(f, times: previous)
}

// i, f, o = σ(…), g = tanh(…), c = f∘c' + i∘g, h = o∘tanh(c), or h = o∘c with the tile's option. h comes one place
// late, so that tanh(c) does not wait for the gates before it.
@c @implementation
func lstm_gates_forward(_ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  guard let slots = LSTMTile(tile), let h = tile.h, let cPanel = tile.c else { return }
  var walk = TileWalk(tile)
  guard var place = walk.next() else { return }
  var (o, c) = slots.activate(place, c: cPanel, previousC: tile.previous_c)
  while let next = walk.next() {
    (tile.option ? o * c : o * tanh(c)).store(rows: h, tile.h_stride, place)
    (o, c) = slots.activate(next, c: cPanel, previousC: tile.previous_c)
    place = next
  }
  (tile.option ? o * c : o * tanh(c)).store(rows: h, tile.h_stride, place)
}

// dh += dy; do = dh∘tanh(c), dc += dh∘o∘(1 - tanh²(c)) (or do = dh∘c, dc += dh∘o);
// di = dc∘g, df = dc∘c', dg = dc∘i, each times the activation's derivative; for the step before, dc = dc∘f.
@c @implementation
func lstm_gates_backward(_ tile: UnsafePointer<gate_tile>) {
  let tile = tile.pointee
  guard let slots = LSTMTile(tile), let previousC = tile.previous_c, let dhPanel = tile.dh, let dcPanel = tile.dc
  else { return }
  let one = Lanes(1)
  var walk = TileWalk(tile)
  while let place = walk.next() {
    let i = Lanes(slots.i, place), f = Lanes(slots.f, place), g = Lanes(slots.g, place), o = Lanes(slots.o, place)
    let previous = Lanes(previousC, place), c = newC(i, f, g, previous)
    var dh = Lanes(dhPanel, place)
    if let dy = tile.dy { dh = dh + Lanes(rows: dy, tile.dy_stride, place) }
    let squashed = tile.option ? c : tanh(c)
    let slope = tile.option ? one : one.subtracting(squashed, times: squashed)
    let dc = Lanes(dcPanel, place).adding(dh * o, times: slope)
    (dc * g * (i.subtracting(i, times: i))).store(slots.i, place)
    (dc * previous * (f.subtracting(f, times: f))).store(slots.f, place)
    (dc * i * (one.subtracting(g, times: g))).store(slots.g, place)
    (dh * squashed * (o.subtracting(o, times: o))).store(slots.o, place)
    (dc * f).store(dcPanel, place)
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
