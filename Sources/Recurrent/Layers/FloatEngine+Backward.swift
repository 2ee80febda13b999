import CRecurrentKernels

extension FloatEngine {
  /// Backward through time, in the record's place: per step the gates' gradients overwrite the gates and
  /// dh' = dG·U; per chunk of steps dx = dG·W; at the end, over all rows, dW = dGᵀ·x, dU = dGᵀ·h' and db = Σ dG.
  public func backward(_ call: BackwardCall<Float>) {
    let memory = call.scratch.carve { BackwardMemory(engine: self, call: call, arena: &$0) }
    run(on: call.scratch, batchSize: call.record.batchSize) { backward(call, memory, $0) }
  }

  /// One thread's part: its blocks of units, and of C for dx. Between two barriers threads read what others wrote before
  /// the first alone.
  private func backward(_ call: BackwardCall<Float>, _ memory: BackwardMemory, _ share: Share) {
    let n = call.record.batchSize, panelStride = n * products.width, own = share.part(of: blocks)
    packState(call.dhn, batchSize: n, own, into: memory.dh)
    if cell.hasCellState { packState(call.dcn, batchSize: n, own, into: memory.dc) }

    let stepsOfChunk = chunkSteps(steps: call.record.steps, batchSize: n)
    var end = call.record.steps
    while end > 0 {
      let start = (end - 1) / stepsOfChunk * stepsOfChunk
      for t in (start..<end).reversed() { step(call, memory, t, share) }
      if let dx = call.dx { inputGradient(call, memory, start..<end, dx, share) }
      end = start
    }
    copyState(ofPanels: memory.dh, panelStride: panelStride, batchSize: n, own, to: call.dh0)
    if let dc0 = call.dc0 { copyState(ofPanels: memory.dc, panelStride: panelStride, batchSize: n, own, to: dc0) }
    parameterGradients(call, memory, share)
  }

  /// Uᵀ [block of H][G·H][P]
  fileprivate func transposedHH(_ call: BackwardCall<Float>) -> Floats {
    let depth = cell.gates * hiddenSize
    return Floats(
      packed.transposedHH.start(count: blocks * products.width * depth) { panels in
        products.packPanels(
          columnsOf: call.weightHH, units: hiddenSize, depth: depth, stride: hiddenSize,
          panelStride: depth * products.width, into: panels)
      })
  }

  /// Wᵀ [block of C][G·H][P], its gates in the order of the slots, so that its depth is that of the packed gradients.
  fileprivate func transposedIH(_ call: BackwardCall<Float>) -> Floats {
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
  private func step(_ call: BackwardCall<Float>, _ memory: BackwardMemory, _ t: Int, _ share: Share) {
    let own = share.part(of: blocks), firstRow = t * call.record.batchSize
    let hTiles = t & 1 == 0 ? memory.hTiles.even : memory.hTiles.odd
    if cell.resetsBefore {
      let restTiles = hTiles + call.record.batchSize * hiddenSize
      forEachTile(memory.tiles, own) { block, row, count in
        var tile = gateTile(call, memory, block, row, count, t)
        GRUGates.updateBackward(products.set, &tile)
      }
      packGradients(call, slots: 0..<1, firstRow: firstRow, memory.tiles, own, into: hTiles)
      share.barrier()
      hiddenGradient(call, hTiles, memory, own, t, slots: 0..<1, firstGate: 2, to: memory.drh, add: false)
      forEachTile(memory.tiles, own) { block, row, count in
        var tile = gateTile(call, memory, block, row, count, t)
        GRUGates.resetBackward(products.set, &tile)
      }
      packGradients(call, slots: cell.hiddenSlots, firstRow: firstRow, memory.tiles, own, into: restTiles)
      share.barrier()
      hiddenGradient(
        call, restTiles, memory, own, t, slots: cell.hiddenSlots, firstGate: 0, to: memory.dh, add: true)
      return
    }
    forEachTile(memory.tiles, own) { block, row, count in
      var tile = gateTile(call, memory, block, row, count, t)
      switch cell {
      case .rnn: RNNGates.backward(products.set, &tile)
      case .lstm: LSTMGates.backward(products.set, &tile)
      case .gru: GRUGates.backward(products.set, &tile)
      }
    }
    packGradients(call, slots: cell.hiddenSlots, firstRow: firstRow, memory.tiles, own, into: hTiles)
    share.barrier()
    hiddenGradient(
      call, hTiles, memory, own, t, slots: cell.hiddenSlots, firstGate: 0, to: memory.dh, add: cell.carriesDh)
  }

  @inline(__always)
  private func gateTile(
    _ call: BackwardCall<Float>, _ memory: BackwardMemory, _ block: Int, _ row: Int, _ count: Int, _ t: Int
  ) -> gate_tile {
    let record = call.record, layout = record.layout, width = products.width, n = record.batchSize
    let slots = record.slots.start + (block * layout.blockStride + (t * n + row) * width)
    let panel = (block * n + row) * width
    let inRow = (t * n + row) * hiddenSize + block * width
    var tile = gate_tile()
    tile.slots = slots
    tile.slot_stride = layout.slotStride
    tile.rows = count
    tile.width = width
    tile.units = min(width, hiddenSize - block * width)
    tile.previous_h = Floats(record.history.start + inRow)  // the history starts one step earlier
    tile.row_stride = hiddenSize
    tile.dy = call.dy.map { $0 + inRow }
    tile.dh = memory.dh + panel
    tile.option = cell.option
    if cell.hasCellState {
      let slot = slots + cell.slots * layout.slotStride
      tile.c = slot
      tile.previous_c = t == 0 ? Floats(record.initialC.start + panel) : Floats(slot - n * width)
      tile.dc = memory.dc + panel
    }
    if cell.resetsBefore { tile.drh = memory.drh + panel }
    return tile
  }

  /// Row tiles of some slots' gradients, one slot's units after the other's in the tiles' depth; some blocks of them.
  private func packGradients(
    _ call: BackwardCall<Float>, slots: Range<Int>, firstRow: Int, _ rows: RowTiles, _ blocks: Range<Int>,
    into tiles: MutableFloats
  ) {
    if readsSlots { return }
    for (place, slot) in slots.enumerated() {
      packSlot(
        slot, of: call.record.slots.start, call.record.layout, firstRow: firstRow, rows, blocks,
        depth: slots.count * hiddenSize, offset: place * hiddenSize, into: tiles)
    }
  }

  /// Whether the gradients' products read the slots where they are, one slot after the other. In a single block of units
  /// each slot's rows are plain rows; packing them would take a quarter of the time (GRU, N 16, H 32).
  fileprivate var readsSlots: Bool { blocks == 1 }

  /// Some blocks of panels [unit block][N][P] = or += dG·U over some slots at a step, which are in the row tiles.
  private func hiddenGradient(
    _ call: BackwardCall<Float>, _ tiles: MutableFloats, _ memory: BackwardMemory, _ blocks: Range<Int>, _ t: Int,
    slots: Range<Int>, firstGate: Int, to panels: MutableFloats, add: Bool
  ) {
    let width = products.width, cStride = memory.tiles.rows * width, panelStride = cell.gates * hiddenSize * width
    let weights = memory.transposedHH + (firstGate * hiddenSize * width + blocks.lowerBound * panelStride)
    if readsSlots {
      for (place, slot) in slots.enumerated() {
        products.multiply(
          tiles: slotRows(call.record, 0, slot, t * memory.tiles.rows), memory.tiles, stride: width, depth: hiddenSize,
          panels: weights + place * hiddenSize * width, panelStride: 0, panelCount: 1, c: panels, cPanelStride: 0,
          cRowStride: width, add: add || place > 0)
      }
      return
    }
    products.multiply(
      tiles: tiles, memory.tiles, depth: slots.count * hiddenSize, panels: weights, panelStride: panelStride,
      panelCount: blocks.count, c: panels + blocks.lowerBound * cStride, cPanelStride: cStride, cRowStride: width,
      add: add)
  }

  /// dx = dG·W for a chunk of steps. The next chunk's tiles wait for this one's products at its steps' barriers.
  private func inputGradient(
    _ call: BackwardCall<Float>, _ memory: BackwardMemory, _ steps: Range<Int>, _ dx: MutableFloats, _ share: Share
  ) {
    let n = call.record.batchSize, tiles = products.tiles(steps.count * n), width = products.width
    let depth = cell.gates * hiddenSize, dx = dx + steps.lowerBound * n * inputSize
    if readsSlots {
      for slot in 0..<cell.gates {
        products.multiply(
          tiles: slotRows(call.record, 0, slot, steps.lowerBound * n), tiles, stride: width, depth: hiddenSize,
          panels: memory.transposedIH! + slot * hiddenSize * width, panelStride: depth * width, into: dx,
          units: inputSize, rest: memory.dxRest, add: slot > 0)
      }
      return
    }
    packGradients(
      call, slots: 0..<cell.gates, firstRow: steps.lowerBound * n, tiles, share.part(of: blocks), into: memory.xTiles)
    share.barrier()
    products.multiply(
      tiles: memory.xTiles, tiles, depth: depth, panels: memory.transposedIH!, panelStride: depth * width,
      share.part(of: products.panels(inputSize)), into: dx, units: inputSize, rest: memory.dxRest)
  }

  // MARK: - Over all rows

  /// A slot over all rows is a packed operand already; x and h' are packed by columns, a block of rows at a time.
  private func parameterGradients(_ call: BackwardCall<Float>, _ memory: BackwardMemory, _ share: Share) {
    let record = call.record, rows = record.steps * record.batchSize, own = share.part(of: blocks)
    let biased = cell.biasedSlots, biasStride = biased * products.width
    (memory.bias + own.lowerBound * biasStride).update(repeating: 0, count: own.count * biasStride)
    var row = 0
    while row < rows {
      let count = min(BackwardMemory.closingRows, rows - row)
      products.packColumns(
        call.x + row * inputSize, memory.xColumnTiles, share.part(of: memory.xColumnTiles.count), depth: count,
        into: memory.xColumns)
      products.packColumns(
        record.history.start + row * hiddenSize, memory.hColumnTiles, share.part(of: memory.hColumnTiles.count),
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

  /// dU_n = dnᵀ·(r∘h'), of a GRU with reset before the product: r∘h' stands in slot 3.
  private func closeResetProduct(
    _ call: BackwardCall<Float>, _ memory: BackwardMemory, _ row: Int, _ count: Int, _ share: Share
  ) {
    let record = call.record, own = share.part(of: blocks)
    copyState(
      ofPanels: Floats(slotRows(record, 0, 3, row)), panelStride: record.layout.blockStride, batchSize: count, own,
      to: memory.rhRows)
    share.barrier()
    products.packColumns(
      memory.rhRows, memory.hColumnTiles, share.part(of: memory.hColumnTiles.count), depth: count,
      into: memory.hColumns)
    share.barrier()
    for block in own {
      closingProduct(
        call, block, slots: 0..<1, row, count, memory.hColumns, memory.hColumnTiles, firstGate: 2, memory.dWeightHH)
    }
    share.barrier()
  }

  private func slotRows(_ record: Record<Float>, _ block: Int, _ slot: Int, _ row: Int) -> MutableFloats {
    record.slots.start
      + (block * record.layout.blockStride + slot * record.layout.slotStride + row * products.width)
  }

  /// gradient [block][gate][column][P] += dGᵀ·columns over a block of rows.
  private func closingProduct(
    _ call: BackwardCall<Float>, _ block: Int, slots: Range<Int>, _ row: Int, _ count: Int, _ columnTiles: Floats,
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
  private func unpackGradients(_ call: BackwardCall<Float>, _ memory: BackwardMemory, _ blocks: Range<Int>) {
    let gates = cell.gates, biased = cell.biasedSlots, width = products.width
    let firstUnit = blocks.lowerBound * width
    let units = firstUnit..<min(blocks.upperBound * width, hiddenSize)
    func unpack(_ packed: Floats, place: Int, depth: Int, to target: MutableFloats) {
      products.unpackAdding(
        packed + (blocks.lowerBound * gates + place) * depth * width, panelStride: gates * depth * width,
        units: units.count, depth: depth, to: target + firstUnit * depth)
    }
    for (place, gate) in cell.inputOrder.enumerated() {
      let first = gate * hiddenSize
      unpack(memory.dWeightIH, place: place, depth: inputSize, to: call.dWeightIH + first * inputSize)
      unpack(memory.dWeightHH, place: gate, depth: hiddenSize, to: call.dWeightHH + first * hiddenSize)
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

/// The memory of a backward call.
struct BackwardMemory {
  /// Rows that one pass of the closing products contracts over: four slots of a block and all columns of x and h' stay
  /// in the second cache.
  static let closingRows = 256

  let transposedIH: Floats?
  let transposedHH: Floats
  let tiles: RowTiles  // of a step's rows
  let xColumnTiles: RowTiles
  let hColumnTiles: RowTiles
  let dh: MutableFloats  // [unit block][N][P]
  let dc: MutableFloats  // the same, of an LSTM
  let drh: MutableFloats  // the same, of a GRU with reset before the product
  let hTiles: (even: MutableFloats, odd: MutableFloats)  // a step's gradients, of even and odd steps
  let xTiles: MutableFloats  // a chunk's gradients
  let dxRest: MutableFloats  // [rows of a chunk][P]
  let xColumns: MutableFloats  // [columns][closingRows]
  let hColumns: MutableFloats
  let rhRows: MutableFloats  // [closingRows][H]
  let dWeightIH: MutableFloats  // [unit block][gate][C][P]
  let dWeightHH: MutableFloats  // [unit block][gate][H][P]
  let bias: MutableFloats  // [unit block][slot][P]

  init(engine: FloatEngine, call: BackwardCall<Float>, arena: inout Arena) {
    let cell = engine.cell, products = engine.products, width = products.width
    let c = engine.inputSize, h = engine.hiddenSize, n = call.record.batchSize
    let depth = cell.gates * h, units = engine.blocks * width
    let chunkRows = engine.chunkSteps(steps: call.record.steps, batchSize: n) * n
    let wantsDx = call.dx != nil
    let columnRows = min(BackwardMemory.closingRows, call.record.steps * n)
    tiles = products.tiles(n)
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
    xColumns = arena.take(columnRows * c)
    hColumns = arena.take(columnRows * h)
    rhRows = arena.take(cell.resetsBefore ? columnRows * h : 0)
    dWeightIH = arena.take(units * cell.gates * c)
    dWeightHH = arena.take(units * cell.gates * h)
    bias = arena.take(units * cell.biasedSlots)
  }
}
