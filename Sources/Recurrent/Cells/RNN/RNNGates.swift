import CRecurrentKernels

/// The scalar and the activation that a variant of the RNN is compiled for: h = activation(W x + U h' + b).
private protocol RNNForm {
  associatedtype Element: LaneElement
  associatedtype Nonlinearity: GateActivation
}
private enum Form<Element: LaneElement, Nonlinearity: GateActivation>: RNNForm {}

// h = activation(a)
@inline(always) private func forward<F: RNNForm>(_ form: F.Type, _ tile: UnsafePointer<gate_tile>) {
  typealias E = F.Element
  let tile = tile.pointee
  let slot: Panel<E> = tile.slot(0)
  guard let hRows = RowMatrix<E>(tile.h, stride: tile.h_stride) else { return }
  var walk = TileWalk<E>(tile)
  while let place = walk.next() {
    let h = F.Nonlinearity.value(slot[place])
    slot[place] = h
    hRows[place] = h
  }
}

// d = (dh + dy)∘activation'
@inline(always) private func backward<F: RNNForm>(_ form: F.Type, _ tile: UnsafePointer<gate_tile>) {
  typealias E = F.Element
  let tile = tile.pointee
  let slot: Panel<E> = tile.slot(0)
  guard let gradient = HiddenGradient<E>(tile) else { return }
  var walk = TileWalk<E>(tile)
  while let place = walk.next() {
    slot[place] = F.Nonlinearity.gradient(gradient[place], value: slot[place])
  }
}

// MARK: - The variants, each compiled for every instruction set

private typealias TanhForm<E: LaneElement> = Form<E, Tanh>
private typealias ReLUForm<E: LaneElement> = Form<E, ReLU>

@c @implementation func rnn_tanh_forward_f32(_ tile: UnsafePointer<gate_tile>) { forward(TanhForm<Float>.self, tile) }
@c @implementation func rnn_tanh_forward_f64(_ tile: UnsafePointer<gate_tile>) { forward(TanhForm<Double>.self, tile) }
@c @implementation func rnn_tanh_backward_f32(_ tile: UnsafePointer<gate_tile>) { backward(TanhForm<Float>.self, tile) }
@c @implementation func rnn_tanh_backward_f64(_ tile: UnsafePointer<gate_tile>) {
  backward(TanhForm<Double>.self, tile)
}
@c @implementation func rnn_relu_forward_f32(_ tile: UnsafePointer<gate_tile>) { forward(ReLUForm<Float>.self, tile) }
@c @implementation func rnn_relu_forward_f64(_ tile: UnsafePointer<gate_tile>) { forward(ReLUForm<Double>.self, tile) }
@c @implementation func rnn_relu_backward_f32(_ tile: UnsafePointer<gate_tile>) { backward(ReLUForm<Float>.self, tile) }
@c @implementation func rnn_relu_backward_f64(_ tile: UnsafePointer<gate_tile>) {
  backward(ReLUForm<Double>.self, tile)
}

package enum RNNGates {
  /// The gate pass of an RNN. Its one slot is h.
  // It is never inlined, because the variants for each instruction set would not see their bodies in another file.
  @inline(never)
  package static func pass(_ activation: Cell.Nonlinearity, _ scalar: scalar_type, _ set: instruction_set) -> GatePass {
    switch (activation, scalar) {
    case (.tanh, .f32): GatePass(forward: rnn_tanh_forward_f32_for(set), backward: rnn_tanh_backward_f32_for(set))
    case (.tanh, .f64): GatePass(forward: rnn_tanh_forward_f64_for(set), backward: rnn_tanh_backward_f64_for(set))
    case (.relu, .f32): GatePass(forward: rnn_relu_forward_f32_for(set), backward: rnn_relu_backward_f32_for(set))
    case (.relu, .f64): GatePass(forward: rnn_relu_forward_f64_for(set), backward: rnn_relu_backward_f64_for(set))
    }
  }
}
