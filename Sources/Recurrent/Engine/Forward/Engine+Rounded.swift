import CRecurrentKernels

extension Engine {
  /// The rows of a step that the product of a stage multiplies, to be rounded: h', or the slot that takes its place.
  func operandToRound(
    of product: CellProgram.StageProduct?, _ rows: StepRows, _ memory: ForwardMemory<E>
  ) -> rounded_rows {
    guard let slot = product?.operandSlot else {
      return products.rowsToRound(
        rows.previous.start, count: rows.count, stride: rows.previous.stride, depth: hiddenSize)
    }
    return slotToRound(slot, of: memory.slots, memory.layout, firstRow: rows.firstRow, count: rows.count)
  }

  /// Some rows of a gate slot, to be rounded.
  func slotToRound(
    _ slot: Int, of slots: UnsafeMutablePointer<E>, _ layout: SlotLayout, firstRow: Int, count: Int
  ) -> rounded_rows {
    let width = products.width
    return products.rowsToRound(
      slots + (slot * layout.slotStride + firstRow * width), count: count, stride: width, depth: hiddenSize,
      piece: width, pieceStride: layout.blockStride)
  }

  /// Rounds the operand of a stage's product into tiles. Each thread rounds some row tiles, because in 8 bits the scale
  /// of a row depends on all of its units.
  ///
  /// - Returns: the tiles of all rows, which are ready after the next barrier; nil if the stage has no product.
  @inline(__always)
  func roundOperand(
    of product: CellProgram.StageProduct?, _ rows: StepRows, _ memory: ForwardMemory<E>, _ share: Share
  ) -> UnsafePointer<E>? {
    guard let product, let tiles = memory.operandTiles else { return nil }
    // The threads have written their own units of the slot, and have read the tiles of the stage before.
    if product.operandSlot != nil { share.barrier() }
    let cut = products.tiles(rows.count)
    products.round(operandToRound(of: product, rows, memory), cut, share.range(of: cut.count), into: tiles)
    return UnsafePointer(tiles)
  }
}
