import CRecurrentKernels

/// The stages of one level's step of few rows with their operands, in even or in odd steps. The sums pass through the
/// level's gate slots.
struct SlotStages<E: Element>: BitwiseCopyable {
  /// The operands of one block before the first stage, which starts from b + W x.
  private struct Input: BitwiseCopyable {
    var product: product
    let slots: UnsafeMutablePointer<E>
    let bias: UnsafePointer<E>
  }

  private let engine: Unmanaged<Engine<E>>
  private let rows: Engine<E>.StepRows
  private let memory: ForwardMemory<E>
  /// [block]
  private let inputs: UnsafeMutablePointer<Input>
  /// [stage][block]
  private let stages: UnsafeMutablePointer<StepOperands>
  /// With weights in 8 bits: the rows of x, then those that the product of each stage multiplies, [1 + stage].
  private let int8Rows: UnsafeMutablePointer<int8_rows>?

  /// - Parameters:
  ///   - count: at most the rows of a row tile.
  ///   - x: [rows][C]
  ///   - previousH: [rows][H]
  ///   - h: [rows][H], overwritten.
  init(
    _ engine: Engine<E>, _ memory: ForwardMemory<E>, rows count: Int, x: UnsafePointer<E>,
    previousH: UnsafePointer<E>, h: UnsafeMutablePointer<E>
  ) {
    let inputSize = engine.inputSize, size = engine.hiddenSize, blocks = engine.blocks, layout = memory.layout
    let biasStride = engine.program.biasedSlots * engine.products.width
    self.engine = .passUnretained(engine)
    self.memory = memory
    rows = Engine<E>.StepRows(
      count: count, firstRow: 0, previous: Engine.PreviousH(start: previousH, stride: size, tiles: nil),
      h: Engine.NextH(start: h, stride: size, tiles: nil))
    inputs = .allocate(capacity: blocks)
    stages = .allocate(capacity: engine.stages.count * blocks)
    let isPacked = engine.products.quantizes
    for block in 0..<blocks {
      (inputs + block).initialize(
        to: Input(
          product: engine.operands(
            isPacked ? UnsafePointer(memory.xTiles!) : x, isPacked ? 1 : inputSize, rows, depth: inputSize,
            engine.packed.weightIH, 0..<engine.program.gates, memory, block, slot: 0),
          slots: memory.slots + block * layout.blockStride,
          bias: UnsafePointer(engine.packed.bias.start + block * biasStride)))
      for (index, stage) in engine.stages.enumerated() {
        (stages + (index * blocks + block)).initialize(to: engine.stepOperands(stage, rows, memory, block))
      }
    }
    guard isPacked else {
      int8Rows = nil
      return
    }
    let int8Rows = UnsafeMutablePointer<int8_rows>.allocate(capacity: 1 + engine.stages.count)
    int8Rows.initialize(to: engine.products.int8Rows(x, count: count, stride: inputSize, depth: inputSize))
    for (index, stage) in engine.stages.enumerated() {
      (int8Rows + (1 + index)).initialize(to: engine.int8Operand(of: stage.product, rows, memory))
    }
    self.int8Rows = int8Rows
  }

  func deallocate() {
    inputs.deallocate()
    stages.deallocate()
    int8Rows?.deallocate()
  }

  /// Sets the x [rows][C] that the next step reads.
  @inline(__always)
  func setX(_ x: UnsafePointer<E>) {
    engine._withUnsafeGuaranteedRef { engine in
      if let int8Rows {
        int8Rows.pointee.source = Products.floats(x)
      } else {
        for block in 0..<engine.blocks { inputs[block].product.rows = UnsafeRawPointer(x) }
      }
    }
  }

  @inline(__always)
  func run(downwards: Bool) {
    engine._withUnsafeGuaranteedRef { engine in
      let blocks = engine.blocks
      if let int8 = engine.products.int8, let int8Rows, let tiles = memory.xTiles {
        int8.pointee.quantize_rows(int8Rows, tiles)
      }
      for index in 0..<engine.stages.count {
        let stage = engine.stages[index], operands = stages + index * blocks
        if let int8 = engine.products.int8, let int8Rows {
          if stage.product != nil, let tiles = memory.operandTiles {
            int8.pointee.quantize_rows(int8Rows + (1 + index), tiles)
          }
        } else {
          _ = engine.packOperand(of: stage.product, rows, memory, 0..<blocks)
        }
        engine.forEachBlock(0..<blocks, downwards: downwards) { block, _ in
          if index == 0 {
            let input = inputs + block
            fill_rows(
              engine.products.kernels, input.pointee.slots, memory.layout.slotStride, engine.program.biasedSlots,
              input.pointee.bias, rows.count)
            engine.products.run(&input.pointee.product)
          }
          engine.run(stage, operands + block)
        }
      }
    }
  }
}
