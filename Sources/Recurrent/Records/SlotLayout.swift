import CRecurrentKernels

/// What a record must know of a part's memory.
package struct PartLayout: BitwiseCopyable, Sendable {
  let blocks: Int
  /// The cell's slots, and one for each state beside h.
  let slots: Int
  let width: Int
}

/// Where the slots of a record lie: [unit block][slot][rows][P].
package struct SlotLayout: BitwiseCopyable, Sendable {
  package let slotStride: Int
  package let blockStride: Int
  package let count: Int

  /// - Parameter bytes: of a scalar.
  package init(_ part: PartLayout, rows: Int, bytes: Int) {
    // A page's multiple and a tile more: the tiles of neighbouring slots then lie in different sets of the cache.
    let page = 4096 / bytes, tile = 1536 / bytes
    slotStride = (rows * part.width + Int(PRODUCT_SLACK) + page - 1) / page * page + tile
    blockStride = part.slots * slotStride
    count = part.blocks * blockStride
  }
}
