import CRecurrentKernels

/// The stages of one level's step of few rows with weights in 8 bits, with their operands, in even or in odd steps. The
/// rows are quantized into one row tile.
struct Int8Stages<E: Element>: BitwiseCopyable {
  /// The operands of one block in one stage. A stage without a product has a product of no panels.
  private struct Operands: BitwiseCopyable {
    var hidden: int8_product
    var gates: gate_tile
  }
  /// The operands of one block before the first stage, which starts from b + W x.
  private struct Input: BitwiseCopyable {
    var product: int8_product
    let slots: UnsafeMutablePointer<E>
    let bias: UnsafePointer<E>
  }

  private let engine: Unmanaged<Engine<E>>
  private let slotStride: Int
  private let xTile: UnsafeMutablePointer<E>
  private let operandTile: UnsafeMutablePointer<E>?
  private let rowCount: Int
  /// The rows of x, then those that the product of each stage multiplies, [1 + stage].
  private let rows: UnsafeMutablePointer<int8_rows>
  /// [block]
  private let inputs: UnsafeMutablePointer<Input>
  /// [stage][block]
  private let stages: UnsafeMutablePointer<Operands>

  /// - Parameters:
  ///   - count: at most the rows of a row tile.
  ///   - x: [rows][C]
  ///   - previousH: [rows][H]
  ///   - h: [rows][H], overwritten.
  init(
    _ engine: Engine<E>, _ memory: ForwardMemory<E>, rows count: Int, x: UnsafePointer<E>,
    previousH: UnsafePointer<E>, h: UnsafeMutablePointer<E>
  ) {
    let inputSize = engine.inputSize, size = engine.hiddenSize, width = engine.products.width, blocks = engine.blocks
    let layout = memory.layout, gates = engine.program.gates, biased = engine.program.biasedSlots
    let xTile = memory.xTiles!
    func product(
      _ tile: UnsafeMutablePointer<E>, _ weights: AlignedBuffer<E>, depth: Int, _ some: Range<Int>, _ block: Int,
      slot: Int
    ) -> int8_product {
      let panelStride = engine.products.unitScalars(depth) * width
      return int8_product(
        rows: tile, row_count: count, panels: weights.start + (block * gates + some.lowerBound) * panelStride,
        panel_count: some.count, panel_stride: panelStride, panel_width: width, k: depth,
        c: UnsafeMutableRawPointer(memory.slots + (block * layout.blockStride + slot * layout.slotStride))
          .assumingMemoryBound(to: Float.self),
        c_panel_stride: layout.slotStride, c_row_stride: width)
    }
    let step = Engine<E>.StepRows(
      count: count, firstRow: 0, previous: Engine.PreviousH(start: previousH, stride: size, tiles: nil),
      h: Engine.NextH(start: h, stride: size, tiles: nil))
    self.engine = .passUnretained(engine)
    slotStride = layout.slotStride
    self.xTile = xTile
    operandTile = memory.operandTiles
    rowCount = count
    rows = .allocate(capacity: 1 + engine.stages.count)
    inputs = .allocate(capacity: blocks)
    stages = .allocate(capacity: engine.stages.count * blocks)
    rows.initialize(
      to: int8_rows(
        source: Int8Stages.floats(x), row_count: count, row_stride: inputSize, k: inputSize, piece: inputSize,
        piece_stride: 0))
    for block in 0..<blocks {
      (inputs + block).initialize(
        to: Input(
          product: product(xTile, engine.packed.weightIH, depth: inputSize, 0..<gates, block, slot: 0),
          slots: memory.slots + block * layout.blockStride,
          bias: UnsafePointer(engine.packed.bias.start + block * biased * width)))
    }
    for (index, stage) in engine.stages.enumerated() {
      let slot = stage.product?.operandSlot
      (rows + (1 + index)).initialize(
        to: int8_rows(
          source: Int8Stages.floats(slot.map { UnsafePointer(memory.slots + $0 * layout.slotStride) } ?? previousH),
          row_count: count, row_stride: slot == nil ? size : width, k: size, piece: slot == nil ? size : width,
          piece_stride: slot == nil ? 0 : layout.blockStride))
      for block in 0..<blocks {
        (stages + (index * blocks + block)).initialize(
          to: Operands(
            hidden: product(
              operandTile ?? xTile, engine.packed.weightHH, depth: size, stage.product?.gates ?? 0..<0, block,
              slot: stage.product?.firstSlot ?? 0),
            gates: engine.gateTile(step, memory, block, 0, count)))
      }
    }
  }

  func deallocate() {
    rows.deallocate()
    inputs.deallocate()
    stages.deallocate()
  }

  @inline(__always)
  private static func floats(_ start: UnsafePointer<E>) -> UnsafePointer<Float> {
    UnsafeRawPointer(start).assumingMemoryBound(to: Float.self)
  }

  /// Sets the x [rows][C] that the next step reads.
  @inline(__always)
  func setX(_ x: UnsafePointer<E>) { rows.pointee.source = Int8Stages.floats(x) }

  @inline(__always)
  func run(downwards: Bool) {
    engine._withUnsafeGuaranteedRef { engine in
      guard let kernels = engine.products.int8 else { return }
      let blocks = engine.blocks
      kernels.pointee.quantize_rows(rows, xTile)
      for index in 0..<engine.stages.count {
        let stage = engine.stages[index], operands = stages + index * blocks
        if stage.product != nil, let operandTile { kernels.pointee.quantize_rows(rows + (1 + index), operandTile) }
        engine.forEachBlock(0..<blocks, downwards: downwards) { block, _ in
          if index == 0 {
            let input = inputs + block
            fill_rows(
              engine.products.kernels, input.pointee.slots, slotStride, engine.program.biasedSlots, input.pointee.bias,
              rowCount)
            kernels.pointee.product(&input.pointee.product)
          }
          kernels.pointee.product(&operands[block].hidden)
          stage.pass.forward(&operands[block].gates)
        }
      }
    }
  }
}
