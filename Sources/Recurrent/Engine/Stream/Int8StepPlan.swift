import CRecurrentKernels

/// A step of few sequences with weights in 8 bits, whose kernels' operands are prepared once: what `StepPlan` is for
/// full weights. h alternates between two buffers of each level.
package final class Int8StepPlan<E: Element> {
  /// The operands of one block in one stage. A stage without a product has a product of no panels.
  private struct Operands: BitwiseCopyable {
    var hidden: int8_product
    var gates: gate_tile
  }
  /// The operands of one block before its first stage, which starts from b + W x.
  private struct Input: BitwiseCopyable {
    var product: int8_product
    let slots: UnsafeMutablePointer<E>
    let bias: UnsafePointer<E>
  }
  /// One level in even or in odd steps.
  private struct Level: BitwiseCopyable {
    let engine: Unmanaged<Engine<E>>
    let slotStride: Int
    let xTile: UnsafeMutablePointer<E>
    let operandTile: UnsafeMutablePointer<E>?
    /// The rows of x.
    var x: int8_rows
    /// The rows that the product of each stage multiplies, [stage].
    let rows: UnsafeMutablePointer<int8_rows>
    /// [block]
    let inputs: UnsafeMutablePointer<Input>
    /// [stage][block]
    let stages: UnsafeMutablePointer<Operands>
  }

  private let rows: Int
  private let hiddenSize: Int
  /// [even and odd steps][level]
  private let levels: UnsafeMutableBufferPointer<Level>
  private let states: UnsafeMutableBufferPointer<HiddenState<E>>
  @exclusivity(unchecked) private var isDownwards = false

  /// - Parameters:
  ///   - engines: one for each level.
  ///   - states: the h of each level, [rows][H].
  ///   - rows: at most those of one row tile.
  init(
    _ engines: [Engine<E>], _ memories: [ForwardMemory<E>], _ states: UnsafeMutableBufferPointer<HiddenState<E>>,
    rows: Int
  ) {
    self.rows = rows
    self.states = states
    hiddenSize = engines[0].hiddenSize
    levels = .allocate(capacity: 2 * engines.count)
    for isOdd in [false, true] {
      for (index, engine) in engines.enumerated() {
        // The first level gets its x with each step.
        let x = index == 0 ? states[0].now(isOdd) : states[index - 1].next(isOdd)
        levels.initializeElement(
          at: (isOdd ? engines.count : 0) + index,
          to: Int8StepPlan.level(engine, memories[index], states[index], isOdd: isOdd, x: x, rows: rows))
      }
    }
  }

  deinit {
    for level in levels {
      level.rows.deallocate()
      level.inputs.deallocate()
      level.stages.deallocate()
    }
    levels.deallocate()
  }

  private static func level(
    _ engine: Engine<E>, _ memory: ForwardMemory<E>, _ state: HiddenState<E>, isOdd: Bool,
    x: UnsafeMutablePointer<E>, rows: Int
  ) -> Level {
    let size = engine.hiddenSize, program = engine.program, width = engine.products.width, blocks = engine.blocks
    let slotStride = memory.layout.slotStride, blockStride = memory.layout.blockStride, stages = engine.stages
    let step = Engine<E>.StepRows(
      count: rows, firstRow: 0, previous: Engine.PreviousH(start: state.now(isOdd), stride: size, tiles: nil),
      h: Engine.NextH(start: state.next(isOdd), stride: size, tiles: nil))
    func product(
      _ tile: UnsafeMutablePointer<E>, _ weights: AlignedBuffer<E>, depth: Int, _ gates: Range<Int>, block: Int,
      slot: Int
    ) -> int8_product {
      let panelStride = engine.products.unitScalars(depth) * width
      return int8_product(
        rows: tile, row_count: rows,
        panels: weights.start + (block * program.gates + gates.lowerBound) * panelStride, panel_count: gates.count,
        panel_stride: panelStride, panel_width: width, k: depth,
        c: floats(memory.slots + (block * blockStride + slot * slotStride)), c_panel_stride: slotStride,
        c_row_stride: width)
    }
    let inputs = UnsafeMutablePointer<Input>.allocate(capacity: blocks)
    let operands = UnsafeMutablePointer<Operands>.allocate(capacity: blocks * stages.count)
    let stageRows = UnsafeMutablePointer<int8_rows>.allocate(capacity: stages.count)
    for block in 0..<blocks {
      (inputs + block).initialize(
        to: Input(
          product: product(
            memory.xTiles!, engine.packed.weightIH, depth: engine.inputSize, 0..<program.gates, block: block, slot: 0),
          slots: memory.slots + block * blockStride,
          bias: UnsafePointer(engine.packed.bias.start + block * program.biasedSlots * width)))
    }
    for (index, stage) in stages.enumerated() {
      let slot = stage.product?.operandSlot
      (stageRows + index).initialize(
        to: int8_rows(
          source: floats(slot.map { memory.slots + $0 * slotStride } ?? state.now(isOdd)), row_count: rows,
          row_stride: slot == nil ? size : width, k: size, piece: slot == nil ? size : width,
          piece_stride: slot == nil ? 0 : blockStride))
      for block in 0..<blocks {
        (operands + (index * blocks + block)).initialize(
          to: Operands(
            hidden: product(
              memory.operandTiles ?? memory.xTiles!, engine.packed.weightHH, depth: size,
              stage.product?.gates ?? 0..<0, block: block, slot: stage.product?.firstSlot ?? 0),
            gates: engine.gateTile(step, memory, block, 0, rows)))
      }
    }
    return Level(
      engine: .passUnretained(engine), slotStride: slotStride, xTile: memory.xTiles!,
      operandTile: memory.operandTiles,
      x: int8_rows(
        source: floats(x), row_count: rows, row_stride: engine.inputSize, k: engine.inputSize,
        piece: engine.inputSize, piece_stride: 0),
      rows: stageRows, inputs: inputs, stages: operands)
  }

  private static func floats(_ start: UnsafeMutablePointer<E>) -> UnsafeMutablePointer<Float> {
    UnsafeMutableRawPointer(start).assumingMemoryBound(to: Float.self)
  }

  /// One step: x [rows][C], y [rows][H].
  @inline(__always)
  package func run(_ x: UnsafePointer<E>, isOdd: Bool, into y: UnsafeMutablePointer<E>) {
    let count = states.count, first = levels.baseAddress! + (isOdd ? count : 0)
    first.pointee.x.source = UnsafeRawPointer(x).assumingMemoryBound(to: Float.self)
    for index in 0..<count { run(first + index) }
    y.update(from: states[count - 1].next(isOdd), count: rows * hiddenSize)
    isDownwards.toggle()
  }

  @inline(__always)
  private func run(_ level: UnsafeMutablePointer<Level>) {
    level.pointee.engine._withUnsafeGuaranteedRef { engine in
      guard let kernels = engine.products.int8 else { return }
      let stages = engine.stages, blocks = engine.blocks
      kernels.pointee.quantize_rows(&level.pointee.x, level.pointee.xTile)
      for stage in 0..<stages.count {
        let operands = level.pointee.stages + stage * blocks
        if stages[stage].product != nil, let tile = level.pointee.operandTile {
          kernels.pointee.quantize_rows(level.pointee.rows + stage, tile)
        }
        // Steps visit the blocks upwards and downwards in turn: the weights that a step used last are still in a near
        // cache when the next step begins.
        for index in 0..<blocks {
          let block = isDownwards ? blocks - 1 - index : index
          if stage == 0 {
            let input = level.pointee.inputs + block
            fill_rows(
              engine.products.kernels, input.pointee.slots, level.pointee.slotStride, engine.program.biasedSlots,
              input.pointee.bias, rows)
            kernels.pointee.product(&input.pointee.product)
          }
          kernels.pointee.product(&operands[block].hidden)
          stages[stage].pass.forward(&operands[block].gates)
        }
      }
    }
  }
}
