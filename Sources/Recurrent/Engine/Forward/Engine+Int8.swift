import CRecurrentKernels

extension Engine {
  /// Packs the operand of a stage's product in 8 bits: h', or the slot that takes its place. Each thread packs some row
  /// tiles, because the scale of a row depends on all of its units.
  ///
  /// - Returns: the tiles of all rows, which are ready after the next barrier; nil if the stage has no product.
  @inline(__always)
  func quantizeOperand(
    of product: CellProgram.StageProduct?, _ rows: StepRows, _ memory: ForwardMemory<E>, _ share: Share
  ) -> UnsafePointer<E>? {
    guard let product, let tiles = memory.operandTiles else { return nil }
    let cut = products.tiles(rows.count), own = share.range(of: cut.count)
    if let slot = product.operandSlot {
      // The threads have written their own units of the slot, and have read the tiles of the stage before.
      share.barrier()
      products.quantizeRows(
        memory.slots + (slot * memory.layout.slotStride + rows.firstRow * products.width), cut, own,
        stride: products.width, depth: hiddenSize, piece: products.width, pieceStride: memory.layout.blockStride,
        into: tiles)
    } else {
      products.packRows(rows.previous.start, cut, own, stride: rows.previous.stride, depth: hiddenSize, into: tiles)
    }
    return UnsafePointer(tiles)
  }
}
