import CRecurrentKernels

/// The closing products: the gradients of the parameters, over all rows of a call.
extension Engine {
  /// A gate slot is already a packed operand. x and h' are packed by columns, at most `Blocking.closingRows` rows at a
  /// time.
  func parameterGradients(_ call: PartBackward<E>, _ memory: BackwardMemory<E>, _ share: Share) {
    let rows = call.plan.rowCount, own = share.range(of: blocks)
    guard rows > 0 else { return }
    let biased = program.biasedSlots, biasStride = biased * products.width
    (memory.bias + own.lowerBound * biasStride).update(repeating: 0, count: own.count * biasStride)
    var row = 0
    while row < rows {
      let count = min(Blocking.closingRows, rows - row)
      let (x, previousH) = closingRows(call, memory, row..<row + count, share)
      products.packColumns(
        x.start, stride: x.stride, memory.xColumnTiles, share.range(of: memory.xColumnTiles.count), depth: count,
        into: memory.xColumns)
      if call.parameters.dWeightHH != nil { packHColumns(memory, previousH.start, previousH.stride, count, share) }
      share.barrier()
      for block in own {
        close(
          ClosingProduct(firstSlot: 0, gates: 0..<program.gates, isInput: true), call, memory, block, row, count, share)
        for stage in stages {
          if let product = stage.product, product.operandSlot == nil {
            close(ClosingProduct(product), call, memory, block, row, count, share)
          }
        }
        for slot in 0..<biased {
          add_rows(
            products.kernels, memory.bias + (block * biased + slot) * products.width,
            slotRows(call.record, block, slot, row), count)
        }
      }
      share.barrier()
      for stage in stages {
        if let product = stage.product, let slot = product.operandSlot {
          closeSlotProduct(product, slot, call, memory, row, count, share)
        }
      }
      row += count
    }
    unpackGradients(call, memory, own)
  }

  /// Packs a thread's share of the columns of h', or of a slot that is the operand of a product with U.
  private func packHColumns(
    _ memory: BackwardMemory<E>, _ rows: UnsafePointer<E>, _ stride: Int, _ count: Int, _ share: Share
  ) {
    products.packColumns(
      rows, stride: stride, memory.hColumnTiles, share.range(of: memory.hColumnTiles.count), depth: count,
      into: memory.hColumns)
  }

  /// x and h' of some rows, at equal distances.
  private func closingRows(
    _ call: PartBackward<E>, _ memory: BackwardMemory<E>, _ rows: Range<Int>, _ share: Share
  ) -> (x: (start: UnsafePointer<E>, stride: Int), previousH: (start: UnsafePointer<E>, stride: Int)) {
    let plan = call.plan, y = call.record.y
    if share.index == 0, memory.xRows != nil || memory.closingH != nil {
      var at = 0, t = memory.step(ofRow: rows.lowerBound, plan)
      while at < rows.count {
        let r = rows.lowerBound + at - plan.offset(t)
        guard r < plan.count(t) else {
          t += 1
          continue
        }
        if let xRows = memory.xRows { (xRows + at * inputSize).update(from: call.x.at(plan, t, r), count: inputSize) }
        if let closingH = memory.closingH {
          copyPreviousH(call, t, r, 0..<hiddenSize, to: closingH + at * hiddenSize)
        }
        at += 1
      }
    }
    if memory.xRows != nil || memory.closingH != nil { share.barrier() }
    let stride = y.layout.row, toPrevious = (call.isReversed ? 1 : -1) * plan.batchSize
    return (
      memory.xRows.map { (UnsafePointer($0), inputSize) }
        ?? (call.x.base + rows.lowerBound * call.x.layout.row, call.x.layout.row),
      memory.closingH.map { (UnsafePointer($0), hiddenSize) }
        ?? (UnsafePointer(y.base + (rows.lowerBound + toPrevious) * stride), stride)
    )
  }

  /// dU of a stage whose operand is a slot, such as the GRU's dU_n = dnᵀ·(r∘h').
  private func closeSlotProduct(
    _ product: CellProgram.StageProduct, _ slot: Int, _ call: PartBackward<E>, _ memory: BackwardMemory<E>, _ row: Int,
    _ count: Int, _ share: Share
  ) {
    guard let operandRows = memory.operandRows else { return }
    let own = share.range(of: blocks), units = units(own)
    products.copyRows(
      ofPanels: UnsafePointer(slotRows(call.record, own.lowerBound, slot, row)),
      panelStride: call.record.layout.blockStride, rows: count, units: units.count, to: operandRows + units.lowerBound,
      stride: hiddenSize)
    share.barrier()
    packHColumns(memory, operandRows, hiddenSize, count, share)
    share.barrier()
    for block in own { close(ClosingProduct(product), call, memory, block, row, count, share) }
    share.barrier()
  }

  /// The address of a row of a slot, in a block.
  func slotRows(_ record: PartRecord<E>.Place, _ block: Int, _ slot: Int, _ row: Int) -> UnsafeMutablePointer<E> {
    record.slots
      + (block * record.layout.blockStride + slot * record.layout.slotStride + row * products.width)
  }

  /// The gradients of some slots, transposed, times the columns of x or of the operand of U.
  private struct ClosingProduct {
    let firstSlot: Int
    /// The gates of the slots: their positions in W's window, or the gates of U.
    let gates: Range<Int>
    let isInput: Bool

    init(firstSlot: Int, gates: Range<Int>, isInput: Bool) {
      self.firstSlot = firstSlot
      self.gates = gates
      self.isInput = isInput
    }
    init(_ product: CellProgram.StageProduct) {
      self.init(firstSlot: product.firstSlot, gates: product.gates, isInput: false)
    }
  }

  /// sums += dGᵀ·columns, over some rows.
  private func close(
    _ closing: ClosingProduct, _ call: PartBackward<E>, _ memory: BackwardMemory<E>, _ block: Int, _ row: Int,
    _ count: Int, _ share: Share
  ) {
    let width = products.width, columns = closing.isInput ? memory.xColumnTiles : memory.hColumnTiles
    let columnTiles = UnsafePointer(closing.isInput ? memory.xColumns : memory.hColumns)
    var gradients = UnsafePointer(slotRows(call.record, block, closing.firstSlot, row))
    var gradientStride = call.record.layout.slotStride
    if let rounded = products.rounded, let buffer = memory.roundedGradients {
      let stride = products.unitScalars(count) * width, target = buffer + share.index * program.gates * stride
      for gate in 0..<closing.gates.count {
        rounded.pointee.round_panel!(
          target + gate * stride, width, Products.floats(gradients + gate * gradientStride), count)
      }
      (gradients, gradientStride) = (UnsafePointer(target), stride)
    }
    func run(_ column: Int, _ together: Int, into c: UnsafeMutablePointer<E>, panelStride: Int, add: Bool) {
      products.run(
        columnTiles + column * products.rowScalars(count), count: together, gradients,
        panelCount: closing.gates.count, panelStride: gradientStride, depth: count, c: c,
        cPanelStride: panelStride, cRowStride: width, add: add)
    }
    switch memory.parameters {
    case .sums(let dWeightIH, let dWeightHH):
      let panelStride = columns.rows * width
      let sums =
        (closing.isInput ? dWeightIH : dWeightHH)
        + (block * program.gates + closing.gates.lowerBound) * panelStride
      columns.forEach { column, together in
        run(column, together, into: sums + column * width, panelStride: panelStride, add: row > 0)
      }
    case .strips(let strips, let stride):
      let near = strips + share.index * stride, stripStride = memory.stripColumns * width
      let target = closing.isInput ? call.parameters.dWeightIH : call.parameters.dWeightHH!
      closeStrips(columns, memory.stripColumns, closing, near, stripStride, block, to: target) {
        first, column, together in
        run(column, together, into: near + (column - first) * width, panelStride: stripStride, add: false)
      }
    }
  }

  /// Multiplies one strip of columns at a time and adds each strip's products to the caller's gradients at once.
  @inline(__always)
  private func closeStrips(
    _ columns: RowTiles, _ stripColumns: Int, _ closing: ClosingProduct, _ near: UnsafeMutablePointer<E>,
    _ stripStride: Int, _ block: Int, to target: UnsafeMutablePointer<E>,
    product: (_ first: Int, _ column: Int, _ together: Int) -> Void
  ) {
    let units = units(block..<block + 1)
    for first in stride(from: 0, to: columns.rows, by: stripColumns) {
      let strip = min(stripColumns, columns.rows - first)
      columns.forEach(first / columns.size..<(first + strip + columns.size - 1) / columns.size) { column, together in
        product(first, column, together)
      }
      for position in 0..<closing.gates.count {
        let gate = closing.isInput ? program.inputGates[position] : closing.gates.lowerBound + position
        unpack_adding(
          products.kernels, target + ((gate * hiddenSize + units.lowerBound) * columns.rows + first),
          columns.rows, near + position * stripStride, products.width, units.count, strip)
      }
    }
  }

  /// Adds some blocks of the packed gradients to the caller's gradients.
  private func unpackGradients(_ call: PartBackward<E>, _ memory: BackwardMemory<E>, _ blocks: Range<Int>) {
    let gates = program.gates, width = products.width, parameters = call.parameters
    let units = units(blocks), firstUnit = units.lowerBound
    func unpack(_ packed: UnsafeMutablePointer<E>, position: Int, depth: Int, to target: UnsafeMutablePointer<E>) {
      products.unpackAdding(
        packed + (blocks.lowerBound * gates + position) * depth * width, panelStride: gates * depth * width,
        units: units.count, depth: depth, to: target + firstUnit * depth)
    }
    for (position, gate) in program.inputGates.enumerated() {
      let first = gate * hiddenSize
      if case .sums(let dWeightIH, let dWeightHH) = memory.parameters {
        unpack(dWeightIH, position: position, depth: inputSize, to: parameters.dWeightIH + first * inputSize)
        if let target = parameters.dWeightHH {
          unpack(dWeightHH, position: gate, depth: hiddenSize, to: target + first * hiddenSize)
        }
      }
      if let dBiasIH = parameters.dBiasIH { addBias(memory, slot: position, units, to: dBiasIH + first) }
      if let dBiasHH = parameters.dBiasHH {
        addBias(memory, slot: program.recurrentBiasSlots[gate], units, to: dBiasHH + first)
      }
    }
    if let dVectors = parameters.dVectors {
      for vector in 0..<program.vectors {
        addUnits(
          memory.dVectors, vector, of: program.vectors, units, to: dVectors + vector * hiddenSize)
      }
    }
  }

  private func addBias(
    _ memory: BackwardMemory<E>, slot: Int, _ units: Range<Int>, to target: UnsafeMutablePointer<E>
  ) {
    addUnits(memory.bias, slot, of: program.biasedSlots, units, to: target)
  }

  /// target[unit] += sums[unit block][row][P], for one row
  private func addUnits(
    _ sums: UnsafeMutablePointer<E>, _ row: Int, of rows: Int, _ units: Range<Int>, to target: UnsafeMutablePointer<E>
  ) {
    let width = products.width
    for unit in units { target[unit] += sums[(unit / width * rows + row) * width + unit % width] }
  }
}
