import CRecurrentKernels

/// The blocks of units and their rows, as both forward and backward use them.
extension Engine {
  /// The units of some blocks.
  func units(_ blocks: Range<Int>) -> Range<Int> {
    let first = min(blocks.lowerBound * products.width, hiddenSize)
    return first..<max(first, min(blocks.upperBound * products.width, hiddenSize))
  }

  /// Calls `body` with each of some blocks and with the block after it. Steps visit the blocks upwards and downwards in
  /// turn, because the weights that a step used last are still in a near cache when the next step begins.
  @inline(__always)
  package func forEachBlock(_ blocks: Range<Int>, downwards: Bool, _ body: (_ block: Int, _ next: Int?) -> Void) {
    for index in 0..<blocks.count {
      let block = downwards ? blocks.upperBound - 1 - index : blocks.lowerBound + index
      body(block, index + 1 < blocks.count ? (downwards ? block - 1 : block + 1) : nil)
    }
  }

  /// Packs some blocks of a gate slot into row tiles [tile][depth][rows of the tile]. The slot's units start at
  /// `offset` in the depth of the tiles.
  package func packSlot(
    _ slot: Int, of slots: UnsafeMutablePointer<E>, _ layout: SlotLayout, firstRow: Int, _ rows: RowTiles,
    _ blocks: Range<Int>,
    depth: Int, offset: Int = 0, into tiles: UnsafeMutablePointer<E>
  ) {
    let width = products.width
    for block in blocks {
      rows.forEach { row, count in
        let source = slots + (block * layout.blockStride + slot * layout.slotStride + (firstRow + row) * width)
        pack(
          products.kernels, tiles + (row * depth + (offset + block * width) * count), count, source, count, width,
          min(width, hiddenSize - block * width), width, 1)
      }
    }
  }

  /// Copies some blocks of a state [N,H] to panels [unit block][N][P], whose rows are in the plan's order. Without a
  /// state, the panels become zero.
  func packState(
    _ state: UnsafePointer<E>?, _ plan: RowPlan, _ blocks: Range<Int>, into panels: UnsafeMutablePointer<E>
  ) {
    let n = plan.batchSize, width = products.width, units = units(blocks)
    let panels = panels + blocks.lowerBound * n * width
    guard let state else {
      panels.update(repeating: 0, count: blocks.count * n * width)
      return
    }
    func pack(_ rows: Int, of sequence: Int, to row: Int) {
      products.packPanels(
        columnsOf: state + (sequence * hiddenSize + units.lowerBound), units: units.count, depth: rows,
        stride: hiddenSize, panelStride: n * width, into: panels + row * width)
    }
    if plan.isRagged {
      for row in 0..<n { pack(1, of: plan.sequence(row), to: row) }
    } else {
      pack(n, of: 0, to: 0)
    }
  }

  /// Copies some blocks of such panels back to a state [N,H].
  func copyState(
    ofPanels panels: UnsafePointer<E>, _ plan: RowPlan, _ blocks: Range<Int>, to state: UnsafeMutablePointer<E>
  ) {
    let n = plan.batchSize, width = products.width, units = units(blocks)
    func copy(_ rows: Int, from row: Int, to sequence: Int) {
      products.copyRows(
        ofPanels: panels + (blocks.lowerBound * n + row) * width, panelStride: n * width, rows: rows,
        units: units.count, to: state + (sequence * hiddenSize + units.lowerBound), stride: hiddenSize)
    }
    if plan.isRagged {
      for row in 0..<n { copy(1, from: row, to: plan.sequence(row)) }
    } else {
      copy(n, from: 0, to: 0)
    }
  }
}
