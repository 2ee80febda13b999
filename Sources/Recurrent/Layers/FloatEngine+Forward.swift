import CRecurrentKernels

extension FloatEngine {
  /// Per chunk of steps: slots = b + W x for all its rows, then step by step slots += U h' and the gates. With a record
  /// the slots are the record's own rows, without one those of a chunk.
  public func forward(_ call: ForwardCall<Float>) {
    let n = call.batchSize, width = products.width
    let stepsOfChunk = chunkSteps(steps: call.steps, batchSize: n)
    let chunkRows = stepsOfChunk * n
    let chunkLayout = SlotLayout(blocks: blocks, slots: cell.slots, rows: chunkRows, width: width)
    let memory = call.scratch.carve { arena in
      ForwardMemory(
        slots: call.record?.slots.start ?? arena.take(chunkLayout.count),
        layout: call.record?.layout ?? chunkLayout,
        tiles: products.tiles(n),
        xTiles: arena.take(chunkRows * inputSize),
        hTiles: arena.take(n * hiddenSize),
        c: cell.hasCellState ? call.record?.initialC.start ?? arena.take(blocks * n * width) : nil)
    }
    if let c = memory.c { packState(call.c0, batchSize: n, into: c) }

    var chunk = 0
    while chunk < call.steps {
      let steps = min(stepsOfChunk, call.steps - chunk)
      let firstRow = call.record == nil ? 0 : chunk * n
      inputProduct(call.x + chunk * n * inputSize, rows: steps * n, firstRow: firstRow, memory)
      for step in 0..<steps {
        self.step(call, memory, chunk + step, firstRow: firstRow + step * n)
      }
      chunk += steps
    }
    if let cn = call.cn, let c = memory.c {
      if call.record == nil {
        products.copyRows(
          ofPanels: c, panelStride: n * width, rows: n, units: hiddenSize, to: cn, stride: hiddenSize)
      } else {
        products.copyRows(
          ofPanels: memory.slot(cell.slots, row: (call.steps - 1) * n, width), panelStride: memory.layout.blockStride,
          rows: n, units: hiddenSize, to: cn, stride: hiddenSize)
      }
    }
  }

  /// A state [N,H] as panels [unit block][N][P]; zero where there is none.
  package func packState(_ state: Floats?, batchSize n: Int, into panels: MutableFloats) {
    guard let state else {
      panels.update(repeating: 0, count: blocks * n * products.width)
      return
    }
    products.packPanels(
      columnsOf: state, units: hiddenSize, depth: n, stride: hiddenSize, panelStride: n * products.width, into: panels)
  }

  /// slots[rows] = b + W x
  private func inputProduct(_ x: Floats, rows: Int, firstRow: Int, _ memory: ForwardMemory) {
    let gates = cell.gates, biased = cell.biasedSlots, width = products.width
    let slotStride = memory.layout.slotStride, panelStride = inputSize * width
    let tiles = products.tiles(rows)
    let (xTiles, stride) = rowTiles(x, tiles, depth: inputSize, into: memory.xTiles)
    for block in 0..<blocks {
      tiles.forEach { row, count in
        let tile = memory.slots + (block * memory.layout.blockStride + (firstRow + row) * width)
        for slot in 0..<biased {
          fill_rows(
            products.kernels, tile + slot * slotStride, packed.bias.start + (block * biased + slot) * width, count)
        }
        products.run(
          xTiles + row * inputSize, count: count, stride: stride, packed.weightIH.start + block * gates * panelStride,
          panelCount: gates, panelStride: panelStride, depth: inputSize, c: tile, cPanelStride: slotStride,
          cRowStride: width, add: true)
      }
    }
  }

  /// One step: the gates of a block of units run on its tile as soon as its product is done.
  private func step(_ call: ForwardCall<Float>, _ memory: ForwardMemory, _ t: Int, firstRow: Int) {
    let n = call.batchSize, tiles = memory.tiles
    let previousH = t == 0 ? call.h0 : Floats(call.y + (t - 1) * n * hiddenSize)
    let (hTiles, stride) = rowTiles(previousH, tiles, depth: hiddenSize, into: memory.hTiles)
    let h = call.y + t * n * hiddenSize
    let downwards = call.scratch.turn()
    guard cell.resetsBefore else {
      forEachTile(tiles, downwards: downwards) { block, row, count in
        hiddenProduct(
          hTiles, stride, memory, block, row, count, gates: 0..<cell.gates, toSlot: cell.firstHiddenSlot,
          firstRow: firstRow)
        var tile = gateTile(call, memory, block, row, count, t: t, firstRow: firstRow, previousH: previousH, h: h)
        switch cell {
        case .rnn: RNNGates.forward(products.set, &tile)
        case .lstm: LSTMGates.forward(products.set, &tile)
        case .gru: GRUGates.forward(products.set, &tile)
        }
      }
      return
    }
    // n's product needs r∘h' of all units first.
    forEachTile(tiles, downwards: downwards) { block, row, count in
      hiddenProduct(hTiles, stride, memory, block, row, count, gates: 0..<2, toSlot: 1, firstRow: firstRow)
      var tile = gateTile(call, memory, block, row, count, t: t, firstRow: firstRow, previousH: previousH, h: h)
      GRUGates.resetForward(products.set, &tile)
    }
    packSlot(3, of: memory.slots, memory.layout, firstRow: firstRow, tiles, depth: hiddenSize, into: memory.hTiles)
    forEachTile(tiles, downwards: downwards) { block, row, count in
      hiddenProduct(memory.hTiles, 1, memory, block, row, count, gates: 2..<3, toSlot: 0, firstRow: firstRow)
      var tile = gateTile(call, memory, block, row, count, t: t, firstRow: firstRow, previousH: previousH, h: h)
      GRUGates.updateForward(products.set, &tile)
    }
  }

  /// The rows [rows][depth] as a product reads them, with their stride: plain, or packed where that pays.
  private func rowTiles(
    _ source: Floats, _ rows: RowTiles, depth: Int, into tiles: MutableFloats
  ) -> (rows: Floats, stride: Int) {
    if rows.rows == 1 { return (source, 1) }
    if depth <= FloatEngine.plainDepth { return (source, depth) }
    products.packRows(source, rows, stride: depth, depth: depth, into: tiles)
    return (Floats(tiles), 1)
  }

  /// slots += U h' of one tile
  @inline(__always)
  private func hiddenProduct(
    _ tiles: Floats, _ stride: Int, _ memory: ForwardMemory, _ block: Int, _ row: Int, _ count: Int, gates: Range<Int>,
    toSlot: Int,
    firstRow: Int
  ) {
    let width = products.width, panelStride = hiddenSize * width
    products.run(
      tiles + row * hiddenSize, count: count, stride: stride,
      packed.weightHH.start + (block * cell.gates + gates.lowerBound) * panelStride, panelCount: gates.count,
      panelStride: panelStride, depth: hiddenSize,
      c: memory.slots
        + (block * memory.layout.blockStride + toSlot * memory.layout.slotStride + (firstRow + row) * width),
      cPanelStride: memory.layout.slotStride, cRowStride: width, add: true)
  }

  @inline(__always)
  private func gateTile(
    _ call: ForwardCall<Float>, _ memory: ForwardMemory, _ block: Int, _ row: Int, _ count: Int, t: Int,
    firstRow: Int, previousH: Floats, h: MutableFloats
  ) -> gate_tile {
    let width = products.width, n = call.batchSize
    let slots = memory.slots + (block * memory.layout.blockStride + (firstRow + row) * width)
    let inRow = row * hiddenSize + block * width
    var tile = gate_tile()
    tile.slots = slots
    tile.slot_stride = memory.layout.slotStride
    tile.rows = count
    tile.width = width
    tile.units = min(width, hiddenSize - block * width)
    tile.previous_h = previousH + inRow
    tile.h = h + inRow
    tile.row_stride = hiddenSize
    tile.option = cell.option
    if let c = memory.c {
      let panel = c + (block * n + row) * width
      if call.record == nil {
        tile.previous_c = Floats(panel)
        tile.c = panel
      } else {
        let slot = slots + cell.slots * memory.layout.slotStride
        tile.previous_c = t == 0 ? Floats(panel) : Floats(slot - n * width)
        tile.c = slot
      }
    }
    return tile
  }

  // MARK: - Shared with backward

  /// Every block of units with every row tile of a step. Step by step the blocks are walked in turn upwards and
  /// downwards: the weights that were used last are still in the nearest cache that holds a part of them.
  @inline(__always)
  package func forEachTile(
    _ rows: RowTiles, downwards: Bool, _ body: (_ block: Int, _ row: Int, _ count: Int) -> Void
  ) {
    for index in 0..<blocks {
      let block = downwards ? blocks - 1 - index : index
      rows.forEach { row, count in body(block, row, count) }
    }
  }

  /// A slot's rows as row tiles [tile][depth][rows of the tile], with its units from `offset` in the tiles' depth.
  package func packSlot(
    _ slot: Int, of slots: MutableFloats, _ layout: SlotLayout, firstRow: Int, _ rows: RowTiles, depth: Int,
    offset: Int = 0,
    into tiles: MutableFloats
  ) {
    let width = products.width
    forEachTile(rows, downwards: false) { block, row, count in
      let source = slots + (block * layout.blockStride + slot * layout.slotStride + (firstRow + row) * width)
      pack(
        products.kernels, tiles + (row * depth + (offset + block * width) * count), count, source, count, width,
        min(width, hiddenSize - block * width), 1)
    }
  }
}

/// The memory of a forward call.
private struct ForwardMemory {
  let slots: MutableFloats
  let layout: SlotLayout
  /// Of a step's rows.
  let tiles: RowTiles
  let xTiles: MutableFloats
  let hTiles: MutableFloats
  /// [unit block][N][P]: c of the step before; with a record the initial c.
  let c: MutableFloats?

  func slot(_ slot: Int, row: Int, _ width: Int) -> MutableFloats {
    slots + (slot * layout.slotStride + row * width)
  }
}
