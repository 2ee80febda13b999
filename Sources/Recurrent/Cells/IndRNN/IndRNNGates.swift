import CRecurrentKernels

// IndRNN (Li et al. 2018, https://doi.org/10.1109/CVPR.2018.00572): h = activation(W x + u∘h' + b), where
// u has one value for each unit.

/// The scalar and the activation that a variant of the IndRNN is compiled for.
private protocol IndRNNForm {
  associatedtype Element: LaneElement
  associatedtype Nonlinearity: GateActivation
}
private enum Form<Element: LaneElement, Nonlinearity: GateActivation>: IndRNNForm {}

// h = activation(a + u∘h')
@inline(always) private func forward<F: IndRNNForm>(_ form: F.Type, _ tile: UnsafePointer<gate_tile>) {
  typealias E = F.Element
  let tile = tile.pointee
  let slot: Panel<E> = tile.slot(0)
  guard let u = UnitVector<E>(tile.vectors), let hRows = RowMatrix<E>(tile.h, stride: tile.h_stride),
    let previousH = RowMatrix<E>(reading: tile.previous_h, stride: tile.previous_stride)
  else { return }
  var walk = TileWalk<E>(tile)
  while let place = walk.next() {
    let h = F.Nonlinearity.value(slot[place].adding(u[place], times: previousH[place]))
    slot[place] = h
    hRows[place] = h
  }
}

// d = (dh + dy)∘activation'. The step before gets d∘u as its dh. du += d∘h'
@inline(always) private func backward<F: IndRNNForm>(_ form: F.Type, _ tile: UnsafePointer<gate_tile>) {
  typealias E = F.Element
  let tile = tile.pointee
  let slot: Panel<E> = tile.slot(0)
  guard let u = UnitVector<E>(tile.vectors), let du = UnitVectorGradient<E>(tile.vector_gradients),
    let previousH = RowMatrix<E>(reading: tile.previous_h, stride: tile.previous_stride),
    let gradient = HiddenGradient<E>(tile)
  else { return }
  var walk = TileWalk<E>(tile)
  while let place = walk.next() {
    let d = F.Nonlinearity.gradient(gradient[place], value: slot[place])
    slot[place] = d
    gradient.dh[place] = d * u[place]
    du.add(d, times: previousH[place], place)
  }
}

// MARK: - The variants, each compiled for every instruction set

private typealias TanhForm<E: LaneElement> = Form<E, Tanh>
private typealias ReLUForm<E: LaneElement> = Form<E, ReLU>

@c @implementation func indrnn_tanh_forward_f32(_ tile: UnsafePointer<gate_tile>) {
  forward(TanhForm<Float>.self, tile)
}
@c @implementation func indrnn_tanh_forward_f64(_ tile: UnsafePointer<gate_tile>) {
  forward(TanhForm<Double>.self, tile)
}
@c @implementation func indrnn_tanh_backward_f32(_ tile: UnsafePointer<gate_tile>) {
  backward(TanhForm<Float>.self, tile)
}
@c @implementation func indrnn_tanh_backward_f64(_ tile: UnsafePointer<gate_tile>) {
  backward(TanhForm<Double>.self, tile)
}
@c @implementation func indrnn_relu_forward_f32(_ tile: UnsafePointer<gate_tile>) {
  forward(ReLUForm<Float>.self, tile)
}
@c @implementation func indrnn_relu_forward_f64(_ tile: UnsafePointer<gate_tile>) {
  forward(ReLUForm<Double>.self, tile)
}
@c @implementation func indrnn_relu_backward_f32(_ tile: UnsafePointer<gate_tile>) {
  backward(ReLUForm<Float>.self, tile)
}
@c @implementation func indrnn_relu_backward_f64(_ tile: UnsafePointer<gate_tile>) {
  backward(ReLUForm<Double>.self, tile)
}

package enum IndRNNGates {
  /// The gate pass of an IndRNN. It has one slot, h, and one vector by unit, u.
  // It is never inlined, because the variants for each instruction set would not see their bodies in another file.
  @inline(never)
  package static func pass(_ activation: Cell.Nonlinearity, _ scalar: scalar_type, _ set: instruction_set) -> GatePass {
    switch (activation, scalar) {
    case (.tanh, .f32):
      GatePass(forward: indrnn_tanh_forward_f32_for(set), backward: indrnn_tanh_backward_f32_for(set))
    case (.tanh, .f64):
      GatePass(forward: indrnn_tanh_forward_f64_for(set), backward: indrnn_tanh_backward_f64_for(set))
    case (.relu, .f32):
      GatePass(forward: indrnn_relu_forward_f32_for(set), backward: indrnn_relu_backward_f32_for(set))
    case (.relu, .f64):
      GatePass(forward: indrnn_relu_forward_f64_for(set), backward: indrnn_relu_backward_f64_for(set))
    }
  }
}
