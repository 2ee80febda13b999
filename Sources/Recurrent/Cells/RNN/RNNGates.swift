import CRecurrentKernels

// h = activation(a)
@inline(always) private func forward<E: LaneElement, A: GateActivation>(
  _ scalar: E.Type, _ activation: A.Type, _ tile: UnsafePointer<gate_tile>
) {
  let tile = tile.pointee
  let slot: Panels<E> = tile.slot(0)
  guard let hRows = RowMatrix<E>(tile.h, stride: tile.h_stride) else { return }
  var walk = TileWalk<E>(tile)
  while let place = walk.next() {
    let h = A.value(slot[place])
    slot[place] = h
    hRows[place] = h
  }
}

// d = (dh + dy)∘activation'
@inline(always) private func backward<E: LaneElement, A: GateActivation>(
  _ scalar: E.Type, _ activation: A.Type, _ tile: UnsafePointer<gate_tile>
) {
  let tile = tile.pointee
  let slot: Panels<E> = tile.slot(0)
  guard let gradient = HiddenGradient<E>(tile) else { return }
  var walk = TileWalk<E>(tile)
  while let place = walk.next() {
    slot[place] = A.gradient(gradient[place], value: slot[place])
  }
}

/// The same as forward, with the sums in registers.
private enum RNNStep<Nonlinearity: GateActivation>: StepEquations {
  @inline(always) static var gates: Int { 1 }
  @inline(always) static var biasedSlots: Int { 1 }

  @inline(always) static func run<L: Lanes, Format: StepFormat>(_ place: StepPlace<L, Format>) {
    let (x, h): (GateSums<L, 1>, GateSums<L, 1>) = place.sums(input: 0, recurrent: 0)
    place.setH(Nonlinearity.value(place.bias(ofSlot: 0) + x.first + h.first))
  }
}

// MARK: - The variants, each compiled for every instruction set

@c @implementation func rnn_tanh_forward_f32(_ tile: UnsafePointer<gate_tile>) { forward(Float.self, Tanh.self, tile) }
@c @implementation func rnn_tanh_forward_f64(_ tile: UnsafePointer<gate_tile>) { forward(Double.self, Tanh.self, tile) }
@c @implementation func rnn_tanh_backward_f32(_ tile: UnsafePointer<gate_tile>) {
  backward(Float.self, Tanh.self, tile)
}
@c @implementation func rnn_tanh_backward_f64(_ tile: UnsafePointer<gate_tile>) {
  backward(Double.self, Tanh.self, tile)
}
@c @implementation func rnn_relu_forward_f32(_ tile: UnsafePointer<gate_tile>) { forward(Float.self, ReLU.self, tile) }
@c @implementation func rnn_relu_forward_f64(_ tile: UnsafePointer<gate_tile>) { forward(Double.self, ReLU.self, tile) }
@c @implementation func rnn_relu_backward_f32(_ tile: UnsafePointer<gate_tile>) {
  backward(Float.self, ReLU.self, tile)
}
@c @implementation func rnn_relu_backward_f64(_ tile: UnsafePointer<gate_tile>) {
  backward(Double.self, ReLU.self, tile)
}
@c @implementation func rnn_tanh_step_f32(_ step: UnsafePointer<register_step>) {
  runStep(RNNStep<Tanh>.self, Float.self, step)
}
@c @implementation func rnn_tanh_step_f64(_ step: UnsafePointer<register_step>) {
  runStep(RNNStep<Tanh>.self, Double.self, step)
}
@c @implementation func rnn_relu_step_f32(_ step: UnsafePointer<register_step>) {
  runStep(RNNStep<ReLU>.self, Float.self, step)
}
@c @implementation func rnn_relu_step_f64(_ step: UnsafePointer<register_step>) {
  runStep(RNNStep<ReLU>.self, Double.self, step)
}

package enum RNNGates {
  /// The gate pass of an RNN. Its one slot is h.
  // It is never inlined, because the variants for each instruction set would not see their bodies in another file.
  @inline(never)
  package static func pass(_ activation: Cell.Nonlinearity, _ scalar: scalar_type, _ set: instruction_set) -> GatePass {
    switch (activation, scalar) {
    case (.tanh, .f32): GatePass(rnn_tanh_f32(set))
    case (.tanh, .f64): GatePass(rnn_tanh_f64(set))
    case (.relu, .f32): GatePass(rnn_relu_f32(set))
    case (.relu, .f64): GatePass(rnn_relu_f64(set))
    }
  }
}
