import CRecurrentKernels

/// One part's forward call; every pointer has been checked.
struct PartForward: BitwiseCopyable {
  let plan: RowPlan
  let reversed: Bool
  let x: RowPlace  // of C, read
  let y: RowPlace  // of H, overwritten; with a record its own
  let h0: Floats  // [N,H]
  let c0: Floats?  // [N,H], of an LSTM
  let hn: MutableFloats  // [N,H], overwritten; may be h0
  let cn: MutableFloats?  // [N,H], overwritten; may be c0
  let record: PartRecord.Place?

  /// The step at a place of the walk.
  func step(_ index: Int) -> Int { reversed ? plan.steps - 1 - index : index }
}

extension FloatEngine {
  /// Per chunk of steps: slots = b + W x for all its rows, then step by step slots += U h' and the gates. With a record
  /// the slots are the record's own rows, without one those of a chunk.
  func prepareForward(_ call: PartForward, _ scratch: Scratch<Float>) -> ForwardMemory {
    let n = call.plan.batchSize, width = products.width, chunkRows = chunkRows(call.plan)
    let chunkLayout = SlotLayout(blocks: blocks, slots: cell.slots, rows: chunkRows, width: width)
    let isEven = call.x.isEven(call.plan), isRagged = call.plan.isRagged
    let memory = scratch.carve { arena in
      ForwardMemory(
        slots: call.record?.slots ?? arena.take(chunkLayout.count),
        layout: call.record?.layout ?? chunkLayout,
        keepsC: call.record != nil,
        xRows: isEven ? nil : arena.take(chunkRows * inputSize),
        xTiles: packsRows(chunkRows, depth: inputSize) ? arena.take(chunkRows * inputSize) : nil,
        hRows: isRagged ? (arena.take(n * hiddenSize), arena.take(n * hiddenSize)) : nil,
        hTiles: packsRows(n, depth: hiddenSize)
          ? (arena.take(n * hiddenSize), arena.take(n * hiddenSize)) : nil,
        rhTiles: cell.resetsBefore ? arena.take(n * hiddenSize) : nil,
        c: cell.hasCellState ? arena.take(blocks * n * width) : nil, cRows: n,
        turns: scratch.turns,
        farHH: products.isFar(blocks * cell.gates * hiddenSize * width))
    }
    scratch.turns += call.plan.steps
    return memory
  }

  /// One thread's part: its blocks of units. Between two barriers threads read what others wrote before the first alone.
  func forward(_ call: PartForward, _ memory: ForwardMemory, _ share: Share) {
    let own = share.part(of: blocks)
    if let c = memory.c { packState(call.c0, call.plan, own, into: c) }
    run(call, memory, share)
    if let cn = call.cn, let c = memory.c { copyState(ofPanels: c, call.plan, own, to: cn) }
  }

  /// The same with c where the memory has it, before and after.
  func run(_ call: PartForward, _ memory: ForwardMemory, _ share: Share) {
    let plan = call.plan, own = share.part(of: blocks)
    start(call, memory, own)
    var done = 0
    while done < plan.steps {
      let chunk = chunk(plan, done: done, reversed: call.reversed)
      let offset = plan.offset(chunk.lowerBound), firstRow = call.record == nil ? 0 : offset
      let rows = plan.offset(chunk.upperBound) - offset
      if rows > 0 { inputProduct(call, chunk, rows: rows, firstRow: firstRow, memory, share) }
      for index in done..<done + chunk.count {
        let t = call.step(index), count = plan.count(t)
        if count > 0 {
          let step = StepRows(
            count: count, firstRow: firstRow + plan.offset(t) - offset,
            previous: previousRows(call, memory, index), h: currentRows(call, memory, index))
          self.step(step, memory, turn: index, share)
        }
        if memory.copiesH || index + 1 == plan.steps { finish(call, memory, index, own, share) }
        share.barrier()
      }
      done += chunk.count
    }
  }

  // MARK: - Where h is

  /// Rows of h of a step, and where their products read them.
  struct HRows {
    let start: MutableFloats
    let stride: Int
    /// As row tiles, where a product reads tiles.
    let tiles: MutableFloats?
  }

  private func previousRows(_ call: PartForward, _ memory: ForwardMemory, _ index: Int) -> HRows {
    let tiles = memory.packedH(forStep: index)
    if let rows = memory.hRows {
      return HRows(start: index & 1 == 0 ? rows.even : rows.odd, stride: hiddenSize, tiles: tiles)
    }
    if index == 0 { return HRows(start: MutableFloats(mutating: call.h0), stride: hiddenSize, tiles: tiles) }
    return HRows(start: call.y.first(call.plan, call.step(index - 1)), stride: call.y.row, tiles: tiles)
  }

  private func currentRows(_ call: PartForward, _ memory: ForwardMemory, _ index: Int) -> HRows {
    let tiles = memory.packedH(forStep: index + 1)
    if let rows = memory.hRows {
      return HRows(start: index & 1 == 0 ? rows.odd : rows.even, stride: hiddenSize, tiles: tiles)
    }
    return HRows(start: call.y.first(call.plan, call.step(index)), stride: call.y.row, tiles: tiles)
  }

  /// What a thread's own units have to do before the first step.
  private func start(_ call: PartForward, _ memory: ForwardMemory, _ own: Range<Int>) {
    let plan = call.plan, units = units(own)
    if let record = call.record {
      // The record keeps the initial state before its rows, or behind them.
      let initial = record.y.base + (call.reversed ? plan.rowCount : -plan.batchSize) * record.y.row
      for r in 0..<plan.batchSize {
        (initial + r * record.y.row + units.lowerBound).update(
          from: call.h0 + plan.sequence(r) * hiddenSize + units.lowerBound, count: units.count)
      }
    }
    if let rows = memory.hRows {
      for r in 0..<plan.batchSize {
        (rows.even + r * hiddenSize + units.lowerBound).update(
          from: call.h0 + plan.sequence(r) * hiddenSize + units.lowerBound, count: units.count)
      }
      if !call.reversed { restart(call, memory, beforeStep: 0, plan.count(0), rows.even, own) }
    }
    packH(previousRows(call, memory, 0), rows: plan.count(call.step(0)), own)
  }

  /// What a thread's own units have to do after a step: h to where it belongs, the rows of the next step, its tiles.
  private func finish(
    _ call: PartForward, _ memory: ForwardMemory, _ index: Int, _ own: Range<Int>, _ share: Share
  ) {
    let plan = call.plan, t = call.step(index), count = plan.count(t), isLast = index + 1 == plan.steps
    let nextCount = isLast ? 0 : plan.count(call.step(index + 1))
    let h = currentRows(call, memory, index), units = units(own)
    func copy(_ r: Int, from source: Floats, to target: MutableFloats) {
      (target + units.lowerBound).update(from: source + units.lowerBound, count: units.count)
    }
    if memory.hRows != nil {
      for r in 0..<count { copy(r, from: Floats(h.start + r * h.stride), to: call.y.at(plan, t, r)) }
      for r in nextCount..<max(nextCount, count) {
        copy(r, from: Floats(h.start + r * h.stride), to: call.hn + plan.sequence(r) * hiddenSize)
      }
      for r in count..<max(nextCount, count) {
        copy(r, from: call.h0 + plan.sequence(r) * hiddenSize, to: h.start + r * h.stride)
      }
      // What flows into the next step of the walk passes the later of both.
      if !isLast { restart(call, memory, beforeStep: max(t, call.step(index + 1)), nextCount, h.start, own) }
    } else if isLast {
      share.barrier()  // hn may be h0, which a first step reads
      for r in 0..<count { copy(r, from: Floats(h.start + r * h.stride), to: call.hn + r * hiddenSize) }
    }
    if !isLast { packH(h, rows: nextCount, own) }
  }

  /// Zeroes the state of rows that nothing flows into between a step and the one before it.
  private func restart(
    _ call: PartForward, _ memory: ForwardMemory, beforeStep t: Int, _ count: Int, _ h: MutableFloats, _ own: Range<Int>
  ) {
    guard call.plan.hasResets else { return }
    let units = units(own), width = products.width
    for r in 0..<min(count, call.plan.count(t)) where call.plan.resets(t, r) {
      (h + r * hiddenSize + units.lowerBound).update(repeating: 0, count: units.count)
      guard let c = memory.c else { continue }
      for block in own { (c + (block * memory.cRows + r) * width).update(repeating: 0, count: width) }
    }
  }

  // MARK: - Products and gates

  /// slots[rows] = b + W x
  func inputProduct(
    _ call: PartForward, _ steps: Range<Int>, rows: Int, firstRow: Int, _ memory: ForwardMemory, _ share: Share
  ) {
    var x = call.x.first(call.plan, steps.lowerBound), stride = call.x.row
    if let gathered = memory.xRows {
      if share.index == 0 { call.x.gather(call.plan, steps, size: inputSize, to: gathered) }
      share.barrier()
      x = gathered
      stride = inputSize
    }
    inputProduct(Floats(x), stride: stride, rows: rows, firstRow: firstRow, memory, share)
  }

  /// slots[rows] = b + W x of rows that lie `stride` apart.
  func inputProduct(
    _ x: Floats, stride: Int, rows: Int, firstRow: Int, _ memory: ForwardMemory, _ share: Share
  ) {
    let gates = cell.gates, biased = cell.biasedSlots, width = products.width
    let slotStride = memory.layout.slotStride, panelStride = inputSize * width
    let tiles = products.tiles(rows)
    if let xTiles = memory.xTiles {
      products.packRows(x, tiles, share.part(of: tiles.count), stride: stride, depth: inputSize, into: xTiles)
    }
    share.barrier()
    let source = memory.xTiles.map { Floats($0) } ?? x
    let sourceStride = memory.xTiles == nil && rows > 1 ? stride : 1
    let own = share.part(of: blocks), far = products.isFar(own.count * gates * panelStride)
    for block in own {
      let slots = memory.slots + (block * memory.layout.blockStride + firstRow * width)
      let weights = packed.weightIH.start + block * gates * panelStride
      products.run(
        source, tiles, stride: sourceStride, depth: inputSize, weights, panelCount: gates, panelStride: panelStride,
        c: slots, cPanelStride: slotStride, cRowStride: width, add: true, far: far,
        next: block + 1 < own.upperBound ? Floats(weights + gates * panelStride) : nil,
        before: { row, count in
          fill_rows(
            products.kernels, slots + row * width, slotStride, biased, packed.bias.start + block * biased * width, count
          )
        })
    }
  }

  /// The rows of one step.
  struct StepRows {
    let count: Int
    let firstRow: Int  // in the slots
    let previous: HRows
    let h: HRows
  }

  /// One step: the gates of a block of units run on its tile as soon as its product is done.
  func step(_ rows: StepRows, _ memory: ForwardMemory, turn: Int, _ share: Share) {
    let own = share.part(of: blocks), downwards = (memory.turns + turn) & 1 == 1
    if cell.resetsBefore {
      // n's product needs r∘h' of all units first.
      forEachBlock(own, downwards: downwards) { block, next in
        hiddenProduct(rows, memory, block, next, gates: 0..<2, toSlot: 1) { row, count in
          var tile = gateTile(rows, memory, block, row, count)
          GRUGates.resetPass(.float, products.set).forward(&tile)
        }
      }
      let rhTiles = memory.rhTiles!
      packSlot(
        3, of: memory.slots, memory.layout, firstRow: rows.firstRow, products.tiles(rows.count), own,
        depth: hiddenSize, into: rhTiles)
      share.barrier()
      forEachBlock(own, downwards: downwards) { block, next in
        hiddenProduct(rows, memory, block, next, gates: 2..<3, toSlot: 0, otherTiles: rhTiles) { row, count in
          var tile = gateTile(rows, memory, block, row, count)
          GRUGates.updatePass(update: cell.update, .float, products.set).forward(&tile)
        }
      }
    } else {
      forEachBlock(own, downwards: downwards) { block, next in
        hiddenProduct(rows, memory, block, next, gates: 0..<cell.gates, toSlot: cell.firstHiddenSlot) { row, count in
          var tile = gateTile(rows, memory, block, row, count)
          switch cell {
          case .rnn(let activation): RNNGates.pass(activation, .float, products.set).forward(&tile)
          case .lstm(let output): LSTMGates.pass(output, .float, products.set).forward(&tile)
          case .gru(_, let update): GRUGates.pass(update: update, .float, products.set).forward(&tile)
          }
        }
      }
    }
  }

  // MARK: - Rows

  /// Whether a product's rows are packed into tiles. A single row is its own tile.
  func packsRows(_ rows: Int, depth: Int) -> Bool { rows > 1 && depth > FloatEngine.plainDepth }

  /// Some blocks' units of h into the row tiles that a step reads, where it reads tiles.
  func packH(_ h: HRows, rows: Int, _ blocks: Range<Int>) {
    guard let tiles = h.tiles, !blocks.isEmpty else { return }
    let units = units(blocks)
    products.tiles(rows).forEach { row, count in
      pack(
        products.kernels, tiles + (row * hiddenSize + units.lowerBound * count), count,
        h.start + (row * h.stride + units.lowerBound), count, h.stride, units.count, units.count, 1)
    }
  }

  /// slots += U h' of a block of units, or U times other tiles; `gatePass` is called with each row tile when it is done.
  @inline(__always)
  private func hiddenProduct(
    _ rows: StepRows, _ memory: ForwardMemory, _ block: Int, _ next: Int?, gates: Range<Int>, toSlot: Int,
    otherTiles: MutableFloats? = nil, then gatePass: (_ row: Int, _ count: Int) -> Void
  ) {
    let width = products.width, panelStride = hiddenSize * width
    func weights(_ block: Int) -> Floats {
      Floats(packed.weightHH.start + (block * cell.gates + gates.lowerBound) * panelStride)
    }
    let tiles = otherTiles ?? rows.previous.tiles
    products.run(
      Floats(tiles ?? rows.previous.start), products.tiles(rows.count),
      stride: tiles == nil && rows.count > 1 ? rows.previous.stride : 1, depth: hiddenSize, weights(block),
      panelCount: gates.count, panelStride: panelStride,
      c: memory.slots
        + (block * memory.layout.blockStride + toSlot * memory.layout.slotStride + rows.firstRow * width),
      cPanelStride: memory.layout.slotStride, cRowStride: width, add: true,
      far: memory.farHH, next: next.map(weights), after: gatePass)
  }

  @inline(__always)
  func gateTile(_ rows: StepRows, _ memory: ForwardMemory, _ block: Int, _ row: Int, _ count: Int) -> gate_tile {
    let width = products.width
    let slots = memory.slots + (block * memory.layout.blockStride + (rows.firstRow + row) * width)
    var tile = gate_tile()
    tile.slots = UnsafeMutableRawPointer(slots)
    tile.slot_stride = memory.layout.slotStride
    tile.rows = count
    tile.width = width
    tile.units = min(width, hiddenSize - block * width)
    tile.previous_h = UnsafeRawPointer(rows.previous.start + (row * rows.previous.stride + block * width))
    tile.previous_stride = rows.previous.stride
    tile.h = UnsafeMutableRawPointer(rows.h.start + (row * rows.h.stride + block * width))
    tile.h_stride = rows.h.stride
    if let c = memory.c {
      tile.c = UnsafeMutableRawPointer(c + (block * memory.cRows + row) * width)
      if memory.keepsC { tile.previous_c = UnsafeMutableRawPointer(slots + cell.slots * memory.layout.slotStride) }
    }
    return tile
  }
}

/// The memory of a forward call.
struct ForwardMemory: BitwiseCopyable {
  let slots: MutableFloats
  let layout: SlotLayout
  /// Whether the slot behind the cell's own takes c'.
  let keepsC: Bool
  /// A chunk's rows of x one after the other; nil where they lie so.
  let xRows: MutableFloats?
  /// A chunk's rows of x in tiles; nil where products read them where they are.
  let xTiles: MutableFloats?
  /// h by row of a ragged plan, read by even and by odd steps; nil where y itself is read.
  let hRows: (even: MutableFloats, odd: MutableFloats)?
  /// h in tiles, read by even and by odd steps: while a step reads one, the other is filled.
  let hTiles: (even: MutableFloats, odd: MutableFloats)?
  let rhTiles: MutableFloats?
  /// [unit block][cRows][P]
  let c: MutableFloats?
  let cRows: Int
  /// Steps before this call: every other one walks over the weights downwards.
  var turns: Int
  /// Whether a step's weights come from far.
  let farHH: Bool

  /// Whether a step leaves h in more places than y.
  var copiesH: Bool { hRows != nil || hTiles != nil }
  func packedH(forStep index: Int) -> MutableFloats? { index & 1 == 0 ? hTiles?.even : hTiles?.odd }
}
