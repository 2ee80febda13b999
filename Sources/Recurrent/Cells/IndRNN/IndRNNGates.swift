import CRecurrentKernels

// IndRNN (Li et al. 2018, https://doi.org/10.1109/CVPR.2018.00572): h = activation(W x + u∘h' + b), where
// u has one value for each unit.

// h = activation(a + u∘h')
@inline(always) private func forward<E: LaneElement, A: GateActivation>(
  _ scalar: E.Type, _ activation: A.Type, _ tile: UnsafePointer<gate_tile>
) {
  let tile = tile.pointee
  let slot: Panels<E> = tile.slot(0)
  guard let u = UnitVector<E>(tile.vectors), let hRows = RowMatrix<E>(tile.h, stride: tile.h_stride),
    let previousH = RowMatrix<E>(reading: tile.previous_h, stride: tile.previous_stride)
  else { return }
  var walk = TileWalk<E>(tile)
  while let place = walk.next() {
    let h = A.value(slot[place].adding(u[place], times: previousH[place]))
    slot[place] = h
    hRows[place] = h
  }
}

// d = (dh + dy)∘activation'. The step before gets d∘u as its dh. du += d∘h'
@inline(always) private func backward<E: LaneElement, A: GateActivation>(
  _ scalar: E.Type, _ activation: A.Type, _ tile: UnsafePointer<gate_tile>
) {
  let tile = tile.pointee
  let slot: Panels<E> = tile.slot(0)
  guard let u = UnitVector<E>(tile.vectors), let du = UnitVectorGradient<E>(tile.vector_gradients),
    let previousH = RowMatrix<E>(reading: tile.previous_h, stride: tile.previous_stride),
    let gradient = HiddenGradient<E>(tile)
  else { return }
  var walk = TileWalk<E>(tile)
  while let place = walk.next() {
    let d = A.gradient(gradient[place], value: slot[place])
    slot[place] = d
    gradient.dh[place] = d * u[place]
    du.add(d, times: previousH[place], place)
  }
}

/// The same as forward, with the sums in registers.
private enum IndRNNStep<Nonlinearity: GateActivation>: StepEquations {
  @inline(always) static var gates: Int { 1 }
  @inline(always) static var biasedSlots: Int { 1 }

  @inline(always) static func run<L: Lanes, Format: StepFormat>(_ place: StepPlace<L, Format>) {
    let (x, _): (GateSums<L, 1>, GateSums<L, 0>) = place.sums(input: 0, recurrent: 0)
    place.setH(Nonlinearity.value((place.bias(ofSlot: 0) + x.first).adding(place.vector, times: place.previousH)))
  }
}

// MARK: - The variants, each compiled for every instruction set

@c @implementation func indrnn_tanh_forward_f32(_ tile: UnsafePointer<gate_tile>) {
  forward(Float.self, Tanh.self, tile)
}
@c @implementation func indrnn_tanh_forward_f64(_ tile: UnsafePointer<gate_tile>) {
  forward(Double.self, Tanh.self, tile)
}
@c @implementation func indrnn_tanh_backward_f32(_ tile: UnsafePointer<gate_tile>) {
  backward(Float.self, Tanh.self, tile)
}
@c @implementation func indrnn_tanh_backward_f64(_ tile: UnsafePointer<gate_tile>) {
  backward(Double.self, Tanh.self, tile)
}
@c @implementation func indrnn_relu_forward_f32(_ tile: UnsafePointer<gate_tile>) {
  forward(Float.self, ReLU.self, tile)
}
@c @implementation func indrnn_relu_forward_f64(_ tile: UnsafePointer<gate_tile>) {
  forward(Double.self, ReLU.self, tile)
}
@c @implementation func indrnn_relu_backward_f32(_ tile: UnsafePointer<gate_tile>) {
  backward(Float.self, ReLU.self, tile)
}
@c @implementation func indrnn_relu_backward_f64(_ tile: UnsafePointer<gate_tile>) {
  backward(Double.self, ReLU.self, tile)
}
@c @implementation func indrnn_tanh_step_f32(_ step: UnsafePointer<register_step>) {
  runStep(IndRNNStep<Tanh>.self, Float.self, step)
}
@c @implementation func indrnn_tanh_step_f64(_ step: UnsafePointer<register_step>) {
  runStep(IndRNNStep<Tanh>.self, Double.self, step)
}
@c @implementation func indrnn_relu_step_f32(_ step: UnsafePointer<register_step>) {
  runStep(IndRNNStep<ReLU>.self, Float.self, step)
}
@c @implementation func indrnn_relu_step_f64(_ step: UnsafePointer<register_step>) {
  runStep(IndRNNStep<ReLU>.self, Double.self, step)
}

package enum IndRNNGates {
  /// The gate pass of an IndRNN. It has one slot, h, and one vector by unit, u.
  // It is never inlined, because the variants for each instruction set would not see their bodies in another file.
  @inline(never)
  package static func pass(_ activation: Cell.Nonlinearity, _ scalar: scalar_type, _ set: instruction_set) -> GatePass {
    switch (activation, scalar) {
    case (.tanh, .f32): GatePass(indrnn_tanh_f32(set))
    case (.tanh, .f64): GatePass(indrnn_tanh_f64(set))
    case (.relu, .f32): GatePass(indrnn_relu_f32(set))
    case (.relu, .f64): GatePass(indrnn_relu_f64(set))
    }
  }
}
