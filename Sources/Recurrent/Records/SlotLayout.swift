import CRecurrentKernels

/// What a record has to know of a part.
package struct PartLayout: BitwiseCopyable, Sendable {
  let blocks: Int
  /// The number of slots: those of the cell, and one for each state beside h.
  let slots: Int
  let width: Int
}

/// The layout of gate slots: [unit block][slot][rows][P].
package struct SlotLayout: BitwiseCopyable, Sendable {
  package let slotStride: Int
  package let blockStride: Int
  package let count: Int

  /// - Parameter bytes: the size of a scalar.
  package init(_ part: PartLayout, rows: Int, bytes: Int) {
    // The stride is a multiple of a page plus one tile, so that tiles of neighboring slots lie in different cache sets.
    let page = 4096 / bytes, tile = 1536 / bytes
    slotStride = (rows * part.width + Int(PRODUCT_SLACK) + page - 1) / page * page + tile
    blockStride = part.slots * slotStride
    count = part.blocks * blockStride
  }
}
