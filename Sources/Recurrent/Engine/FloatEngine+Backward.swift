import CRecurrentKernels

/// One part's backward call; every pointer has been checked. A null gradient means zero where it is read and not wanted
/// where it is written.
struct PartBackward: BitwiseCopyable {
  let plan: RowPlan
  let reversed: Bool
  let x: RowPlace  // of C
  let dy: RowPlace?  // of H
  let dhn: Floats?  // [N,H]
  let dcn: Floats?  // [N,H]
  let weightIH: Floats  // [G·H,C]
  let weightHH: Floats  // [G·H,H]
  let dx: RowPlace?  // of C
  let dh0: MutableFloats  // [N,H], overwritten; may be dhn
  let dc0: MutableFloats?  // [N,H], overwritten; may be dcn
  let dWeightIH: MutableFloats  // each as its parameter, added to
  let dWeightHH: MutableFloats
  let dBiasIH: MutableFloats?
  let dBiasHH: MutableFloats?
  let record: PartRecord.Place

  /// The step before, as forward walks; outside of the sequences before the first.
  func before(_ t: Int) -> Int { reversed ? t + 1 : t - 1 }
}

extension FloatEngine {
  /// Backward through time, in the record's place: per step the gates' gradients overwrite the gates and
  /// dh' = dG·U; per chunk of steps dx = dG·W; at the end, over all rows, dW = dGᵀ·x, dU = dGᵀ·h' and db = Σ dG.
  func prepareBackward(_ call: PartBackward, _ scratch: Scratch<Float>) -> BackwardMemory {
    scratch.carve { BackwardMemory(engine: self, call: call, arena: &$0) }
  }

  /// One thread's part: its blocks of units, and of C for dx. Between two barriers threads read what others wrote before
  /// the first alone.
  func backward(_ call: PartBackward, _ memory: BackwardMemory, _ share: Share) {
    let plan = call.plan, own = share.part(of: blocks)
    packState(call.dhn, plan, own, into: memory.dh)
    if cell.hasCellState { packState(call.dcn, plan, own, into: memory.dc) }

    var done = 0
    while done < plan.steps {
      let chunk = chunk(plan, done: done, reversed: !call.reversed)
      for t in call.reversed ? AnySteps(chunk, downwards: false) : AnySteps(chunk, downwards: true) {
        step(call, memory, t, share)
      }
      if let dx = call.dx { inputGradient(call, memory, chunk, dx, share) }
      done += chunk.count
    }
    copyState(ofPanels: memory.dh, plan, own, to: call.dh0)
    if let dc0 = call.dc0 { copyState(ofPanels: memory.dc, plan, own, to: dc0) }
    parameterGradients(call, memory, share)
  }

  /// Uᵀ [block of H][G·H][P]
  fileprivate func transposedHH(_ call: PartBackward) -> Floats {
    let depth = cell.gates * hiddenSize
    return Floats(
      packed.transposedHH.start(count: blocks * products.width * depth) { panels in
        products.packPanels(
          columnsOf: call.weightHH, units: hiddenSize, depth: depth, stride: hiddenSize,
          panelStride: depth * products.width, into: panels)
      })
  }

  /// Wᵀ [block of C][G·H][P], its gates in the order of the slots, so that its depth is that of the packed gradients.
  fileprivate func transposedIH(_ call: PartBackward) -> Floats {
    let width = products.width, depth = cell.gates * hiddenSize
    return Floats(
      packed.transposedIH.start(count: products.panels(inputSize) * width * depth) { panels in
        for (place, gate) in cell.inputOrder.enumerated() {
          products.packPanels(
            columnsOf: call.weightIH + gate * hiddenSize * inputSize, units: inputSize, depth: hiddenSize,
            stride: inputSize, panelStride: depth * width, into: panels + place * hiddenSize * width)
        }
      })
  }

  // MARK: - One step

  /// The gates of a thread's own units turn into gradients; their tiles are what every thread's product reads, whose
  /// own units' dh is what its next step needs. One barrier between the two; the next step fills other tiles.
  private func step(_ call: PartBackward, _ memory: BackwardMemory, _ t: Int, _ share: Share) {
    let count = call.plan.count(t)
    guard count > 0 else { return }
    let own = share.part(of: blocks)
    let rows = stepRows(call, memory, t, count: count, own)
    let hTiles = t & 1 == 0 ? memory.hTiles.even : memory.hTiles.odd
    if cell.resetsBefore {
      let restTiles = hTiles + call.plan.batchSize * hiddenSize
      forEachTile(rows.tiles, own) { block, row, count in
        var tile = gateTile(call, memory, rows, block, row, count)
        GRUGates.updateBackward(products.set, &tile)
      }
      packGradients(call, slots: 0..<1, firstRow: rows.first, rows.tiles, own, into: hTiles)
      share.barrier()
      hiddenGradient(call, hTiles, memory, own, rows, slots: 0..<1, firstGate: 2, to: memory.drh, add: false)
      forEachTile(rows.tiles, own) { block, row, count in
        var tile = gateTile(call, memory, rows, block, row, count)
        GRUGates.resetBackward(products.set, &tile)
      }
      packGradients(call, slots: cell.hiddenSlots, firstRow: rows.first, rows.tiles, own, into: restTiles)
      share.barrier()
      hiddenGradient(
        call, restTiles, memory, own, rows, slots: cell.hiddenSlots, firstGate: 0, to: memory.dh, add: true)
    } else {
      forEachTile(rows.tiles, own) { block, row, count in
        var tile = gateTile(call, memory, rows, block, row, count)
        switch cell {
        case .rnn: RNNGates.backward(products.set, &tile)
        case .lstm: LSTMGates.backward(products.set, &tile)
        case .gru: GRUGates.backward(products.set, &tile)
        }
      }
      packGradients(call, slots: cell.hiddenSlots, firstRow: rows.first, rows.tiles, own, into: hTiles)
      share.barrier()
      hiddenGradient(
        call, hTiles, memory, own, rows, slots: cell.hiddenSlots, firstGate: 0, to: memory.dh, add: cell.carriesDh)
    }
    stopAtRestarts(call, memory, t, own)
  }

  /// The rows of a step.
  struct BackwardRows {
    let first: Int  // in the record
    let tiles: RowTiles
    let previousH: Floats
    let previousStride: Int
    let dy: Floats?
    let dyStride: Int
  }

  private func stepRows(
    _ call: PartBackward, _ memory: BackwardMemory, _ t: Int, count: Int, _ own: Range<Int>
  ) -> BackwardRows {
    let plan = call.plan, units = units(own), y = call.record.y
    var previousH = y.first(plan, t) + (call.reversed ? 1 : -1) * plan.batchSize * y.row, previousStride = y.row
    if plan.isRagged, cell.isGRU {
      previousH = memory.previousRows
      previousStride = hiddenSize
      for r in 0..<count { copyPreviousH(call, t, r, units, to: previousH + r * hiddenSize) }
    }
    var dy = call.dy.map { $0.first(plan, t) }, dyStride = call.dy?.row ?? 0
    if let place = call.dy, !place.isEvenInSteps(plan) {
      dy = memory.dyRows
      dyStride = hiddenSize
      for r in 0..<count {
        (memory.dyRows + (r * hiddenSize + units.lowerBound)).update(
          from: place.at(plan, t, r) + units.lowerBound, count: units.count)
      }
    }
    return BackwardRows(
      first: plan.offset(t), tiles: products.tiles(count), previousH: Floats(previousH),
      previousStride: previousStride, dy: dy.map { Floats($0) }, dyStride: dyStride)
  }

  /// Some units of the h' of a row.
  private func copyPreviousH(_ call: PartBackward, _ t: Int, _ r: Int, _ units: Range<Int>, to target: MutableFloats) {
    let plan = call.plan, before = call.before(t), y = call.record.y
    let target = target + units.lowerBound
    if (0..<plan.steps).contains(before), r < plan.count(before) {
      if plan.resets(max(t, before), r) {
        target.update(repeating: 0, count: units.count)
      } else {
        target.update(from: y.at(plan, before, r) + units.lowerBound, count: units.count)
      }
    } else if !call.reversed, plan.resets(t, r) {
      target.update(repeating: 0, count: units.count)
    } else {
      // The initial states stand before the rows and behind them, in the plan's order.
      let row = call.reversed ? plan.rowCount + r : r - plan.batchSize
      target.update(from: y.base + row * y.row + units.lowerBound, count: units.count)
    }
  }

  /// No gradient flows to the step before where the state was zeroed.
  private func stopAtRestarts(_ call: PartBackward, _ memory: BackwardMemory, _ t: Int, _ own: Range<Int>) {
    let plan = call.plan, before = call.before(t), width = products.width
    guard plan.hasResets, before < plan.steps else { return }
    let later = max(t, before)
    for r in 0..<min(plan.count(t), plan.count(later)) where plan.resets(later, r) {
      for block in own {
        let row = (block * plan.batchSize + r) * width
        (memory.dh + row).update(repeating: 0, count: width)
        if cell.hasCellState { (memory.dc + row).update(repeating: 0, count: width) }
      }
    }
  }

  @inline(__always)
  private func gateTile(
    _ call: PartBackward, _ memory: BackwardMemory, _ rows: BackwardRows, _ block: Int, _ row: Int, _ count: Int
  ) -> gate_tile {
    let record = call.record, layout = record.layout, width = products.width
    let slots = record.slots + (block * layout.blockStride + (rows.first + row) * width)
    let panel = (block * call.plan.batchSize + row) * width
    var tile = gate_tile()
    tile.slots = slots
    tile.slot_stride = layout.slotStride
    tile.rows = count
    tile.width = width
    tile.units = min(width, hiddenSize - block * width)
    tile.previous_h = rows.previousH + (row * rows.previousStride + block * width)
    tile.previous_stride = rows.previousStride
    tile.dy = rows.dy.map { $0 + (row * rows.dyStride + block * width) }
    tile.dy_stride = rows.dyStride
    tile.dh = memory.dh + panel
    tile.option = cell.option
    if cell.hasCellState {
      tile.previous_c = slots + cell.slots * layout.slotStride
      tile.dc = memory.dc + panel
    }
    if cell.resetsBefore { tile.drh = memory.drh + panel }
    return tile
  }

  /// Row tiles of some slots' gradients, one slot's units after the other's in the tiles' depth; some blocks of them.
  private func packGradients(
    _ call: PartBackward, slots: Range<Int>, firstRow: Int, _ rows: RowTiles, _ blocks: Range<Int>,
    into tiles: MutableFloats
  ) {
    if readsSlots { return }
    for (place, slot) in slots.enumerated() {
      packSlot(
        slot, of: call.record.slots, call.record.layout, firstRow: firstRow, rows, blocks,
        depth: slots.count * hiddenSize, offset: place * hiddenSize, into: tiles)
    }
  }

  /// Whether the gradients' products read the slots where they are, one slot after the other. In a single block of units
  /// each slot's rows are plain rows; packing them would take a quarter of the time (GRU, N 16, H 32).
  fileprivate var readsSlots: Bool { blocks == 1 }

  /// Some blocks of panels [unit block][N][P] = or += dG·U over some slots at a step, which are in the row tiles.
  private func hiddenGradient(
    _ call: PartBackward, _ tiles: MutableFloats, _ memory: BackwardMemory, _ blocks: Range<Int>,
    _ rows: BackwardRows, slots: Range<Int>, firstGate: Int, to panels: MutableFloats, add: Bool
  ) {
    let width = products.width, cStride = call.plan.batchSize * width, panelStride = cell.gates * hiddenSize * width
    let weights = memory.transposedHH + (firstGate * hiddenSize * width + blocks.lowerBound * panelStride)
    if readsSlots {
      for (place, slot) in slots.enumerated() {
        products.multiply(
          tiles: slotRows(call.record, 0, slot, rows.first), rows.tiles, stride: width, depth: hiddenSize,
          panels: weights + place * hiddenSize * width, panelStride: 0, panelCount: 1, c: panels, cPanelStride: 0,
          cRowStride: width, add: add || place > 0)
      }
      return
    }
    products.multiply(
      tiles: tiles, rows.tiles, depth: slots.count * hiddenSize, panels: weights, panelStride: panelStride,
      panelCount: blocks.count, c: panels + blocks.lowerBound * cStride, cPanelStride: cStride, cRowStride: width,
      add: add)
  }

  /// dx = dG·W for a chunk of steps. The next chunk's tiles wait for this one's products at its steps' barriers.
  private func inputGradient(
    _ call: PartBackward, _ memory: BackwardMemory, _ steps: Range<Int>, _ place: RowPlace, _ share: Share
  ) {
    let plan = call.plan, first = plan.offset(steps.lowerBound), count = plan.offset(steps.upperBound) - first
    guard count > 0 else { return }
    let tiles = products.tiles(count), width = products.width, depth = cell.gates * hiddenSize
    let dx = memory.dxRows ?? place.first(plan, steps.lowerBound)
    if readsSlots {
      for slot in 0..<cell.gates {
        products.multiply(
          tiles: slotRows(call.record, 0, slot, first), tiles, stride: width, depth: hiddenSize,
          panels: memory.transposedIH! + slot * hiddenSize * width, panelStride: depth * width, into: dx,
          units: inputSize, rest: memory.dxRest, add: slot > 0)
      }
    } else {
      packGradients(call, slots: 0..<cell.gates, firstRow: first, tiles, share.part(of: blocks), into: memory.xTiles)
      share.barrier()
      products.multiply(
        tiles: memory.xTiles, tiles, depth: depth, panels: memory.transposedIH!, panelStride: depth * width,
        share.part(of: products.panels(inputSize)), into: dx, units: inputSize, rest: memory.dxRest)
    }
    if memory.dxRows != nil {
      share.barrier()
      if share.index == 0 { place.scatter(plan, steps, size: inputSize, from: dx) }
      share.barrier()
    }
  }

  // MARK: - Over all rows

  /// A slot over all rows is a packed operand already; x and h' are packed by columns, a block of rows at a time.
  private func parameterGradients(_ call: PartBackward, _ memory: BackwardMemory, _ share: Share) {
    let record = call.record, plan = call.plan, rows = plan.rowCount, own = share.part(of: blocks)
    guard rows > 0 else { return }
    let biased = cell.biasedSlots, biasStride = biased * products.width
    (memory.bias + own.lowerBound * biasStride).update(repeating: 0, count: own.count * biasStride)
    var row = 0
    while row < rows {
      let count = min(BackwardMemory.closingRows, rows - row)
      let (x, previousH) = closingRows(call, memory, row..<row + count, share)
      products.packColumns(
        x.start, stride: x.stride, memory.xColumnTiles, share.part(of: memory.xColumnTiles.count), depth: count,
        into: memory.xColumns)
      products.packColumns(
        previousH.start, stride: previousH.stride, memory.hColumnTiles, share.part(of: memory.hColumnTiles.count),
        depth: count, into: memory.hColumns)
      share.barrier()
      for block in own {
        closingProduct(
          call, block, slots: 0..<cell.gates, row, count, memory.xColumns, memory.xColumnTiles, firstGate: 0,
          memory.dWeightIH)
        closingProduct(
          call, block, slots: cell.hiddenSlots, row, count, memory.hColumns, memory.hColumnTiles, firstGate: 0,
          memory.dWeightHH)
        for slot in 0..<biased {
          add_rows(
            products.kernels, memory.bias + (block * biased + slot) * products.width,
            slotRows(record, block, slot, row), count)
        }
      }
      share.barrier()
      if cell.resetsBefore { closeResetProduct(call, memory, row, count, share) }
      row += count
    }
    unpackGradients(call, memory, own)
  }

  /// x and h' of some rows, one row after the other.
  private func closingRows(
    _ call: PartBackward, _ memory: BackwardMemory, _ rows: Range<Int>, _ share: Share
  ) -> (x: (start: Floats, stride: Int), previousH: (start: Floats, stride: Int)) {
    let plan = call.plan, y = call.record.y
    let isEven = call.x.isEven(plan)
    if share.index == 0, !isEven || plan.isRagged {
      var at = 0, t = memory.step(of: rows.lowerBound, plan)
      while at < rows.count {
        let r = rows.lowerBound + at - plan.offset(t)
        guard r < plan.count(t) else {
          t += 1
          continue
        }
        if !isEven { (memory.xRows! + at * inputSize).update(from: call.x.at(plan, t, r), count: inputSize) }
        if plan.isRagged { copyPreviousH(call, t, r, 0..<hiddenSize, to: memory.closingH! + at * hiddenSize) }
        at += 1
      }
    }
    if !isEven || plan.isRagged { share.barrier() }
    let toPrevious = (call.reversed ? 1 : -1) * plan.batchSize
    return (
      isEven ? (Floats(call.x.base + rows.lowerBound * call.x.row), call.x.row) : (Floats(memory.xRows!), inputSize),
      plan.isRagged
        ? (Floats(memory.closingH!), hiddenSize)
        : (Floats(y.base + (rows.lowerBound + toPrevious) * y.row), y.row)
    )
  }

  /// dU_n = dnᵀ·(r∘h'), of a GRU with reset before the product: r∘h' stands in slot 3.
  private func closeResetProduct(
    _ call: PartBackward, _ memory: BackwardMemory, _ row: Int, _ count: Int, _ share: Share
  ) {
    let record = call.record, own = share.part(of: blocks)
    let units = units(own)
    products.copyRows(
      ofPanels: Floats(slotRows(record, own.lowerBound, 3, row)), panelStride: record.layout.blockStride, rows: count,
      units: units.count, to: memory.rhRows + units.lowerBound, stride: hiddenSize)
    share.barrier()
    products.packColumns(
      memory.rhRows, stride: hiddenSize, memory.hColumnTiles, share.part(of: memory.hColumnTiles.count), depth: count,
      into: memory.hColumns)
    share.barrier()
    for block in own {
      closingProduct(
        call, block, slots: 0..<1, row, count, memory.hColumns, memory.hColumnTiles, firstGate: 2, memory.dWeightHH)
    }
    share.barrier()
  }

  private func slotRows(_ record: PartRecord.Place, _ block: Int, _ slot: Int, _ row: Int) -> MutableFloats {
    record.slots
      + (block * record.layout.blockStride + slot * record.layout.slotStride + row * products.width)
  }

  /// gradient [block][gate][column][P] += dGᵀ·columns over a block of rows.
  private func closingProduct(
    _ call: PartBackward, _ block: Int, slots: Range<Int>, _ row: Int, _ count: Int, _ columnTiles: Floats,
    _ columns: RowTiles, firstGate: Int, _ gradient: MutableFloats
  ) {
    let width = products.width, panelStride = columns.rows * width
    let target = gradient + (block * cell.gates + firstGate) * panelStride
    columns.forEach { column, together in
      products.run(
        columnTiles + column * count, count: together, slotRows(call.record, block, slots.lowerBound, row),
        panelCount: slots.count, panelStride: call.record.layout.slotStride, depth: count, c: target + column * width,
        cPanelStride: panelStride, cRowStride: width, add: row > 0)
    }
  }

  /// Some blocks of the packed gradients, added to the caller's.
  private func unpackGradients(_ call: PartBackward, _ memory: BackwardMemory, _ blocks: Range<Int>) {
    let gates = cell.gates, biased = cell.biasedSlots, width = products.width
    let units = units(blocks), firstUnit = units.lowerBound
    func unpack(_ packed: Floats, place: Int, depth: Int, to target: MutableFloats) {
      products.unpackAdding(
        packed + (blocks.lowerBound * gates + place) * depth * width, panelStride: gates * depth * width,
        units: units.count, depth: depth, to: target + firstUnit * depth)
    }
    for (place, gate) in cell.inputOrder.enumerated() {
      let first = gate * hiddenSize
      unpack(
        memory.dWeightIH, place: place, depth: inputSize,
        to: call.dWeightIH + first * inputSize)
      unpack(
        memory.dWeightHH, place: gate, depth: hiddenSize,
        to: call.dWeightHH + first * hiddenSize)
      guard let dBiasIH = call.dBiasIH, let dBiasHH = call.dBiasHH else { continue }
      let hiddenSlot = cell.apartBiasSlot(ofGate: gate) ?? place
      for unit in units {
        let sums = memory.bias + (unit / width * biased * width + unit % width)
        dBiasIH[first + unit] += sums[place * width]
        dBiasHH[first + unit] += sums[hiddenSlot * width]
      }
    }
  }
}

/// Some steps in either direction; a type of its own, so that no call allocates.
private struct AnySteps: Sequence, IteratorProtocol {
  private var left: Range<Int>
  private let downwards: Bool

  init(_ steps: Range<Int>, downwards: Bool) {
    left = steps
    self.downwards = downwards
  }

  mutating func next() -> Int? {
    guard !left.isEmpty else { return nil }
    let step = downwards ? left.upperBound - 1 : left.lowerBound
    left = downwards ? left.lowerBound..<step : step + 1..<left.upperBound
    return step
  }
}

/// The memory of a backward call.
struct BackwardMemory: BitwiseCopyable {
  /// Rows that one pass of the closing products contracts over: four slots of a block and all columns of x and h' stay
  /// in the second cache.
  static let closingRows = 256

  let transposedIH: Floats?
  let transposedHH: Floats
  let xColumnTiles: RowTiles
  let hColumnTiles: RowTiles
  let dh: MutableFloats  // [unit block][N][P]
  let dc: MutableFloats  // the same, of an LSTM
  let drh: MutableFloats  // the same, of a GRU with reset before the product
  let hTiles: (even: MutableFloats, odd: MutableFloats)  // a step's gradients, of even and odd steps
  let xTiles: MutableFloats  // a chunk's gradients
  let dxRest: MutableFloats  // [rows of a chunk][P]
  let dxRows: MutableFloats?  // [rows of a chunk][C], where dx lies otherwise
  let dyRows: MutableFloats  // [N][H], where dy lies otherwise
  let previousRows: MutableFloats  // [N][H], of a GRU over ragged rows
  let xRows: MutableFloats?  // [closingRows][C], where x lies otherwise
  let closingH: MutableFloats?  // [closingRows][H], of ragged rows
  let xColumns: MutableFloats  // [columns][closingRows]
  let hColumns: MutableFloats
  let rhRows: MutableFloats  // [closingRows][H]
  let dWeightIH: MutableFloats  // [unit block][gate][C][P]
  let dWeightHH: MutableFloats  // [unit block][gate][H][P]
  let bias: MutableFloats  // [unit block][slot][P]

  init(engine: FloatEngine, call: PartBackward, arena: inout Arena) {
    let cell = engine.cell, products = engine.products, width = products.width, plan = call.plan
    let c = engine.inputSize, h = engine.hiddenSize, n = plan.batchSize
    let depth = cell.gates * h, units = engine.blocks * width
    let chunkRows = engine.chunkRows(plan)
    let wantsDx = call.dx != nil
    let columnRows = min(BackwardMemory.closingRows, plan.rowCount)
    xColumnTiles = products.tiles(c)
    hColumnTiles = products.tiles(h)
    transposedIH = wantsDx ? engine.transposedIH(call) : nil
    transposedHH = engine.transposedHH(call)
    dh = arena.take(units * n)
    dc = arena.take(cell.hasCellState ? units * n : 0)
    drh = arena.take(cell.resetsBefore ? units * n : 0)
    let packs = !engine.readsSlots
    hTiles = (arena.take(packs ? n * depth : 0), arena.take(packs ? n * depth : 0))
    xTiles = arena.take(wantsDx && packs ? chunkRows * depth : 0)
    dxRest = arena.take(wantsDx ? chunkRows * width : 0)
    // The product writes rows that lie one after the other without a gap.
    let isPlain = call.dx.map { $0.isEven(plan) && ($0.row == c || plan.rowCount == 1) } ?? true
    dxRows = isPlain ? nil : arena.take(chunkRows * c)
    let dyIsEven = call.dy?.isEvenInSteps(plan) ?? true
    dyRows = arena.take(dyIsEven ? 0 : n * h)
    previousRows = arena.take(plan.isRagged && cell.isGRU ? n * h : 0)
    xRows = call.x.isEven(plan) ? nil : arena.take(columnRows * c)
    closingH = plan.isRagged ? arena.take(columnRows * h) : nil
    xColumns = arena.take(columnRows * c)
    hColumns = arena.take(columnRows * h)
    rhRows = arena.take(cell.resetsBefore ? columnRows * h : 0)
    dWeightIH = arena.take(units * cell.gates * c)
    dWeightHH = arena.take(units * cell.gates * h)
    bias = arena.take(units * cell.biasedSlots)
  }

  /// The step that a row belongs to.
  func step(of row: Int, _ plan: RowPlan) -> Int {
    if !plan.isRagged { return row / plan.batchSize }
    var low = 0, high = plan.steps - 1
    while low < high {
      let middle = (low + high + 1) / 2
      if plan.offset(middle) <= row { low = middle } else { high = middle - 1 }
    }
    return low
  }
}
