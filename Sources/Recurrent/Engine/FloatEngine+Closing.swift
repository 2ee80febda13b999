import CRecurrentKernels

/// The gradients of the parameters, over all rows of a call.
extension FloatEngine {
  /// A slot over all rows is a packed operand already; x and h' are packed by columns, a block of rows at a time.
  func parameterGradients(_ call: PartBackward, _ memory: BackwardMemory, _ share: Share) {
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
        close(
          ClosingProduct(
            slots: 0..<cell.gates, columnTiles: memory.xColumns, columns: memory.xColumnTiles, firstGate: 0,
            sums: memory.dWeightIH, target: call.dWeightIH, isInput: true), call, memory, block, row, count, share)
        close(
          ClosingProduct(
            slots: cell.hiddenSlots, columnTiles: memory.hColumns, columns: memory.hColumnTiles, firstGate: 0,
            sums: memory.dWeightHH, target: call.dWeightHH, isInput: false), call, memory, block, row, count, share)
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
      close(
        ClosingProduct(
          slots: 0..<1, columnTiles: memory.hColumns, columns: memory.hColumnTiles, firstGate: 2,
          sums: memory.dWeightHH, target: call.dWeightHH, isInput: false), call, memory, block, row, count, share)
    }
    share.barrier()
  }

  func slotRows(_ record: PartRecord.Place, _ block: Int, _ slot: Int, _ row: Int) -> MutableFloats {
    record.slots
      + (block * record.layout.blockStride + slot * record.layout.slotStride + row * products.width)
  }

  /// dGᵀ·columns of some slots.
  private struct ClosingProduct {
    let slots: Range<Int>
    let columnTiles: Floats
    let columns: RowTiles
    let firstGate: Int  // of the gates that the slots are the gradients of
    let sums: MutableFloats?  // [block][gate][column][P]; nil where one pass has all rows
    let target: MutableFloats  // as the parameter
    let isInput: Bool
  }

  /// Over a block of rows, sums += dGᵀ·columns. Where that are all rows, a group of columns at a time goes to the
  /// caller's gradients while it is near: with few rows the sums' way to memory and back would cost more than they do.
  private func close(
    _ closing: ClosingProduct, _ call: PartBackward, _ memory: BackwardMemory, _ block: Int, _ row: Int, _ count: Int,
    _ share: Share
  ) {
    let width = products.width, columns = closing.columns
    func run(_ column: Int, _ together: Int, into c: MutableFloats, panelStride: Int, add: Bool) {
      products.run(
        closing.columnTiles + column * count, count: together,
        slotRows(call.record, block, closing.slots.lowerBound, row), panelCount: closing.slots.count,
        panelStride: call.record.layout.slotStride, depth: count, c: c, cPanelStride: panelStride, cRowStride: width,
        add: add)
    }
    if let sums = closing.sums {
      let panelStride = columns.rows * width
      let ofBlock = sums + (block * cell.gates + closing.firstGate) * panelStride
      columns.forEach { column, together in
        run(column, together, into: ofBlock + column * width, panelStride: panelStride, add: row > 0)
      }
      return
    }
    let units = units(block..<block + 1), groupStride = memory.groupColumns * width
    let near = memory.groups + share.index * memory.groupStride
    for first in stride(from: 0, to: columns.rows, by: memory.groupColumns) {
      let group = min(memory.groupColumns, columns.rows - first)
      columns.forEach(first / columns.size..<(first + group + columns.size - 1) / columns.size) { column, together in
        run(
          column, together, into: near + (column - first) * width, panelStride: groupStride, add: false)
      }
      for place in 0..<closing.slots.count {
        let gate = closing.isInput ? cell.inputOrder[place] : closing.firstGate + place
        unpack_adding(
          products.kernels, closing.target + ((gate * hiddenSize + units.lowerBound) * columns.rows + first),
          columns.rows, near + place * groupStride, width, units.count, group)
      }
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
      if let dWeightIH = memory.dWeightIH, let dWeightHH = memory.dWeightHH {
        unpack(dWeightIH, place: place, depth: inputSize, to: call.dWeightIH + first * inputSize)
        unpack(dWeightHH, place: gate, depth: hiddenSize, to: call.dWeightHH + first * hiddenSize)
      }
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
