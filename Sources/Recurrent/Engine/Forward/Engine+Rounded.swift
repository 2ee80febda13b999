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
    let width = products.width
    return products.rowsToRound(
      memory.slots + (slot * memory.layout.slotStride + rows.firstRow * width), count: rows.count, stride: width,
      depth: hiddenSize, piece: width, pieceStride: memory.layout.blockStride)
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
