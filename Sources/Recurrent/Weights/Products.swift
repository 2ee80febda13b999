import CRecurrentKernels

/// The kernels of one instruction set and scalar, with the loops around them.
package struct Products<E: Element>: BitwiseCopyable, @unchecked Sendable {
  package let kernels: UnsafePointer<product_kernels>
  /// P, the number of units of a panel.
  package let width: Int
  /// The kernels for rounded weights and rows; nil if the weights are full.
  package let rounded: UnsafePointer<rounded_kernels>?
  /// The size in bytes of the second cache, in which loops keep their operands.
  package let secondCache: Int
  /// The weights of a step, in bytes, that the second cache does not keep until the next step.
  package let farWeightBytes: Int

  /// - Parameters:
  ///   - instructionSet: the instruction set of the kernels; nil for `Processor.active`.
  ///   - units: the number of the layer's units, for panels that waste the least; nil for the widest panels.
  ///   - weights: how weights are packed.
  ///   - secondCache: the size in bytes of the second cache. Only tests and `recurrent-bench --tune` give another one
  ///     than the processor's.
  package init(
    _ instructionSet: InstructionSet?, units: Int? = nil, weights: WeightFormat = .full,
    secondCache: Int = Processor.secondCache
  ) throws(RecurrentError) {
    let set = try Processor.check(instructionSet), chosen = try Processor.kernels(set, scalar: E.kernelScalar)
    kernels = if let units { product_kernels_for_units(chosen.pointee.set, E.kernelScalar, units) } else { chosen }
    width = kernels.pointee.panel_width
    rounded = weights.rounded.map { rounded_kernels_for($0, set.kernelSet) }
    self.secondCache = secondCache
    farWeightBytes = Blocking.farWeightBytes(secondCache: secondCache)
  }

  package var set: instruction_set { kernels.pointee.set }

  /// Whether a product of so many weights fetches them ahead, which only our AVX2 and AVX-512 kernels can. They then
  /// run instead of BLIS's.
  package func isFar(_ weights: Int) -> Bool {
    !rounds && weights * MemoryLayout<E>.stride >= farWeightBytes && set != .portable
  }

  /// Whether weights, and the rows that they multiply, are rounded to fewer bits.
  package var rounds: Bool { rounded != nil }

  /// The scalars of memory that a packed row takes, and those of a unit in a panel. If they are rounded, both are words
  /// of 4 bytes, as rounded.h describes them.
  package func rowScalars(_ depth: Int) -> Int { rounded.map { rounded_row_words($0, depth) } ?? depth }
  package func unitScalars(_ depth: Int) -> Int { rounded.map { rounded_unit_words($0, depth) } ?? depth }

  /// How many times as many multiply-adds take the same time as those of full weights.
  package var multipliesInTheTime: Int {
    rounded?.pointee.format == .int8 ? Blocking.int8Multiplies : 1
  }

  /// What a scalar of the weights holds in steps in registers. It is nil if no such step gives the bits of the kernels
  /// (bf16 on AMX), or if none has been written (8 bits on portable kernels, and on AVX-512 without VNNI).
  package var stepFormat: step_format? {
    guard let rounded = rounded?.pointee else { return .full }
    guard rounded.format == .int8 else {
      return rounded.set == .amx ? nil : rounded.set == .avx512bf16 ? .words : .halves
    }
    return rounded.row_group == 4 ? .bytes : rounded.set == .avx2 ? .shorts : nil
  }

  /// The scalars of memory that a unit's weights of one gate take in steps in registers.
  func stepScalars(_ depth: Int) -> Int {
    guard let rounded, stepFormat == .shorts else { return unitScalars(depth) }
    return Int(INT8_UNIT_HEAD) + rounded_padded_k(rounded, depth) / 2
  }

  /// The scalars of a vector of 64 bytes.
  package var lanes: Int { 64 / MemoryLayout<E>.stride }

  /// How a step in registers of a cell with so many gates divides the units.
  func stepBlocks(_ units: Int, gates: Int) -> StepBlocks {
    StepBlocks(units: units, unitsOfHalf: lanes / 2, most: min(4, max(2, most_sums(set) / gates)))
  }

  package func panels(_ units: Int) -> Int { (units + width - 1) / width }

  /// How some rows are cut into tiles.
  package func tiles(_ rows: Int) -> RowTiles {
    RowTiles(rows: rows, size: rounded?.pointee.tile_rows ?? kernels.pointee.tile_rows)
  }

  // MARK: - Products

  /// Runs the product of a step of few rows on our own kernels.
  @inline(__always)
  func run(_ operands: UnsafePointer<product>) {
    if let rounded { rounded.pointee.product(operands) } else { product_run_own(kernels, operands) }
  }

  /// Multiplies one row tile by some panels. Packed rows have the stride 1, and plain rows have that of their matrix.
  /// If weights are rounded, rows are always packed; in 8 bits, products are always added.
  @inline(__always)
  package func run(
    _ rows: UnsafePointer<E>, count: Int, stride: Int = 1, _ panels: UnsafePointer<E>, panelCount: Int,
    panelStride: Int, depth: Int,
    c: UnsafeMutablePointer<E>, cPanelStride: Int, cRowStride: Int, add: Bool, next: UnsafePointer<E>? = nil,
    nextCount: Int = 0
  ) {
    var operands = product(
      rows: rows, row_count: count, row_stride: stride, panels: panels, panel_count: panelCount,
      panel_stride: panelStride, k: depth, c: c, c_panel_stride: cPanelStride, c_row_stride: cRowStride, add: add,
      next: next, next_count: nextCount, panel_width: width)
    if let rounded { rounded.pointee.product(&operands) } else { product_run(kernels, &operands) }
  }

  /// Multiplies all row tiles by some panels. The outer loop runs over the chains of k, so that their piece of the
  /// panels stays in the second cache while the inner loop visits the tiles. `before` is called with each tile before
  /// its first chain, and `after` when its last chain is done. Packed tiles may be deeper than the product, which then
  /// reads a range `of` their depth. Kernels of rounded weights cut the chains themselves.
  ///
  /// If the weights come from far caches, full tiles fetch the weights of the next chain meanwhile, and in the last
  /// chain those at `next`. If there are too few full tiles for that, the first tile fetches its own weights some
  /// values of k early, on AVX2.
  @inline(__always)
  package func run(
    _ rows: UnsafePointer<E>, _ tiles: RowTiles, stride: Int = 1, of part: TileDepth? = nil, depth: Int,
    _ panels: UnsafePointer<E>,
    panelCount: Int, panelStride: Int,
    c: UnsafeMutablePointer<E>, cPanelStride: Int, cRowStride: Int, add: Bool, far: Bool = false,
    next: UnsafePointer<E>? = nil,
    before: (_ row: Int, _ count: Int) -> Void = { _, _ in },
    after: (_ row: Int, _ count: Int) -> Void = { _, _ in }
  ) {
    var k = 0
    let fullTiles = far ? tiles.rows / tiles.size : 0
    let fetches = fullTiles >= Blocking.fetchingTiles, fetchesOwn = far && !fetches && kernels.pointee.own_is_faster
    let line = lanes  // The kernel fetches whole lines, which are as long as a vector.
    let packedDepth = part?.whole ?? rowScalars(depth)
    while k < depth {
      let block = rounds ? depth : min(Int(PRODUCT_K_BLOCK), depth - k)
      let following = !fetches ? nil : k + block < depth ? panels + (k + block) * width : next
      let fetched = fetches ? (block * width / fullTiles + line - 1) / line * line : 0
      tiles.forEach { row, count in
        if k == 0 { before(row, count) }
        run(
          rows + (stride == 1 ? row * packedDepth + ((part?.first ?? 0) + k) * count : row * stride + k),
          count: count, stride: stride,
          panels + k * width,
          panelCount: panelCount, panelStride: panelStride, depth: block, c: c + row * cRowStride,
          cPanelStride: cPanelStride, cRowStride: cRowStride, add: add || k > 0,
          next: fetchesOwn
            ? row == 0 ? panels + (k + Blocking.fetchedAhead) * width : nil
            : following.map { $0 + row / tiles.size * fetched },
          nextCount: fetchesOwn ? block * width : fetched)
        if k + block == depth { after(row, count) }
      }
      k += block
    }
  }

  /// Multiplies all row tiles by all panels [depth][P], which lie `panelStride` apart: four at a time, from the last
  /// ones if `downwards`.
  @specialized(where E == Float)
  @specialized(where E == Double)
  package func multiply(
    tiles: UnsafePointer<E>, _ rows: RowTiles, stride rowStride: Int = 1, of part: TileDepth? = nil, depth: Int,
    panels: UnsafePointer<E>,
    panelStride: Int, panelCount: Int, downwards: Bool = false,
    c: UnsafeMutablePointer<E>, cPanelStride: Int, cRowStride: Int, add: Bool
  ) {
    let far = isFar(panelCount * panelStride)
    func firstPanel(after done: Int) -> Int { downwards ? max(0, panelCount - 4 - done) : done }
    for done in stride(from: 0, to: panelCount, by: 4) {
      let panel = firstPanel(after: done), left = panelCount - done
      let next = left > 4 ? panels + firstPanel(after: done + 4) * panelStride : nil
      run(
        tiles, rows, stride: rowStride, of: part, depth: depth, panels + panel * panelStride,
        panelCount: min(4, left),
        panelStride: panelStride, c: c + panel * cPanelStride, cPanelStride: cPanelStride, cRowStride: cRowStride,
        add: add, far: far, next: next)
    }
  }

  /// The same into a matrix [rows][units], rows `stride` apart or one after the other, for all panels or some. If the
  /// last panel is not full, its products are summed up in `rest` [rows][P] and copied from there.
  @specialized(where E == Float)
  @specialized(where E == Double)
  package func multiply(
    tiles: UnsafePointer<E>, _ rows: RowTiles, stride rowStride: Int = 1, of part: TileDepth? = nil, depth: Int,
    panels: UnsafePointer<E>,
    panelStride: Int, _ some: Range<Int>? = nil, into matrix: UnsafeMutablePointer<E>, matrixStride: Int? = nil,
    units: Int, rest: UnsafeMutablePointer<E>,
    add: Bool = false
  ) {
    let matrixStride = matrixStride ?? units
    let full = units / width, left = units - full * width
    let some = some ?? 0..<self.panels(units)
    multiply(
      tiles: tiles, rows, stride: rowStride, of: part, depth: depth, panels: panels + some.lowerBound * panelStride,
      panelStride: panelStride, panelCount: min(full, some.upperBound) - some.lowerBound,
      c: matrix + some.lowerBound * width, cPanelStride: width, cRowStride: matrixStride, add: add)
    guard left > 0, some.contains(full) else { return }
    multiply(
      tiles: tiles, rows, stride: rowStride, of: part, depth: depth, panels: panels + full * panelStride,
      panelStride: 0,
      panelCount: 1, c: rest, cPanelStride: 0, cRowStride: width, add: add)
    copyRows(
      ofPanels: rest, panelStride: 0, rows: rows.rows, units: left, to: matrix + full * width, stride: matrixStride)
  }
}
