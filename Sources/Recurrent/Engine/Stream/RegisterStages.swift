import CRecurrentKernels

/// The stages of one level's step in registers with their operands, in even or in odd steps.
struct RegisterStages<E: Element>: BitwiseCopyable {
  private struct Stage: BitwiseCopyable {
    let run: StepFunction
    var operands: register_step
  }
  private let stages: UnsafeMutableBufferPointer<Stage>

  /// - Parameters:
  ///   - x: [C]
  ///   - previousH: [H], like `h` with room for a vector after the last unit.
  ///   - h: [H], overwritten.
  ///   - c: [block][P]; nil if the cell has no c.
  ///   - between: the memory for what a stage leaves for the next one.
  init(
    _ engine: Engine<E>, x: UnsafePointer<E>, previousH: UnsafePointer<E>, h: UnsafeMutablePointer<E>,
    c: UnsafeMutablePointer<E>?, between: BetweenStages<E>
  ) {
    let packed = engine.packed, program = engine.program
    stages = .allocate(capacity: engine.stages.count)
    for (index, stage) in engine.stages.enumerated() {
      let readsSlot = stage.product?.operandSlot != nil
      stages.initializeElement(
        at: index,
        to: Stage(
          run: stage.pass.step(panelBytes: engine.products.width * MemoryLayout<E>.stride),
          operands: register_step(
            x: x, operand: readsSlot ? UnsafePointer(between.operand.start) : previousH,
            weight_ih: packed.weightIH.start, weight_hh: packed.weightHH.start, bias: packed.bias.start,
            vectors: packed.vectors.start, previous_h: previousH, h: h, c: c ?? between.kept.start,
            kept: between.kept.start, next_operand: between.operand.start, input_size: engine.inputSize,
            hidden_size: engine.hiddenSize, width: engine.products.width, gates: program.gates,
            biased_slots: program.biasedSlots, downwards: false)))
    }
  }

  func deallocate() { stages.deallocate() }

  /// Sets the x [C] that the next step reads.
  @inline(__always)
  func setX(_ x: UnsafePointer<E>) {
    for index in stages.indices { stages[index].operands.x = UnsafeRawPointer(x) }
  }

  @inline(__always)
  func run(downwards: Bool) {
    for index in stages.indices {
      stages[index].operands.downwards = downwards
      stages[index].run(&stages[index].operands)
    }
  }
}

/// The memory for what a stage in registers leaves for the next one, two matrices [H].
struct BetweenStages<E: Element> {
  let kept: AlignedBuffer<E>
  let operand: AlignedBuffer<E>

  init(_ engine: Engine<E>) {
    let count = engine.stages.count == 1 ? 0 : engine.hiddenSize
    kept = AlignedBuffer(count: count)
    operand = AlignedBuffer(count: count)
  }
}

extension Engine {
  /// Whether a step of so many rows runs in registers. Each of its sums must be a single chain, and there must be one
  /// row: each row would read all weights anew (LSTM, H 16 and 64: 2 rows take 1.2 and 1.6 times the time, 4 rows 1.4 and
  /// 2.1 times).
  func fitsRegisters(rows: Int) -> Bool { rows == 1 && max(inputSize, hiddenSize) <= Int(PRODUCT_K_BLOCK) }
}
