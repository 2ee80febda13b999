import CRecurrentKernels

/// The scalar and the output that a variant of the LSTM is compiled for: h = o∘output(c).
private protocol LSTMForm {
  associatedtype Element: LaneElement
  associatedtype Output: GateActivation
}
private enum Form<Element: LaneElement, Output: GateActivation>: LSTMForm {}

/// The slots i f g o of a gate tile.
private struct LSTMTile<E: LaneElement> {
  let i: Panel<E>
  let f: Panel<E>
  let g: Panel<E>
  let o: Panel<E>

  @inline(always) init(_ tile: gate_tile) {
    i = tile.slot(0)
    f = tile.slot(1)
    g = tile.slot(2)
    o = tile.slot(3)
  }

  /// Computes and stores the gates and c at one place. Returns o and c, from which h is computed.
  @inline(always) func activate(
    _ place: TilePlace<E>, c cPanel: Panel<E>, previousC kept: Panel<E>?
  ) -> (o: Lanes<E>, c: Lanes<E>) {
    let i = sigmoid(self.i[place])
    let f = sigmoid(self.f[place])
    let g = tanh(self.g[place])
    let o = sigmoid(self.o[place])
    let previous = cPanel[place]
    let c = newC(i, f, g, previous)
    if let kept { kept[place] = previous }
    self.i[place] = i
    self.f[place] = f
    self.g[place] = g
    self.o[place] = o
    cPanel[place] = c
    return (o, c)
  }
}

/// c = f∘c' + i∘g. Backward computes c again and gets the same bits as forward.
@inline(always) private func newC<E: LaneElement>(
  _ i: Lanes<E>, _ f: Lanes<E>, _ g: Lanes<E>, _ previous: Lanes<E>
) -> Lanes<E> {
  (i * g).adding(f, times: previous)
}

// i, f, o = σ(…), g = tanh(…), c = f∘c' + i∘g, h = o∘output(c). h is computed one place later than its gates, so that
// output(c) does not wait for them.
@inline(always) private func forward<F: LSTMForm>(_ form: F.Type, _ tile: UnsafePointer<gate_tile>) {
  typealias E = F.Element
  let tile = tile.pointee, slots = LSTMTile<E>(tile), previousC = Panel<E>(tile.previous_c)
  guard let h = RowMatrix<E>(tile.h, stride: tile.h_stride), let cPanel = Panel<E>(tile.c) else { return }
  var walk = TileWalk<E>(tile)
  guard var place = walk.next() else { return }
  var (o, c) = slots.activate(place, c: cPanel, previousC: previousC)
  while let next = walk.next() {
    h[place] = o * F.Output.value(c)
    (o, c) = slots.activate(next, c: cPanel, previousC: previousC)
    place = next
  }
  h[place] = o * F.Output.value(c)
}

// dh += dy; do = dh∘output(c), dc += dh∘o∘output'(c);
// di = dc∘g, df = dc∘c', dg = dc∘i, each times the activation's derivative. The step before gets dc∘f as its dc.
@inline(always) private func backward<F: LSTMForm>(_ form: F.Type, _ tile: UnsafePointer<gate_tile>) {
  typealias E = F.Element
  let tile = tile.pointee, slots = LSTMTile<E>(tile)
  guard let previousC = Panel<E>(tile.previous_c), let dcPanel = Panel<E>(tile.dc),
    let gradient = HiddenGradient<E>(tile)
  else { return }
  var walk = TileWalk<E>(tile)
  while let place = walk.next() {
    let i = slots.i[place], f = slots.f[place], g = slots.g[place], o = slots.o[place]
    let previous = previousC[place], c = newC(i, f, g, previous)
    let dh = gradient[place]
    let output = F.Output.value(c)
    let dc = dcPanel[place].adding(dh * o, times: F.Output.slope(value: output))
    slots.i[place] = Sigmoid.gradient(dc * g, value: i)
    slots.f[place] = Sigmoid.gradient(dc * previous, value: f)
    slots.g[place] = Tanh.gradient(dc * i, value: g)
    slots.o[place] = Sigmoid.gradient(dh * output, value: o)
    dcPanel[place] = dc * f
  }
}

// MARK: - The variants, each compiled for every instruction set

private typealias TanhForm<E: LaneElement> = Form<E, Tanh>
private typealias LinearForm<E: LaneElement> = Form<E, Identity>

@c @implementation func lstm_tanh_forward_f32(_ tile: UnsafePointer<gate_tile>) { forward(TanhForm<Float>.self, tile) }
@c @implementation func lstm_tanh_forward_f64(_ tile: UnsafePointer<gate_tile>) { forward(TanhForm<Double>.self, tile) }
@c @implementation func lstm_tanh_backward_f32(_ tile: UnsafePointer<gate_tile>) {
  backward(TanhForm<Float>.self, tile)
}
@c @implementation func lstm_tanh_backward_f64(_ tile: UnsafePointer<gate_tile>) {
  backward(TanhForm<Double>.self, tile)
}
@c @implementation func lstm_linear_forward_f32(_ tile: UnsafePointer<gate_tile>) {
  forward(LinearForm<Float>.self, tile)
}
@c @implementation func lstm_linear_forward_f64(_ tile: UnsafePointer<gate_tile>) {
  forward(LinearForm<Double>.self, tile)
}
@c @implementation func lstm_linear_backward_f32(_ tile: UnsafePointer<gate_tile>) {
  backward(LinearForm<Float>.self, tile)
}
@c @implementation func lstm_linear_backward_f64(_ tile: UnsafePointer<gate_tile>) {
  backward(LinearForm<Double>.self, tile)
}

package enum LSTMGates {
  /// The gate pass of an LSTM. Its slots are i f g o.
  // It is never inlined, because the variants for each instruction set would not see their bodies in another file.
  @inline(never)
  package static func pass(_ output: Cell.CellOutput, _ scalar: scalar_type, _ set: instruction_set) -> GatePass {
    switch (output, scalar) {
    case (.tanh, .f32): GatePass(forward: lstm_tanh_forward_f32_for(set), backward: lstm_tanh_backward_f32_for(set))
    case (.tanh, .f64): GatePass(forward: lstm_tanh_forward_f64_for(set), backward: lstm_tanh_backward_f64_for(set))
    case (.linear, .f32):
      GatePass(forward: lstm_linear_forward_f32_for(set), backward: lstm_linear_backward_f32_for(set))
    case (.linear, .f64):
      GatePass(forward: lstm_linear_forward_f64_for(set), backward: lstm_linear_backward_f64_for(set))
    }
  }
}
