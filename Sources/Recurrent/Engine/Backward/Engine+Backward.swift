import CRecurrentKernels

/// Backward through time, in the memory of the record. In each step, the gradients of the gates overwrite the gates,
/// and dh' = dG·U. After each chunk of steps, dx = dG·W. At the end, over all rows, dW = dGᵀ·x, dU = dGᵀ·h' and db = Σ
/// dG.
extension Engine {
  func prepareBackward(_ call: PartBackward<E>, _ scratch: Scratch<E>) -> BackwardMemory<E> {
    let threadCount = scratch.threads?.count ?? 1
    return scratch.carve { BackwardMemory(engine: self, call: call, threadCount: threadCount, arena: &$0) }
  }

  /// One thread's share of a call: its blocks of units and, for dx, its panels of C. Between two barriers, a thread may
  /// read only what other threads wrote before the first barrier.
  func backward(_ call: PartBackward<E>, _ memory: BackwardMemory<E>, _ share: Share) {
    let plan = call.plan, walk = call.walk, own = share.range(of: blocks)
    packState(call.dhn, plan, own, into: memory.dh)
    if let dc = memory.dc { packState(call.dcn, plan, own, into: dc) }
    (memory.dVectors + own.lowerBound * program.vectors * products.width).update(
      repeating: 0, count: own.count * program.vectors * products.width)

    var done = 0
    while done < walk.count {
      let chunk = walk.chunk(after: done, rows: Blocking.mostChunkRows)
      for index in 0..<chunk.count { runStep(call, memory, chunk[index], share) }
      switch memory.input {
      case .none, .stepTiles: break
      case .slots, .chunkTiles: inputGradient(call, memory, chunk.steps, share)
      }
      done += chunk.count
    }
    copyState(ofPanels: memory.dh, plan, own, to: call.dh0)
    if let dc0 = call.dc0, let dc = memory.dc { copyState(ofPanels: dc, plan, own, to: dc0) }
    parameterGradients(call, memory, share)
  }

  // MARK: - One step

  /// Each thread turns its own units' gates into gradients and packs them, or rounds some whole rows. After the
  /// barrier, every thread multiplies all tiles by its own columns of U. The next step fills the other buffer of tiles.
  private func runStep(_ call: PartBackward<E>, _ memory: BackwardMemory<E>, _ t: Int, _ share: Share) {
    let count = call.plan.count(t)
    guard count > 0 else { return }
    let own = share.range(of: blocks)
    let rows = stepRows(call, memory, t, count: count, own)
    let tiles: UnsafeMutablePointer<E>? =
      switch memory.step {
      case .slots: nil
      case .tiles(let even, let odd): t & 1 == 0 ? even : odd
      }
    for index in stride(from: stages.count - 1, through: 0, by: -1) {
      let stage = stages[index]
      if !own.isEmpty {
        var tile = gateTile(call, memory, rows, own)
        stage.pass.backward(&tile)
      }
      if let tiles {
        // A thread rounds whole rows, with units that other threads compute.
        if products.rounds { share.barrier() }
        packGradients(
          call, slots: stage.gradients, firstRow: rows.first, rows.tiles, slotsInTiles: program.gradientSlots, share,
          into: tiles)
      }
      share.barrier()
      if let product = stage.product {
        hiddenGradient(call, tiles, memory, own, rows, product, leavesDh: stage.leavesDh, downwards: t & 1 == 1)
      }
    }
    if case .stepTiles = memory.input, let tiles, let dx = call.dx {
      inputGradient(memory, tiles, rows.tiles, slotsInTiles: program.gradientSlots, dx.first(call.plan, t), share)
    }
    stopAtRestarts(call, memory, t, own)
  }

  /// The rows of one step.
  struct BackwardRows: BitwiseCopyable {
    let first: Int  // in the record
    let tiles: RowTiles
    let previousH: UnsafePointer<E>
    let previousStride: Int
    let dy: UnsafePointer<E>?
    let dyStride: Int
  }

  private func stepRows(
    _ call: PartBackward<E>, _ memory: BackwardMemory<E>, _ t: Int, count: Int, _ own: Range<Int>
  ) -> BackwardRows {
    let plan = call.plan, units = units(own), y = call.record.y
    let toPrevious = (call.isReversed ? 1 : -1) * plan.batchSize * y.layout.row
    var previousH = UnsafePointer(y.first(plan, t) + toPrevious), previousStride = y.layout.row
    if let rows = memory.previousRows {
      for r in 0..<count { copyPreviousH(call, t, r, units, to: rows + r * hiddenSize) }
      previousH = UnsafePointer(rows)
      previousStride = hiddenSize
    }
    var dy = call.dy.map { $0.first(plan, t) }, dyStride = call.dy?.layout.row ?? 0
    if let place = call.dy, !place.layout.isEvenInSteps(plan) {
      dy = UnsafePointer(memory.dyRows)
      dyStride = hiddenSize
      for r in 0..<count {
        (memory.dyRows + (r * hiddenSize + units.lowerBound)).update(
          from: place.at(plan, t, r) + units.lowerBound, count: units.count)
      }
    }
    return BackwardRows(
      first: plan.offset(t), tiles: products.tiles(count), previousH: previousH, previousStride: previousStride,
      dy: dy, dyStride: dyStride)
  }

  /// Copies some units of h' of a row.
  func copyPreviousH(
    _ call: PartBackward<E>, _ t: Int, _ r: Int, _ units: Range<Int>, to target: UnsafeMutablePointer<E>
  ) {
    let plan = call.plan, before = call.walk.opposite.before(t), y = call.record.y
    let target = target + units.lowerBound
    if (0..<plan.steps).contains(before), r < plan.count(before) {
      if plan.resets(max(t, before), r) {
        target.update(repeating: 0, count: units.count)
      } else {
        target.update(from: y.at(plan, before, r) + units.lowerBound, count: units.count)
      }
    } else if !call.isReversed, plan.resets(t, r) {
      target.update(repeating: 0, count: units.count)
    } else {
      // The record keeps the initial states before the first row and after the last one, in the plan's order.
      let row = call.isReversed ? plan.rowCount + r : r - plan.batchSize
      target.update(from: y.base + row * y.layout.row + units.lowerBound, count: units.count)
    }
  }

  /// Zeroes the gradients of rows whose state was reset: no gradient flows to the step before.
  private func stopAtRestarts(_ call: PartBackward<E>, _ memory: BackwardMemory<E>, _ t: Int, _ own: Range<Int>) {
    let plan = call.plan, before = call.walk.opposite.before(t), width = products.width
    guard plan.hasResets, before < plan.steps else { return }
    let later = max(t, before)
    for r in 0..<min(plan.count(t), plan.count(later)) where plan.resets(later, r) {
      for block in own {
        let row = (block * plan.batchSize + r) * width
        (memory.dh + row).update(repeating: 0, count: width)
        if let dc = memory.dc { (dc + row).update(repeating: 0, count: width) }
      }
    }
  }

  /// The gate tile of a step, for some blocks.
  private func gateTile(
    _ call: PartBackward<E>, _ memory: BackwardMemory<E>, _ rows: BackwardRows, _ blocks: Range<Int>
  ) -> gate_tile {
    let record = call.record, layout = record.layout, width = products.width, units = units(blocks)
    let block = blocks.lowerBound, stateStride = call.plan.batchSize * width
    let slots = record.slots + (block * layout.blockStride + rows.first * width)
    let panel = block * stateStride
    var tile = gate_tile()
    tile.slots = UnsafeMutableRawPointer(slots)
    tile.slot_stride = layout.slotStride
    tile.slot_block_stride = layout.blockStride
    tile.state_block_stride = stateStride
    tile.rows = rows.tiles.rows
    tile.width = width
    tile.units = units.count
    tile.previous_h = UnsafeRawPointer(rows.previousH + units.lowerBound)
    tile.previous_stride = rows.previousStride
    tile.dy = rows.dy.map { UnsafeRawPointer($0 + units.lowerBound) }
    tile.dy_stride = rows.dyStride
    tile.dh = UnsafeMutableRawPointer(memory.dh + panel)
    tile.vectors = UnsafeRawPointer(packed.vectors.start + block * program.vectors * width)
    tile.vector_gradients = UnsafeMutableRawPointer(memory.dVectors + block * program.vectors * width)
    if let dc = memory.dc {
      tile.previous_c = UnsafeMutableRawPointer(slots + program.slots * layout.slotStride)
      tile.dc = UnsafeMutableRawPointer(dc + panel)
    }
    if let dOperand = memory.dOperand { tile.d_operand = UnsafeMutableRawPointer(dOperand + panel) }
    return tile
  }

  /// Packs a thread's share of some rows' gradients into row tiles. In the depth of the tiles, the units of each slot
  /// follow those of the slot before. If gradients are rounded, each slot has tiles of its own.
  ///
  /// - Parameter slotsInTiles: how many slots the tiles are for.
  private func packGradients(
    _ call: PartBackward<E>, slots: Range<Int>, firstRow: Int, _ rows: RowTiles, slotsInTiles: Int, _ share: Share,
    into tiles: UnsafeMutablePointer<E>
  ) {
    let record = call.record
    for slot in slots {
      if products.rounds {
        products.round(
          slotToRound(slot, of: record.slots, record.layout, firstRow: firstRow, count: rows.rows), rows,
          share.range(of: rows.count), into: tiles + slot * rows.rows * products.rowScalars(hiddenSize))
      } else {
        packSlot(
          slot, of: record.slots, record.layout, firstRow: firstRow, rows, share.range(of: blocks),
          depth: slotsInTiles * hiddenSize, offset: slot * hiddenSize, into: tiles)
      }
    }
  }

  /// Where `packGradients` has put a slot.
  private func place(
    ofSlot slot: Int, in tiles: UnsafeMutablePointer<E>, _ rows: RowTiles, slotsInTiles: Int
  ) -> (tiles: UnsafePointer<E>, depth: TileDepth?) {
    products.rounds
      ? (UnsafePointer(tiles + slot * rows.rows * products.rowScalars(hiddenSize)), nil)
      : (UnsafePointer(tiles), TileDepth(first: slot * hiddenSize, whole: slotsInTiles * hiddenSize))
  }

  // MARK: - Products

  /// How many slots one product contracts over, so that the units of all of them are one chain of additions. Rounded
  /// slots have tiles and panels of their own.
  private var slotsTogether: Int { hiddenSize <= Blocking.gateByGateUnits || products.rounds ? 1 : .max }

  /// panels [unit block][N][P] = or += dG·U over the window of a stage's product, for some blocks. Steps visit the
  /// panels of U upwards and downwards in turn, as in `forEachBlock`.
  private func hiddenGradient(
    _ call: PartBackward<E>, _ tiles: UnsafeMutablePointer<E>?, _ memory: BackwardMemory<E>, _ blocks: Range<Int>,
    _ rows: BackwardRows, _ product: CellProgram.StageProduct, leavesDh: Bool, downwards: Bool
  ) {
    guard let transposed = memory.transposedHH else { return }
    let width = products.width, ofGate = products.unitScalars(hiddenSize) * width, panelStride = program.gates * ofGate
    let rowCount = call.plan.batchSize
    let panels: UnsafeMutablePointer<E>
    let add: Bool
    if product.operandSlot != nil, let dOperand = memory.dOperand {
      (panels, add) = (dOperand, false)
    } else {
      (panels, add) = (memory.dh, leavesDh)
    }
    let weights = transposed + (product.gates.lowerBound * ofGate + blocks.lowerBound * panelStride)
    let together = min(slotsTogether, product.gates.count)
    for first in stride(from: 0, to: product.gates.count, by: together) {
      let slot = product.firstSlot + first
      if let tiles {
        let source = place(ofSlot: slot, in: tiles, rows.tiles, slotsInTiles: program.gradientSlots)
        products.multiply(
          tiles: source.tiles, rows.tiles, of: source.depth, depth: together * hiddenSize,
          panels: weights + first * ofGate, panelStride: panelStride,
          panelCount: blocks.count, downwards: downwards, c: panels + blocks.lowerBound * rowCount * width,
          cPanelStride: rowCount * width, cRowStride: width, add: add || first > 0)
      } else {
        // One block of units has one panel.
        products.run(
          slotRows(call.record, 0, slot, rows.first), rows.tiles, stride: width, depth: hiddenSize,
          weights + first * ofGate, panelCount: 1, panelStride: 0, c: panels, cPanelStride: 0,
          cRowStride: width, add: add || first > 0)
      }
    }
  }

  /// dx = dG·W, from tiles whose first slots are those of W's window.
  private func inputGradient(
    _ memory: BackwardMemory<E>, _ tiles: UnsafeMutablePointer<E>, _ rows: RowTiles, slotsInTiles: Int,
    _ dx: UnsafeMutablePointer<E>, _ share: Share
  ) {
    let ofGate = products.unitScalars(hiddenSize) * products.width, panelStride = program.gates * ofGate
    let together = min(slotsTogether, program.gates)
    for slot in stride(from: 0, to: program.gates, by: together) {
      let source = place(ofSlot: slot, in: tiles, rows, slotsInTiles: slotsInTiles)
      products.multiply(
        tiles: source.tiles, rows, of: source.depth, depth: together * hiddenSize,
        panels: memory.transposedIH! + slot * ofGate, panelStride: panelStride,
        share.range(of: products.panels(inputSize)), into: dx, units: inputSize, rest: memory.dxRest, add: slot > 0)
    }
  }

  /// dx = dG·W for a chunk of steps. The barriers of the next chunk's steps keep a thread from packing new tiles before
  /// all threads are done with these.
  private func inputGradient(_ call: PartBackward<E>, _ memory: BackwardMemory<E>, _ steps: Range<Int>, _ share: Share)
  {
    let plan = call.plan, first = plan.offset(steps.lowerBound), count = plan.offset(steps.upperBound) - first
    guard count > 0, let place = call.dx else { return }
    let tiles = products.tiles(count), width = products.width
    let dx = memory.dxRows ?? place.first(plan, steps.lowerBound)
    if case .chunkTiles(let chunkTiles) = memory.input {
      packGradients(
        call, slots: 0..<program.gates, firstRow: first, tiles, slotsInTiles: program.gates, share, into: chunkTiles)
      share.barrier()
      inputGradient(memory, chunkTiles, tiles, slotsInTiles: program.gates, dx, share)
    } else {
      for slot in 0..<program.gates {
        products.multiply(
          tiles: UnsafePointer(slotRows(call.record, 0, slot, first)), tiles, stride: width, depth: hiddenSize,
          panels: memory.transposedIH! + slot * hiddenSize * width, panelStride: program.gates * hiddenSize * width,
          into: dx, units: inputSize, rest: memory.dxRest, add: slot > 0)
      }
    }
    if memory.dxRows != nil {
      share.barrier()
      if share.index == 0 { place.scatter(plan, steps, size: inputSize, from: dx) }
      share.barrier()
    }
  }
}
