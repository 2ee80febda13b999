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
    let threadCount = scratch.threads?.count ?? 1
    return scratch.carve { BackwardMemory(engine: self, call: call, threadCount: threadCount, arena: &$0) }
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
      for index in 0..<chunk.count {
        step(call, memory, call.reversed ? chunk.lowerBound + index : chunk.upperBound - 1 - index, share)
      }
      if let dx = call.dx, readsSlots || memory.xTiles != nil { inputGradient(call, memory, chunk, dx, share) }
      done += chunk.count
    }
    copyState(ofPanels: memory.dh, plan, own, to: call.dh0)
    if let dc0 = call.dc0 { copyState(ofPanels: memory.dc, plan, own, to: dc0) }
    parameterGradients(call, memory, share)
  }

  /// Uᵀ [block of H][G·H][P]
  func transposedHH(_ call: PartBackward) -> Floats {
    let depth = cell.gates * hiddenSize
    return Floats(
      packed.transposedHH.start(count: blocks * products.width * depth) { panels in
        products.packPanels(
          columnsOf: call.weightHH, units: hiddenSize, depth: depth, stride: hiddenSize,
          panelStride: depth * products.width, into: panels)
      })
  }

  /// Wᵀ [block of C][G·H][P], its gates in the order of the slots, so that its depth is that of the packed gradients.
  func transposedIH(_ call: PartBackward) -> Floats {
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
      forEachTile(rows.tiles, own) { block, row, count in
        var tile = gateTile(call, memory, rows, block, row, count)
        GRUGates.updatePass(update: cell.update, .float, products.set).backward(&tile)
      }
      packGradients(call, slots: 0..<1, rows, own, into: hTiles)
      share.barrier()
      hiddenGradient(call, hTiles, memory, own, rows, slots: 0..<1, firstGate: 2, to: memory.drh, add: false)
      forEachTile(rows.tiles, own) { block, row, count in
        var tile = gateTile(call, memory, rows, block, row, count)
        GRUGates.resetPass(.float, products.set).backward(&tile)
      }
      packGradients(call, slots: cell.hiddenSlots, rows, own, into: hTiles)
      share.barrier()
      hiddenGradient(
        call, hTiles, memory, own, rows, slots: cell.hiddenSlots, firstGate: 0, to: memory.dh, add: true)
    } else {
      forEachTile(rows.tiles, own) { block, row, count in
        var tile = gateTile(call, memory, rows, block, row, count)
        switch cell {
        case .rnn(let activation): RNNGates.pass(activation, .float, products.set).backward(&tile)
        case .lstm(let output): LSTMGates.pass(output, .float, products.set).backward(&tile)
        case .gru(_, let update): GRUGates.pass(update: update, .float, products.set).backward(&tile)
        }
      }
      packGradients(call, slots: 0..<cell.gradientSlots, rows, own, into: hTiles)
      share.barrier()
      hiddenGradient(
        call, hTiles, memory, own, rows, slots: cell.hiddenSlots, firstGate: 0, to: memory.dh, add: cell.carriesDh)
    }
    if let dx = call.dx, !readsSlots, memory.xTiles == nil {
      inputGradient(call, memory, hTiles, rows.tiles, cell.gradientSlots, dx.first(call.plan, t), share)
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
  func copyPreviousH(_ call: PartBackward, _ t: Int, _ r: Int, _ units: Range<Int>, to target: MutableFloats) {
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
    tile.slots = UnsafeMutableRawPointer(slots)
    tile.slot_stride = layout.slotStride
    tile.rows = count
    tile.width = width
    tile.units = min(width, hiddenSize - block * width)
    tile.previous_h = UnsafeRawPointer(rows.previousH + (row * rows.previousStride + block * width))
    tile.previous_stride = rows.previousStride
    tile.dy = rows.dy.map { UnsafeRawPointer($0 + (row * rows.dyStride + block * width)) }
    tile.dy_stride = rows.dyStride
    tile.dh = UnsafeMutableRawPointer(memory.dh + panel)
    if cell.hasCellState {
      tile.previous_c = UnsafeMutableRawPointer(slots + cell.slots * layout.slotStride)
      tile.dc = UnsafeMutableRawPointer(memory.dc + panel)
    }
    if cell.resetsBefore { tile.d_operand = UnsafeMutableRawPointer(memory.drh + panel) }
    return tile
  }

  /// Row tiles of a step's gradients of some slots, one slot's units after the other's in the tiles' depth; some blocks
  /// of them.
  private func packGradients(
    _ call: PartBackward, slots: Range<Int>, _ rows: BackwardRows, _ blocks: Range<Int>, into tiles: MutableFloats
  ) {
    if readsSlots { return }
    for slot in slots {
      packSlot(
        slot, of: call.record.slots, call.record.layout, firstRow: rows.first, rows.tiles, blocks,
        depth: cell.gradientSlots * hiddenSize, offset: slot * hiddenSize, into: tiles)
    }
  }

  /// Whether the gradients' products read the slots where they are, one slot after the other. In a single block of units
  /// each slot's rows are plain rows; packing them would take a quarter of the time (GRU, N 16, H 32).
  var readsSlots: Bool { blocks == 1 }

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
      tiles: tiles, rows.tiles,
      of: TileDepth(first: slots.lowerBound * hiddenSize, whole: cell.gradientSlots * hiddenSize),
      depth: slots.count * hiddenSize, panels: weights, panelStride: panelStride,
      panelCount: blocks.count, c: panels + blocks.lowerBound * cStride, cPanelStride: cStride, cRowStride: width,
      add: add)
  }

  /// dx = dG·W of tiles of some slots' gradients.
  private func inputGradient(
    _ call: PartBackward, _ memory: BackwardMemory, _ tiles: MutableFloats, _ rows: RowTiles, _ slots: Int,
    _ dx: MutableFloats, _ share: Share
  ) {
    let depth = cell.gates * hiddenSize
    products.multiply(
      tiles: tiles, rows, of: TileDepth(first: 0, whole: slots * hiddenSize), depth: depth,
      panels: memory.transposedIH!, panelStride: depth * products.width, share.part(of: products.panels(inputSize)),
      into: dx, units: inputSize, rest: memory.dxRest)
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
    } else if let xTiles = memory.xTiles {
      for slot in 0..<cell.gates {
        packSlot(
          slot, of: call.record.slots, call.record.layout, firstRow: first, tiles, share.part(of: blocks), depth: depth,
          offset: slot * hiddenSize, into: xTiles)
      }
      share.barrier()
      inputGradient(call, memory, xTiles, tiles, cell.gates, dx, share)
    }
    if memory.dxRows != nil {
      share.barrier()
      if share.index == 0 { place.scatter(plan, steps, size: inputSize, from: dx) }
      share.barrier()
    }
  }
}
