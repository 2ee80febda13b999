import CRecurrentKernels

/// The forward call of one part. Every pointer has been checked.
struct PartForward<E: Element>: BitwiseCopyable {
  let walk: Walk
  let x: Rows<E>  // of C, read
  let y: MutableRows<E>  // of H, overwritten; if there is a record, the record's own
  let h0: UnsafePointer<E>  // [N,H]
  let c0: UnsafePointer<E>?  // [N,H]; nil if the cell has no c
  let hn: UnsafeMutablePointer<E>  // [N,H], overwritten; may be the same memory as h0
  let cn: UnsafeMutablePointer<E>?  // [N,H], overwritten; may be the same memory as c0
  let record: PartRecord<E>.Place?

  var plan: RowPlan { walk.plan }
}

/// The memory of a forward call.
struct ForwardMemory<E: Element>: BitwiseCopyable {
  let slots: UnsafeMutablePointer<E>
  let layout: SlotLayout
  /// Whether c' is kept in a slot after the cell's own.
  let keepsC: Bool
  /// The rows of x of a chunk, next to each other; nil if x itself lies at equal distances.
  let xRows: UnsafeMutablePointer<E>?
  /// The rows of x of a chunk, packed into tiles; nil if products read plain rows.
  let xTiles: UnsafeMutablePointer<E>?
  /// h by row, one buffer that even steps read and one that odd steps read, if the plan is ragged or the steps run in
  /// registers; nil if steps read y.
  let hRows: (even: UnsafeMutablePointer<E>, odd: UnsafeMutablePointer<E>)?
  /// h in tiles, one buffer that even steps read and one that odd steps read. While a step reads one buffer, it fills
  /// the other.
  let hTiles: (even: UnsafeMutablePointer<E>, odd: UnsafeMutablePointer<E>)?
  /// The tiles of a slot that is the operand of a product with U, and those of h' if it is rounded; nil if the cell has
  /// no such stage.
  let operandTiles: UnsafeMutablePointer<E>?
  /// [unit block][cRows][P]
  let c: UnsafeMutablePointer<E>?
  let cRows: Int
  /// What a stage in registers leaves for the next one.
  let between: BetweenStages<E>
  /// The weights of steps in registers, and room for the plans of an even and an odd step; nil if the steps run in
  /// slots.
  let registers: (weights: UnsafePointer<E>, even: StepPlan.Room, odd: StepPlan.Room)?
  /// The number of steps before this call. Every second step visits the blocks downwards.
  var turns: Int
  /// Whether a step's weights come from far caches.
  let farHH: Bool

  /// Whether a step must copy h from where it wrote it.
  var copiesH: Bool { hRows != nil || hTiles != nil }
  func packedH(forStep index: Int) -> UnsafeMutablePointer<E>? { index & 1 == 0 ? hTiles?.even : hTiles?.odd }
}

extension Engine {
  /// If there is a record, the slots are the record's. Otherwise the scratch has slots for the rows of one chunk.
  func prepareForward(_ call: PartForward<E>, _ scratch: Scratch<E>) -> ForwardMemory<E> {
    let n = call.plan.batchSize, width = products.width, chunkRows = chunkRows(call.plan)
    let chunkLayout = SlotLayout(
      PartLayout(blocks: blocks, slots: program.slots, width: width), rows: chunkRows, bytes: MemoryLayout<E>.stride)
    let isEven = call.x.layout.isEven(call.plan), isRagged = call.plan.isRagged
    let runsInRegisters = call.record == nil && !isRagged && forwardRunsInRegisters(rows: n)
    let betweenCount = n == 1 && stages.count > 1 ? hiddenSize : 0
    let memory = scratch.carve { arena in
      ForwardMemory<E>(
        slots: call.record?.slots ?? arena.take(chunkLayout.count),
        layout: call.record?.layout ?? chunkLayout,
        keepsC: call.record != nil,
        xRows: isEven ? nil : arena.take(chunkRows * inputSize),
        xTiles: packsRows(chunkRows, depth: inputSize) ? arena.take(chunkRows * products.rowScalars(inputSize)) : nil,
        hRows: isRagged || runsInRegisters ? (arena.take(n * hiddenSize), arena.take(n * hiddenSize)) : nil,
        hTiles: packsH(n)
          ? (arena.take(n * hiddenSize), arena.take(n * hiddenSize)) : nil,
        operandTiles: packsOperands ? arena.take(n * products.rowScalars(hiddenSize)) : nil,
        c: program.hasCellState ? arena.take(blocks * n * width) : nil, cRows: n,
        between: BetweenStages(kept: arena.take(betweenCount), operand: arena.take(betweenCount)),
        registers: runsInRegisters ? (packed.stepWeights(products), takePlan(&arena), takePlan(&arena)) : nil,
        turns: scratch.turns,
        farHH: products.isFar(blocks * program.gates * hiddenSize * width))
    }
    scratch.turns += call.plan.steps
    return memory
  }

  @inline(__always)
  private func takePlan(_ arena: inout Arena<E>) -> StepPlan.Room {
    StepPlan.Room(calls: take(stepCalls, from: &arena), roundings: take(stepRoundings, from: &arena))
  }

  @inline(__always)
  private func take<Part>(_ count: Int, from arena: inout Arena<E>) -> UnsafeMutablePointer<Part> {
    let bytes = count * MemoryLayout<Part>.stride
    return UnsafeMutableRawPointer(arena.take(bytes / MemoryLayout<E>.stride)).bindMemory(
      to: Part.self, capacity: count)
  }
}
