import CRecurrentKernels

/// The stages of one level's step of few rows with their operands, in even or in odd steps. The sums pass through the
/// level's gate slots.
struct SlotStages<E: Element>: BitwiseCopyable {
  /// The operands of one block in the first stage, which starts from b + W x.
  private struct FirstOperands: BitwiseCopyable {
    var input: product
    var call: StepOperands
    let slots: UnsafeMutablePointer<E>
    let bias: UnsafePointer<E>
  }

  private let engine: Unmanaged<Engine<E>>
  private let rows: Engine<E>.StepRows
  private let memory: ForwardMemory<E>
  /// [block]
  private let first: UnsafeMutablePointer<FirstOperands>
  /// [stage after the first][block]
  private let later: UnsafeMutablePointer<StepOperands>

  /// - Parameters:
  ///   - x: [rows][C]
  ///   - previousH: [rows][H]
  ///   - h: [rows][H], overwritten.
  init(
    _ engine: Engine<E>, _ memory: ForwardMemory<E>, rows count: Int, x: UnsafePointer<E>,
    previousH: UnsafePointer<E>, h: UnsafeMutablePointer<E>
  ) {
    let size = engine.hiddenSize, biasStride = engine.program.biasedSlots * engine.products.width
    self.engine = .passUnretained(engine)
    self.memory = memory
    rows = Engine<E>.StepRows(
      count: count, firstRow: 0, previous: Engine.PreviousH(start: previousH, stride: size, tiles: nil),
      h: Engine.NextH(start: h, stride: size, tiles: nil))
    first = .allocate(capacity: engine.blocks)
    later = .allocate(capacity: engine.blocks * (engine.stages.count - 1))
    for block in 0..<engine.blocks {
      (first + block).initialize(
        to: FirstOperands(
          input: engine.operands(
            x, engine.inputSize, rows, depth: engine.inputSize, engine.packed.weightIH, 0..<engine.program.gates,
            memory, block, slot: 0),
          call: engine.stepOperands(engine.stages[0], rows, memory, block),
          slots: memory.slots + block * memory.layout.blockStride,
          bias: UnsafePointer(engine.packed.bias.start + block * biasStride)))
      for stage in 1..<engine.stages.count {
        (later + ((stage - 1) * engine.blocks + block)).initialize(
          to: engine.stepOperands(engine.stages[stage], rows, memory, block))
      }
    }
  }

  func deallocate() {
    first.deallocate()
    later.deallocate()
  }

  /// Sets the x [rows][C] that the next step reads.
  @inline(__always)
  func setX(_ x: UnsafePointer<E>) {
    engine._withUnsafeGuaranteedRef { engine in
      for block in 0..<engine.blocks { first[block].input.rows = UnsafeRawPointer(x) }
    }
  }

  @inline(__always)
  func run(downwards: Bool) {
    engine._withUnsafeGuaranteedRef { engine in
      let stages = engine.stages, blocks = engine.blocks, kernels = engine.products.kernels
      engine.forEachBlock(0..<blocks, downwards: downwards) { block, _ in
        let call = first + block
        fill_rows(
          kernels, call.pointee.slots, memory.layout.slotStride, engine.program.biasedSlots, call.pointee.bias,
          rows.count)
        product_run_own(kernels, &call.pointee.input)
        engine.run(stages[0], &call.pointee.call)
      }
      for stage in 1..<stages.count {
        _ = engine.packOperand(of: stages[stage].product, rows, memory, 0..<blocks)
        let calls = later + (stage - 1) * blocks
        engine.forEachBlock(0..<blocks, downwards: downwards) { block, _ in engine.run(stages[stage], calls + block) }
      }
    }
  }
}
