import CRecurrentKernels

/// The slots i f g o of a gate tile.
private struct LSTMTile<E: LaneElement> {
  let i: Panels<E>
  let f: Panels<E>
  let g: Panels<E>
  let o: Panels<E>

  @inline(always) init(_ tile: gate_tile) {
    i = tile.slot(0)
    f = tile.slot(1)
    g = tile.slot(2)
    o = tile.slot(3)
  }

  /// Computes and stores the gates and c at one place. Each gate is stored before the next one is computed, because
  /// AVX2 has registers for only one.
  @inline(always) func activate(_ place: TilePlace<E>, c cPanel: Panels<E>, previousC kept: Panels<E>?) {
    let i = sigmoid(self.i[place])
    self.i[place] = i
    let g = tanh(self.g[place])
    self.g[place] = g
    let f = sigmoid(self.f[place])
    self.f[place] = f
    let previous = cPanel[place]
    if let kept { kept[place] = previous }
    cPanel[place] = newC(i, f, g, previous)
    self.o[place] = sigmoid(self.o[place])
  }
}

/// c = f∘c' + i∘g. Backward computes c again and gets the same bits as forward.
@inline(always) private func newC<L: Lanes>(_ i: L, _ f: L, _ g: L, _ previous: L) -> L {
  (i * g).adding(f, times: previous)
}

// i, f, o = σ(…), g = tanh(…), c = f∘c' + i∘g, h = o∘output(c). h is computed when the gates of all places are done, so
// that output(c) does not wait for them.
@inline(always) private func forward<E: LaneElement, A: GateActivation>(
  _ scalar: E.Type, _ output: A.Type, _ tile: UnsafePointer<gate_tile>
) {
  let tile = tile.pointee, slots = LSTMTile<E>(tile), previousC: Panels<E>? = tile.previousC()
  guard let h = RowMatrix<E>(tile.h, stride: tile.h_stride), let cPanel: Panels<E> = tile.state(tile.c)
  else { return }
  var walk = TileWalk<E>(tile)
  while let place = walk.next() { slots.activate(place, c: cPanel, previousC: previousC) }
  walk = TileWalk<E>(tile)
  while let place = walk.next() { h[place] = slots.o[place] * A.value(cPanel[place]) }
}

// dh += dy; do = dh∘output(c), dc += dh∘o∘output'(c);
// di = dc∘g, df = dc∘c', dg = dc∘i, each times the activation's derivative. The step before gets dc∘f as its dc.
@inline(always) private func backward<E: LaneElement, A: GateActivation>(
  _ scalar: E.Type, _ output: A.Type, _ tile: UnsafePointer<gate_tile>
) {
  let tile = tile.pointee, slots = LSTMTile<E>(tile)
  guard let previousC: Panels<E> = tile.previousC(), let dcPanel: Panels<E> = tile.state(tile.dc),
    let gradient = HiddenGradient<E>(tile)
  else { return }
  var walk = TileWalk<E>(tile)
  while let place = walk.next() {
    let i = slots.i[place], f = slots.f[place], g = slots.g[place], o = slots.o[place]
    let previous = previousC[place], c = newC(i, f, g, previous)
    let dh = gradient[place]
    let output = A.value(c)
    let dc = dcPanel[place].adding(dh * o, times: A.slope(value: output))
    slots.i[place] = Sigmoid.gradient(dc * g, value: i)
    slots.f[place] = Sigmoid.gradient(dc * previous, value: f)
    slots.g[place] = Tanh.gradient(dc * i, value: g)
    slots.o[place] = Sigmoid.gradient(dh * output, value: o)
    dcPanel[place] = dc * f
  }
}

/// The same as forward, with the sums in registers.
private enum LSTMStep<Output: GateActivation>: StepEquations {
  @inline(always) static var gates: Int { 4 }
  @inline(always) static var biasedSlots: Int { 4 }

  @inline(always) static func run<L: Lanes, Format: StepFormat>(_ place: StepPlace<L, Format>) {
    let (x, h): (GateSums<L, 4>, GateSums<L, 4>) = place.sums(input: 0, recurrent: 0)
    // All sums come before the first activation (AMD Zen 3, H 16: 1.10 times as fast as one sum before each).
    let sumI = place.bias(ofSlot: 0) + x.first + h.first, sumF = place.bias(ofSlot: 1) + x.second + h.second
    let sumG = place.bias(ofSlot: 2) + x.third + h.third, sumO = place.bias(ofSlot: 3) + x.fourth + h.fourth
    let i = sigmoid(sumI), f = sigmoid(sumF), g = tanh(sumG), o = sigmoid(sumO)
    let c = newC(i, f, g, place.c)
    place.c = c
    place.setH(o * Output.value(c))
  }
}

// MARK: - The variants, each compiled for every instruction set

@c @implementation func lstm_tanh_forward_f32(_ tile: UnsafePointer<gate_tile>) { forward(Float.self, Tanh.self, tile) }
@c @implementation func lstm_tanh_forward_f64(_ tile: UnsafePointer<gate_tile>) {
  forward(Double.self, Tanh.self, tile)
}
@c @implementation func lstm_tanh_backward_f32(_ tile: UnsafePointer<gate_tile>) {
  backward(Float.self, Tanh.self, tile)
}
@c @implementation func lstm_tanh_backward_f64(_ tile: UnsafePointer<gate_tile>) {
  backward(Double.self, Tanh.self, tile)
}
@c @implementation func lstm_linear_forward_f32(_ tile: UnsafePointer<gate_tile>) {
  forward(Float.self, Identity.self, tile)
}
@c @implementation func lstm_linear_forward_f64(_ tile: UnsafePointer<gate_tile>) {
  forward(Double.self, Identity.self, tile)
}
@c @implementation func lstm_linear_backward_f32(_ tile: UnsafePointer<gate_tile>) {
  backward(Float.self, Identity.self, tile)
}
@c @implementation func lstm_linear_backward_f64(_ tile: UnsafePointer<gate_tile>) {
  backward(Double.self, Identity.self, tile)
}
@c @implementation func lstm_tanh_step_f32(_ step: UnsafePointer<register_step>) {
  runStep(LSTMStep<Tanh>.self, Float.self, step)
}
@c @implementation func lstm_tanh_step_f64(_ step: UnsafePointer<register_step>) {
  runStep(LSTMStep<Tanh>.self, Double.self, step)
}
@c @implementation func lstm_linear_step_f32(_ step: UnsafePointer<register_step>) {
  runStep(LSTMStep<Identity>.self, Float.self, step)
}
@c @implementation func lstm_linear_step_f64(_ step: UnsafePointer<register_step>) {
  runStep(LSTMStep<Identity>.self, Double.self, step)
}

package enum LSTMGates {
  /// The gate pass of an LSTM. Its slots are i f g o.
  // It is never inlined, because the variants for each instruction set would not see their bodies in another file.
  @inline(never)
  package static func pass(_ output: Cell.CellOutput, _ scalar: scalar_type, _ set: instruction_set) -> GatePass {
    switch (output, scalar) {
    case (.tanh, .f32): GatePass(lstm_tanh_f32(set))
    case (.tanh, .f64): GatePass(lstm_tanh_f64(set))
    case (.linear, .f32): GatePass(lstm_linear_f32(set))
    case (.linear, .f64): GatePass(lstm_linear_f64(set))
    }
  }
}
