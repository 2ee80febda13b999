import CRecurrentKernels

/// The parameters of a part in the layout of the kernels. They do not change after `fill`.
///
/// The weights are panels [unit block][gate][depth][P], so that one product computes all gates of a block. The biases
/// that the slots start from are [unit block][slot][P]. The cell's vectors by unit are [unit block][vector][P].
/// Backward also needs the weights by columns, and steps in registers need them in the order of their use.
package final class PackedParameters<E: Element>: @unchecked Sendable {
  package let weightIH: AlignedBuffer<E>
  package let weightHH: AlignedBuffer<E>
  package let bias: AlignedBuffer<E>
  package let vectors: AlignedBuffer<E>
  package let transposedIH = LazyPanels<E>()  // [block of C][gate] panels of H
  package let transposedHH = LazyPanels<E>()  // [block of H][gate] panels of H
  private let stepWeights = LazyPanels<E>()
  private let program: CellProgram
  private let inputSize: Int
  private let hiddenSize: Int
  let stepBlocks: StepBlocks
  /// The scalars, or words, of W and of U for one gate and one unit (`Products.unitScalars`).
  private let depth: (input: Int, hidden: Int)
  /// The scalars of one unit in `stepWeights`: its biases and W, and those with U.
  let stepScalars: (beforeU: Int, all: Int)

  /// - Parameter hasU: whether the cell multiplies by a matrix U.
  package init(_ program: CellProgram, hasU: Bool, inputSize: Int, hiddenSize: Int, products: Products<E>) {
    self.program = program
    self.inputSize = inputSize
    self.hiddenSize = hiddenSize
    let units = products.panels(hiddenSize) * products.width
    weightIH = AlignedBuffer(count: units * program.gates * products.unitScalars(inputSize))
    weightHH = AlignedBuffer(count: hasU ? units * program.gates * products.unitScalars(hiddenSize) : 0)
    bias = AlignedBuffer(count: units * program.biasedSlots)
    vectors = AlignedBuffer(count: units * program.vectors)
    stepBlocks = products.stepBlocks(hiddenSize, gates: program.gates)
    depth = (products.unitScalars(inputSize), hasU ? products.unitScalars(hiddenSize) : 0)
    let beforeU = program.biasedSlots + program.gates * products.stepScalars(inputSize)
    stepScalars = (beforeU, beforeU + (hasU ? program.gates * products.stepScalars(hiddenSize) : 0))
  }

  func fill(_ values: UnsafePointer<E>, _ parameters: PartParameters, products: Products<E>) {
    let gates = program.gates, width = products.width
    transposedIH.empty()
    transposedHH.empty()
    stepWeights.empty()
    func fuse(_ weights: Range<Int>, depth: Int, order: [Int], into panels: AlignedBuffer<E>) {
      let panel = products.unitScalars(depth) * width
      for (position, gate) in order.enumerated() {
        products.packPanels(
          rowsOf: values + (weights.lowerBound + gate * hiddenSize * depth), units: hiddenSize, depth: depth,
          panelStride: gates * panel, into: panels.start + position * panel)
      }
    }
    fuse(parameters[.inputWeights], depth: inputSize, order: program.inputGates, into: weightIH)
    if !parameters[.recurrentWeights].isEmpty {
      fuse(parameters[.recurrentWeights], depth: hiddenSize, order: Array(0..<gates), into: weightHH)
    }
    for vector in 0..<program.vectors {
      products.packPanels(
        columnsOf: values + parameters[.vector(vector)].lowerBound, units: hiddenSize, depth: 1, stride: hiddenSize,
        panelStride: program.vectors * width, into: vectors.start + vector * width)
    }
    fillBias(values, parameters[.inputBias], parameters[.recurrentBias], width: width)
  }

  /// Fills the bias of each slot. The two biases of a gate are added up if both belong to the same slot.
  private func fillBias(_ values: UnsafePointer<E>, _ input: Range<Int>, _ recurrent: Range<Int>, width: Int) {
    guard !input.isEmpty else { return }
    for (slot, gate) in program.inputGates.enumerated() {
      let recurrentSlot = program.recurrentBiasSlots[gate]
      for unit in 0..<hiddenSize {
        let at = gate * hiddenSize + unit
        let ofInput = values[input.lowerBound + at]
        let ofRecurrent = recurrent.isEmpty ? 0 : values[recurrent.lowerBound + at]
        self[bias: slot, unit, width] = ofInput + (recurrentSlot == slot ? ofRecurrent : 0)
        if recurrentSlot != slot { self[bias: recurrentSlot, unit, width] = ofRecurrent }
      }
    }
  }

  private subscript(bias slot: Int, unit: Int, width: Int) -> E {
    get { bias.start[(unit / width * program.biasedSlots + slot) * width + unit % width] }
    set { bias.start[(unit / width * program.biasedSlots + slot) * width + unit % width] = newValue }
  }

  // MARK: - For steps in registers

  /// For each step block: the biases [biased slot][unit], then W and U [scalar][gate][unit], whose scalars are those of
  /// `step_format`.
  func stepWeights(_ products: Products<E>) -> UnsafePointer<E> {
    let width = products.width, widens = products.stepFormat == .shorts, head = Int(INT8_UNIT_HEAD)
    return stepWeights.start(count: products.panels(hiddenSize) * width * stepScalars.all) { target in
      var target = target
      stepBlocks.forEach { first, units in
        let half = products.lanes / 2
        /// Visits the half vectors of some scalars of [row][scalar] panels in the order of the target: [scalar][row].
        /// `body` writes one half vector at `target`, which then moves to the next one.
        func forEach(_ scalars: Range<Int>, rows: Int, _ body: (_ scalar: Int, _ row: Int, _ unit: Int) -> Void) {
          for scalar in scalars {
            for row in 0..<rows {
              for unit in stride(from: first, to: first + units, by: half) {
                body(scalar, row, unit)
                target += half
              }
            }
          }
        }
        /// Copies some scalars of [row][scalar] panels, in the order of `forEach`.
        func copy(_ scalars: Range<Int>, of panels: AlignedBuffer<E>, rows: Int, depth: Int) {
          forEach(scalars, rows: rows) { scalar, row, unit in
            let source = ((unit / width * rows + row) * depth + scalar) * width + unit % width
            target.update(from: panels.start + source, count: half)
          }
        }
        /// Copies [row][scalar] panels in 8 bits, and widens each number to 16 bits: a scalar then holds two.
        func widen(_ panels: AlignedBuffer<E>, rows: Int, depth: Int) {
          guard depth > 0 else { return }
          copy(0..<head, of: panels, rows: rows, depth: depth)
          forEach(0..<2 * (depth - head), rows: rows) { pair, row, unit in
            let panel = panels.start + ((unit / width * rows + row) * depth + head) * width
            let bytes = UnsafeRawPointer(panel) + 2 * (pair * width + unit % width)
            for index in 0..<2 * half {
              let number = Int16(bytes.load(fromByteOffset: index, as: Int8.self))
              UnsafeMutableRawPointer(target).storeBytes(of: number, toByteOffset: 2 * index, as: Int16.self)
            }
          }
        }
        copy(0..<1, of: bias, rows: program.biasedSlots, depth: 1)
        for (panels, depth) in [(weightIH, depth.input), (weightHH, depth.hidden)] {
          if widens {
            widen(panels, rows: program.gates, depth: depth)
          } else {
            copy(0..<depth, of: panels, rows: program.gates, depth: depth)
          }
        }
      }
    }
  }

  // MARK: - For backward

  /// Uᵀ [block of H][gate] panels of H
  func transposedHH(_ weightHH: UnsafePointer<E>, _ products: Products<E>) -> UnsafePointer<E> {
    transposed(transposedHH, weightHH, columns: hiddenSize, products) { $0 }
  }

  /// Wᵀ [block of C][gate] panels of H. Its gates are in the order of the slots, as those of the packed gradients.
  func transposedIH(_ weightIH: UnsafePointer<E>, _ products: Products<E>) -> UnsafePointer<E> {
    transposed(transposedIH, weightIH, columns: inputSize, products) { program.inputGates[$0] }
  }

  private func transposed(
    _ panels: LazyPanels<E>, _ weights: UnsafePointer<E>, columns: Int, _ products: Products<E>,
    gate: (_ position: Int) -> Int
  ) -> UnsafePointer<E> {
    let gates = program.gates, panel = products.unitScalars(hiddenSize) * products.width
    return panels.start(count: products.panels(columns) * gates * panel) { panels in
      for position in 0..<gates {
        products.packWeights(
          weights + gate(position) * hiddenSize * columns, units: columns, unitStride: 1, depth: hiddenSize,
          depthStride: columns, panelStride: gates * panel, into: panels + position * panel)
      }
    }
  }
}
