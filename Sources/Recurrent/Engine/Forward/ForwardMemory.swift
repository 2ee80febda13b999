import CRecurrentKernels

/// One part's forward call; every pointer has been checked.
struct PartForward<E: Element>: BitwiseCopyable {
  let walk: Walk
  let x: Rows<E>  // of C, read
  let y: MutableRows<E>  // of H, overwritten; with a record its own
  let h0: UnsafePointer<E>  // [N,H]
  let c0: UnsafePointer<E>?  // [N,H], of an LSTM
  let hn: UnsafeMutablePointer<E>  // [N,H], overwritten; may be h0
  let cn: UnsafeMutablePointer<E>?  // [N,H], overwritten; may be c0
  let record: PartRecord<E>.Place?

  var plan: RowPlan { walk.plan }
}

/// The memory of a forward call.
struct ForwardMemory<E: Element>: BitwiseCopyable {
  let slots: UnsafeMutablePointer<E>
  let layout: SlotLayout
  /// Whether the slot behind the cell's own takes c'.
  let keepsC: Bool
  /// A chunk's rows of x one after the other; nil if they lie so already.
  let xRows: UnsafeMutablePointer<E>?
  /// A chunk's rows of x in tiles; nil if products read them where they are.
  let xTiles: UnsafeMutablePointer<E>?
  /// h by row of a ragged plan, read by even and by odd steps; nil if y itself is read.
  let hRows: (even: UnsafeMutablePointer<E>, odd: UnsafeMutablePointer<E>)?
  /// h in tiles, read by even and by odd steps: while a step reads one, the other is filled.
  let hTiles: (even: UnsafeMutablePointer<E>, odd: UnsafeMutablePointer<E>)?
  /// The tiles of a slot that U is multiplied by; nil if the cell has no such stage.
  let operandTiles: UnsafeMutablePointer<E>?
  /// [unit block][cRows][P]
  let c: UnsafeMutablePointer<E>?
  let cRows: Int
  /// Steps before this call: every other one walks over the weights downwards.
  var turns: Int
  /// Whether a step's weights come from far.
  let farHH: Bool

  /// Whether a step leaves h in more places than y.
  var copiesH: Bool { hRows != nil || hTiles != nil }
  func packedH(forStep index: Int) -> UnsafeMutablePointer<E>? { index & 1 == 0 ? hTiles?.even : hTiles?.odd }
}

extension Engine {
  /// Without a record, the slots are those of a chunk; with one, they are the record's own rows.
  func prepareForward(_ call: PartForward<E>, _ scratch: Scratch<E>) -> ForwardMemory<E> {
    let n = call.plan.batchSize, width = products.width, chunkRows = chunkRows(call.plan)
    let chunkLayout = SlotLayout(
      PartLayout(blocks: blocks, slots: program.slots, width: width), rows: chunkRows, bytes: MemoryLayout<E>.stride)
    let isEven = call.x.layout.isEven(call.plan), isRagged = call.plan.isRagged
    let readsSlot = stages.contains { $0.product?.operandSlot != nil }
    let memory = scratch.carve { arena in
      ForwardMemory<E>(
        slots: call.record?.slots ?? arena.take(chunkLayout.count),
        layout: call.record?.layout ?? chunkLayout,
        keepsC: call.record != nil,
        xRows: isEven ? nil : arena.take(chunkRows * inputSize),
        xTiles: packsRows(chunkRows, depth: inputSize) ? arena.take(chunkRows * inputSize) : nil,
        hRows: isRagged ? (arena.take(n * hiddenSize), arena.take(n * hiddenSize)) : nil,
        hTiles: packsRows(n, depth: hiddenSize)
          ? (arena.take(n * hiddenSize), arena.take(n * hiddenSize)) : nil,
        operandTiles: readsSlot ? arena.take(n * hiddenSize) : nil,
        c: program.innerStates > 0 ? arena.take(blocks * n * width) : nil, cRows: n,
        turns: scratch.turns,
        farHH: products.isFar(blocks * program.gates * hiddenSize * width))
    }
    scratch.turns += call.plan.steps
    return memory
  }
}
