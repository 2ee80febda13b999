import CRecurrentKernels

extension FloatEngine {
  /// Per chunk of steps: slots = b + W x for all its rows, then step by step slots += U h' and the gates. With a record
  /// the slots are the record's own rows, without one those of a chunk.
  public func forward(_ call: ForwardCall<Float>) {
    let n = call.batchSize, width = products.width
    let chunkRows = chunkSteps(steps: call.steps, batchSize: n) * n
    let chunkLayout = SlotLayout(blocks: blocks, slots: cell.slots, rows: chunkRows, width: width)
    let memory = call.scratch.carve { arena in
      ForwardMemory(
        slots: call.record?.slots.start ?? arena.take(chunkLayout.count),
        layout: call.record?.layout ?? chunkLayout,
        tiles: products.tiles(n),
        xTiles: packsRows(chunkRows, depth: inputSize) ? arena.take(chunkRows * inputSize) : nil,
        hTiles: packsRows(n, depth: hiddenSize)
          ? (arena.take(n * hiddenSize), arena.take(n * hiddenSize)) : nil,
        rhTiles: cell.resetsBefore ? arena.take(n * hiddenSize) : nil,
        c: cell.hasCellState ? call.record?.initialC.start ?? arena.take(blocks * n * width) : nil,
        turns: call.scratch.turns, farHH: products.isFar(blocks * cell.gates * hiddenSize * width))
    }
    call.scratch.turns += call.steps
    run(on: call.scratch, batchSize: n) { forward(call, memory, $0) }
  }

  /// One thread's part: its blocks of units. Between two barriers threads read what others wrote before the first alone.
  private func forward(_ call: ForwardCall<Float>, _ memory: ForwardMemory, _ share: Share) {
    let n = call.batchSize, stepsOfChunk = chunkSteps(steps: call.steps, batchSize: n)
    let own = share.part(of: blocks)
    if let c = memory.c { packState(call.c0, batchSize: n, own, into: c) }
    packH(call.h0, memory, own, forStep: 0)
    var chunk = 0
    while chunk < call.steps {
      let steps = min(stepsOfChunk, call.steps - chunk)
      let firstRow = call.record == nil ? 0 : chunk * n
      inputProduct(call.x + chunk * n * inputSize, rows: steps * n, firstRow: firstRow, memory, share)
      for step in 0..<steps {
        self.step(call, memory, chunk + step, firstRow: firstRow + step * n, share)
        share.barrier()
      }
      chunk += steps
    }
    if let cn = call.cn, let c = memory.c {
      if call.record == nil {
        copyState(ofPanels: c, panelStride: n * products.width, batchSize: n, own, to: cn)
      } else {
        copyState(
          ofPanels: memory.slots + (cell.slots * memory.layout.slotStride + (call.steps - 1) * n * products.width),
          panelStride: memory.layout.blockStride, batchSize: n, own, to: cn)
      }
    }
  }

  /// slots[rows] = b + W x
  private func inputProduct(_ x: Floats, rows: Int, firstRow: Int, _ memory: ForwardMemory, _ share: Share) {
    let gates = cell.gates, biased = cell.biasedSlots, width = products.width
    let slotStride = memory.layout.slotStride, panelStride = inputSize * width
    let tiles = products.tiles(rows)
    if let xTiles = memory.xTiles {
      products.packRows(x, tiles, share.part(of: tiles.count), stride: inputSize, depth: inputSize, into: xTiles)
    }
    share.barrier()
    let source = memory.xTiles.map { Floats($0) } ?? x, stride = rowStride(memory.xTiles, rows, inputSize)
    let own = share.part(of: blocks), far = products.isFar(own.count * gates * panelStride)
    for block in own {
      let slots = memory.slots + (block * memory.layout.blockStride + firstRow * width)
      let weights = packed.weightIH.start + block * gates * panelStride
      products.run(
        source, tiles, stride: stride, depth: inputSize, weights, panelCount: gates, panelStride: panelStride, c: slots,
        cPanelStride: slotStride, cRowStride: width, add: true, far: far,
        next: block + 1 < own.upperBound ? Floats(weights + gates * panelStride) : nil,
        before: { row, count in
          fill_rows(
            products.kernels, slots + row * width, slotStride, biased, packed.bias.start + block * biased * width, count
          )
        })
    }
  }

  /// One step: the gates of a block of units run on its tile as soon as its product is done.
  private func step(_ call: ForwardCall<Float>, _ memory: ForwardMemory, _ t: Int, firstRow: Int, _ share: Share) {
    let n = call.batchSize, tiles = memory.tiles, own = share.part(of: blocks)
    let previousH = t == 0 ? call.h0 : Floats(call.y + (t - 1) * n * hiddenSize)
    let source = memory.packedH(forStep: t).map { Floats($0) } ?? previousH
    let stride = rowStride(memory.hTiles?.even, n, hiddenSize)
    let h = call.y + t * n * hiddenSize
    let downwards = (memory.turns + t) & 1 == 1
    if cell.resetsBefore {
      // n's product needs r∘h' of all units first.
      forEachBlock(own, downwards: downwards) { block, next in
        hiddenProduct(source, stride, memory, block, next, gates: 0..<2, toSlot: 1, firstRow: firstRow) { row, count in
          var tile = gateTile(call, memory, block, row, count, t: t, firstRow: firstRow, previousH: previousH, h: h)
          GRUGates.resetForward(products.set, &tile)
        }
      }
      let rhTiles = memory.rhTiles!
      packSlot(3, of: memory.slots, memory.layout, firstRow: firstRow, tiles, own, depth: hiddenSize, into: rhTiles)
      share.barrier()
      forEachBlock(own, downwards: downwards) { block, next in
        hiddenProduct(Floats(rhTiles), 1, memory, block, next, gates: 2..<3, toSlot: 0, firstRow: firstRow) {
          row, count in
          var tile = gateTile(call, memory, block, row, count, t: t, firstRow: firstRow, previousH: previousH, h: h)
          GRUGates.updateForward(products.set, &tile)
        }
      }
    } else {
      forEachBlock(own, downwards: downwards) { block, next in
        hiddenProduct(
          source, stride, memory, block, next, gates: 0..<cell.gates, toSlot: cell.firstHiddenSlot, firstRow: firstRow
        ) { row, count in
          var tile = gateTile(call, memory, block, row, count, t: t, firstRow: firstRow, previousH: previousH, h: h)
          switch cell {
          case .rnn: RNNGates.forward(products.set, &tile)
          case .lstm: LSTMGates.forward(products.set, &tile)
          case .gru: GRUGates.forward(products.set, &tile)
          }
        }
      }
    }
    if t + 1 < call.steps { packH(Floats(h), memory, own, forStep: t + 1) }
  }

  // MARK: - Rows

  /// Whether a product's rows are packed into tiles. A single row is its own tile.
  private func packsRows(_ rows: Int, depth: Int) -> Bool { rows > 1 && depth > FloatEngine.plainDepth }

  /// What a product takes as the stride of rows: 1 of tiles and of a single row.
  private func rowStride(_ tiles: MutableFloats?, _ rows: Int, _ depth: Int) -> Int {
    tiles == nil && rows > 1 ? depth : 1
  }

  /// Some blocks' units of h [N,H] into the row tiles that a step reads, where it reads tiles.
  private func packH(_ h: Floats, _ memory: ForwardMemory, _ blocks: Range<Int>, forStep t: Int) {
    guard let packed = memory.packedH(forStep: t), !blocks.isEmpty else { return }
    let first = blocks.lowerBound * products.width
    let units = min(blocks.upperBound * products.width, hiddenSize) - first
    memory.tiles.forEach { row, count in
      pack(
        products.kernels, packed + (row * hiddenSize + first * count), count, h + (row * hiddenSize + first), count,
        hiddenSize, units, units, 1)
    }
  }

  /// slots += U h' of a block of units; `gates` is called with each row tile when it is done.
  @inline(__always)
  private func hiddenProduct(
    _ rows: Floats, _ stride: Int, _ memory: ForwardMemory, _ block: Int, _ next: Int?, gates: Range<Int>, toSlot: Int,
    firstRow: Int, then gatePass: (_ row: Int, _ count: Int) -> Void
  ) {
    let width = products.width, panelStride = hiddenSize * width
    func weights(_ block: Int) -> Floats {
      Floats(packed.weightHH.start + (block * cell.gates + gates.lowerBound) * panelStride)
    }
    products.run(
      rows, memory.tiles, stride: stride, depth: hiddenSize, weights(block), panelCount: gates.count,
      panelStride: panelStride,
      c: memory.slots + (block * memory.layout.blockStride + toSlot * memory.layout.slotStride + firstRow * width),
      cPanelStride: memory.layout.slotStride, cRowStride: width, add: true,
      far: memory.farHH, next: next.map(weights), after: gatePass)
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

  /// Some blocks of units. Step by step they are walked in turn upwards and downwards: the weights that were used last
  /// are still in the nearest cache that holds a part of them.
  @inline(__always)
  package func forEachBlock(_ blocks: Range<Int>, downwards: Bool, _ body: (_ block: Int, _ next: Int?) -> Void) {
    for index in 0..<blocks.count {
      let block = downwards ? blocks.upperBound - 1 - index : blocks.lowerBound + index
      body(block, index + 1 < blocks.count ? (downwards ? block - 1 : block + 1) : nil)
    }
  }

  /// Some blocks of units with every row tile of a step.
  @inline(__always)
  package func forEachTile(
    _ rows: RowTiles, _ blocks: Range<Int>, _ body: (_ block: Int, _ row: Int, _ count: Int) -> Void
  ) {
    for block in blocks { rows.forEach { row, count in body(block, row, count) } }
  }

  /// Some blocks of a slot's rows as row tiles [tile][depth][rows of the tile], with its units from `offset` in the
  /// tiles' depth.
  package func packSlot(
    _ slot: Int, of slots: MutableFloats, _ layout: SlotLayout, firstRow: Int, _ rows: RowTiles, _ blocks: Range<Int>,
    depth: Int, offset: Int = 0, into tiles: MutableFloats
  ) {
    let width = products.width
    forEachTile(rows, blocks) { block, row, count in
      let source = slots + (block * layout.blockStride + slot * layout.slotStride + (firstRow + row) * width)
      pack(
        products.kernels, tiles + (row * depth + (offset + block * width) * count), count, source, count, width,
        min(width, hiddenSize - block * width), width, 1)
    }
  }

  /// Some blocks of a state [N,H] as panels [unit block][N][P]; zero where there is none.
  package func packState(_ state: Floats?, batchSize n: Int, _ blocks: Range<Int>, into panels: MutableFloats) {
    let width = products.width, first = blocks.lowerBound * width
    let panels = panels + first * n
    guard let state else {
      panels.update(repeating: 0, count: blocks.count * n * width)
      return
    }
    products.packPanels(
      columnsOf: state + first, units: min(blocks.upperBound * width, hiddenSize) - first, depth: n, stride: hiddenSize,
      panelStride: n * width, into: panels)
  }

  /// Some blocks of panels, `panelStride` apart, as a state [N,H].
  package func copyState(
    ofPanels panels: Floats, panelStride: Int, batchSize n: Int, _ blocks: Range<Int>, to state: MutableFloats
  ) {
    let first = blocks.lowerBound * products.width
    products.copyRows(
      ofPanels: panels + blocks.lowerBound * panelStride, panelStride: panelStride, rows: n,
      units: min(blocks.upperBound * products.width, hiddenSize) - first, to: state + first, stride: hiddenSize)
  }
}

/// The memory of a forward call.
private struct ForwardMemory {
  let slots: MutableFloats
  let layout: SlotLayout
  /// Of a step's rows.
  let tiles: RowTiles
  /// A chunk's rows of x in tiles; nil where products read them where they are.
  let xTiles: MutableFloats?
  /// h in tiles, for even and odd steps: while a step reads one, the other is filled.
  let hTiles: (even: MutableFloats, odd: MutableFloats)?
  let rhTiles: MutableFloats?
  /// [unit block][N][P]: c of the step before; with a record the initial c.
  let c: MutableFloats?
  /// The scratch's, before this call.
  let turns: Int
  /// Whether a step's weights come from far.
  let farHH: Bool

  func packedH(forStep t: Int) -> MutableFloats? { t & 1 == 0 ? hTiles?.even : hTiles?.odd }
}
