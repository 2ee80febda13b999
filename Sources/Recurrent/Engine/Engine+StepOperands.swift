import CRecurrentKernels

extension Engine {
  /// Whether `SlotStages` can run a step of so many rows of a stream: they fit one tile, and are packed only if they
  /// are rounded.
  func servesSlotStages(rows: Int) -> Bool {
    rows <= products.tiles(rows).size && !packsH(rows) && (products.rounds || !packsRows(rows, depth: inputSize))
  }

  /// The operands of a stage's slots += U·h', or U times a slot, for one block.
  @inline(__always)
  func hiddenOperands(
    _ stage: CellProgram.Stage, _ rows: StepRows, _ memory: ForwardMemory<E>, _ block: Int
  ) -> product {
    // An operand slot is packed as one tile [H][rows], and every operand that is rounded. A stage without a product
    // gets a product of no panels.
    let tile = products.rounds || stage.product?.operandSlot != nil ? memory.operandTiles : nil
    return operands(
      tile.map { UnsafePointer($0) } ?? rows.previous.start, tile == nil ? rows.previous.stride : 1, rows,
      depth: hiddenSize, UnsafePointer(packed.weightHH.start), stage.product?.gates ?? 0..<0, memory, block,
      slot: stage.product?.firstSlot ?? 0)
  }

  /// The operands of slots += the rows times some gates of packed weights.
  @inline(__always)
  func operands(
    _ source: UnsafePointer<E>, _ stride: Int, _ rows: StepRows, depth: Int,
    _ weights: UnsafePointer<E>,
    _ gates: Range<Int>, _ memory: ForwardMemory<E>, _ block: Int, slot: Int
  ) -> product {
    let width = products.width, panelStride = products.unitScalars(depth) * width, slotStride = memory.layout.slotStride
    return product(
      rows: source, row_count: rows.count, row_stride: rows.count == 1 ? 1 : stride,
      panels: weights + (block * program.gates + gates.lowerBound) * panelStride, panel_count: gates.count,
      panel_stride: panelStride, k: depth,
      c: memory.slots + (block * memory.layout.blockStride + slot * slotStride + rows.firstRow * width),
      c_panel_stride: slotStride, c_row_stride: width, add: true, next: nil, next_count: 0,
      panel_width: width)
  }

  /// Runs one product for all blocks of a thread in a step of few rows, if the product has one gate. The sums of one
  /// gate of one block are too few to hide the latency of their multiply-adds (RNN, H 64 to 512: forward of N 1 on AVX2
  /// and a stream's step in bf16 on AVX512_BF16 are 1.3 to 1.4 times as fast).
  ///
  /// - Parameters:
  ///   - downwards: whether the blocks are visited downwards.
  ///   - product: returns the product of the block that is visited first; called only if the product runs.
  /// - Returns: whether it ran. If not, the caller runs each block's product.
  @inline(__always)
  func runJoined(
    _ blocks: Range<Int>, gates: Int, _ memory: ForwardMemory<E>, downwards: Bool, _ product: (Int) -> product
  ) -> Bool {
    guard blocks.count > 1 && gates == 1 else { return false }
    let direction = downwards ? -1 : 1
    var all = product(downwards ? blocks.upperBound - 1 : blocks.lowerBound)
    all.panel_stride *= direction * program.gates
    all.panel_count = blocks.count
    all.c_panel_stride = direction * memory.layout.blockStride
    products.run(&all)
    return true
  }

  /// Packs some blocks of the slot that is the operand of a stage's product into row tiles; nil if the operand is h'.
  @inline(__always)
  func packOperand(
    of product: CellProgram.StageProduct?, _ rows: StepRows, _ memory: ForwardMemory<E>, _ blocks: Range<Int>
  ) -> UnsafePointer<E>? {
    guard let slot = product?.operandSlot, let tiles = memory.operandTiles else { return nil }
    packSlot(
      slot, of: memory.slots, memory.layout, firstRow: rows.firstRow, products.tiles(rows.count), blocks,
      depth: hiddenSize, into: tiles)
    return UnsafePointer(tiles)
  }
}
