import CRecurrentKernels

extension FloatEngine {
  /// Backward through time, in the record's place: per step the gates' gradients overwrite the gates and
  /// dh' = dG·U; per chunk of steps dx = dG·W; at the end, over all rows, dW = dGᵀ·x, dU = dGᵀ·h' and db = Σ dG.
  public func backward(_ call: BackwardCall<Float>) {
    let memory = call.scratch.carve { BackwardMemory(engine: self, call: call, arena: &$0) }
    packState(call.dhn, batchSize: call.record.batchSize, into: memory.dh)
    if cell.hasCellState { packState(call.dcn, batchSize: call.record.batchSize, into: memory.dc) }

    let stepsOfChunk = chunkSteps(steps: call.record.steps, batchSize: call.record.batchSize)
    var end = call.record.steps
    while end > 0 {
      let start = (end - 1) / stepsOfChunk * stepsOfChunk
      for t in (start..<end).reversed() { step(call, memory, t) }
      if let dx = call.dx { inputGradient(call, memory, start..<end, dx) }
      end = start
    }
    let n = call.record.batchSize, width = products.width
    products.copyRows(
      ofPanels: memory.dh, panelStride: n * width, rows: n, units: hiddenSize, to: call.dh0, stride: hiddenSize)
    if let dc0 = call.dc0 {
      products.copyRows(
        ofPanels: memory.dc, panelStride: n * width, rows: n, units: hiddenSize, to: dc0, stride: hiddenSize)
    }
    parameterGradients(call, memory)
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

  private func step(_ call: BackwardCall<Float>, _ memory: BackwardMemory, _ t: Int) {
    let n = call.record.batchSize, gates = cell.gates
    if cell.resetsBefore {
      forEachTile(memory.tiles, downwards: false) { block, row, count in
        var tile = gateTile(call, memory, block, row, count, t)
        GRUGates.updateBackward(products.set, &tile)
      }
      packGradients(call, slots: 0..<1, firstRow: t * n, memory.tiles, into: memory.hTiles)
      hiddenGradient(memory, gates: 2..<3, to: memory.drh, add: false)
      forEachTile(memory.tiles, downwards: false) { block, row, count in
        var tile = gateTile(call, memory, block, row, count, t)
        GRUGates.resetBackward(products.set, &tile)
      }
      packGradients(call, slots: cell.hiddenSlots, firstRow: t * n, memory.tiles, into: memory.hTiles)
      hiddenGradient(memory, gates: 0..<2, to: memory.dh, add: true)
      return
    }
    forEachTile(memory.tiles, downwards: false) { block, row, count in
      var tile = gateTile(call, memory, block, row, count, t)
      switch cell {
      case .rnn: RNNGates.backward(products.set, &tile)
      case .lstm: LSTMGates.backward(products.set, &tile)
      case .gru: GRUGates.backward(products.set, &tile)
      }
    }
    packGradients(call, slots: cell.hiddenSlots, firstRow: t * n, memory.tiles, into: memory.hTiles)
    hiddenGradient(memory, gates: 0..<gates, to: memory.dh, add: cell.carriesDh)
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

  /// Row tiles of some slots' gradients, one slot's units after the other's in the tiles' depth.
  private func packGradients(
    _ call: BackwardCall<Float>, slots: Range<Int>, firstRow: Int, _ rows: RowTiles, into tiles: MutableFloats
  ) {
    for (place, slot) in slots.enumerated() {
      packSlot(
        slot, of: call.record.slots.start, call.record.layout, firstRow: firstRow, rows,
        depth: slots.count * hiddenSize, offset: place * hiddenSize, into: tiles)
    }
  }

  /// panels [unit block][N][P] = or += dG·U over some gates, whose gradients are in the row tiles.
  private func hiddenGradient(
    _ memory: BackwardMemory, gates: Range<Int>, to panels: MutableFloats, add: Bool
  ) {
    let width = products.width, rows = memory.tiles.rows
    products.multiply(
      tiles: memory.hTiles, memory.tiles, depth: gates.count * hiddenSize,
      panels: memory.transposedHH + gates.lowerBound * hiddenSize * width,
      panelStride: cell.gates * hiddenSize * width, panelCount: blocks, c: panels, cPanelStride: rows * width,
      cRowStride: width, add: add)
  }

  /// dx = dG·W for a chunk of steps.
  private func inputGradient(
    _ call: BackwardCall<Float>, _ memory: BackwardMemory, _ steps: Range<Int>, _ dx: MutableFloats
  ) {
    let n = call.record.batchSize, tiles = products.tiles(steps.count * n)
    packGradients(call, slots: 0..<cell.gates, firstRow: steps.lowerBound * n, tiles, into: memory.xTiles)
    products.multiply(
      tiles: memory.xTiles, tiles, depth: cell.gates * hiddenSize, panels: memory.transposedIH!,
      into: dx + steps.lowerBound * n * inputSize, units: inputSize, rest: memory.dxRest)
  }

  // MARK: - Over all rows

  /// A slot over all rows is a packed operand already; x and h' are packed by columns, a block of rows at a time.
  private func parameterGradients(_ call: BackwardCall<Float>, _ memory: BackwardMemory) {
    let record = call.record, rows = record.steps * record.batchSize
    let gates = cell.gates, biased = cell.biasedSlots
    memory.bias.update(repeating: 0, count: blocks * biased * products.width)
    var row = 0
    while row < rows {
      let count = min(BackwardMemory.closingRows, rows - row)
      products.packColumns(
        call.x + row * inputSize, memory.xColumnTiles, depth: count, into: memory.xColumns)
      products.packColumns(
        record.history.start + row * hiddenSize, memory.hColumnTiles, depth: count, into: memory.hColumns)
      for block in 0..<blocks {
        closingProduct(
          call, block, slots: 0..<gates, row, count, memory.xColumns, memory.xColumnTiles, firstGate: 0,
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
      if cell.resetsBefore { closeResetProduct(call, memory, row, count) }
      row += count
    }
    unpackGradients(call, memory)
  }

  /// dU_n = dnᵀ·(r∘h'), of a GRU with reset before the product: r∘h' stands in slot 3.
  private func closeResetProduct(_ call: BackwardCall<Float>, _ memory: BackwardMemory, _ row: Int, _ count: Int) {
    let record = call.record
    products.copyRows(
      ofPanels: slotRows(record, 0, 3, row), panelStride: record.layout.blockStride, rows: count, units: hiddenSize,
      to: memory.rhRows, stride: hiddenSize)
    products.packColumns(memory.rhRows, memory.hColumnTiles, depth: count, into: memory.hColumns)
    for block in 0..<blocks {
      closingProduct(
        call, block, slots: 0..<1, row, count, memory.hColumns, memory.hColumnTiles, firstGate: 2, memory.dWeightHH)
    }
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

  /// The packed gradients, added to the caller's.
  private func unpackGradients(_ call: BackwardCall<Float>, _ memory: BackwardMemory) {
    let gates = cell.gates, biased = cell.biasedSlots, width = products.width
    for (place, gate) in cell.inputOrder.enumerated() {
      let first = gate * hiddenSize
      products.unpackAdding(
        memory.dWeightIH + place * inputSize * width, panelStride: gates * inputSize * width, units: hiddenSize,
        depth: inputSize, to: call.dWeightIH + first * inputSize)
      products.unpackAdding(
        memory.dWeightHH + gate * hiddenSize * width, panelStride: gates * hiddenSize * width, units: hiddenSize,
        depth: hiddenSize, to: call.dWeightHH + first * hiddenSize)
      guard let dBiasIH = call.dBiasIH, let dBiasHH = call.dBiasHH else { continue }
      let hiddenSlot = cell.apartBiasSlot(ofGate: gate) ?? place
      for unit in 0..<hiddenSize {
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
  let hTiles: MutableFloats  // a step's gradients
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
    hTiles = arena.take(n * depth)
    xTiles = arena.take(wantsDx ? chunkRows * depth : 0)
    dxRest = arena.take(wantsDx ? chunkRows * width : 0)
    xColumns = arena.take(columnRows * c)
    hColumns = arena.take(columnRows * h)
    rhRows = arena.take(cell.resetsBefore ? columnRows * h : 0)
    dWeightIH = arena.take(units * cell.gates * c)
    dWeightHH = arena.take(units * cell.gates * h)
    bias = arena.take(units * cell.biasedSlots)
  }
}
