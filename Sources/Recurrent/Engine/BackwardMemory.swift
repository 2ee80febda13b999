import CRecurrentKernels

/// The memory of a backward call.
struct BackwardMemory: BitwiseCopyable {
  /// Rows that one pass of the closing products contracts over: four slots of a block and all columns of x and h' stay
  /// in the second cache.
  static let closingRows = 256
  /// Rows of a step from which its tiles serve dx too.
  static let rowsOfOwn = 24
  /// Columns of a closing product that go to the caller's gradients together: whole tiles of every instruction set and
  /// whole vectors; with four gates they stay in the second cache.
  let groupColumns = 96

  let transposedIH: Floats?
  let transposedHH: Floats
  let xColumnTiles: RowTiles
  let hColumnTiles: RowTiles
  let dh: MutableFloats  // [unit block][N][P]
  let dc: MutableFloats  // the same, of an LSTM
  let drh: MutableFloats  // the same, of a GRU with reset before the product
  let hTiles: (even: MutableFloats, odd: MutableFloats)  // a step's gradients of all slots, of even and odd steps
  let xTiles: MutableFloats?  // a chunk's gradients; nil where dx reads those of a step
  let dxRest: MutableFloats  // [rows of a chunk][P]
  let dxRows: MutableFloats?  // [rows of a chunk][C], where dx lies otherwise
  let dyRows: MutableFloats  // [N][H], where dy lies otherwise
  let previousRows: MutableFloats  // [N][H], of a GRU over ragged rows
  let xRows: MutableFloats?  // [closingRows][C], where x lies otherwise
  let closingH: MutableFloats?  // [closingRows][H], of ragged rows
  let xColumns: MutableFloats  // [columns][closingRows]
  let hColumns: MutableFloats
  let rhRows: MutableFloats  // [closingRows][H]
  let dWeightIH: MutableFloats?  // [unit block][gate][C][P]; nil where one pass has all rows
  let dWeightHH: MutableFloats?  // [unit block][gate][H][P]
  let groups: MutableFloats  // [thread][gate][groupColumns][P], otherwise
  let groupStride: Int
  let bias: MutableFloats  // [unit block][slot][P]

  init(engine: FloatEngine, call: PartBackward, threadCount: Int, arena: inout Arena) {
    let cell = engine.cell, products = engine.products, width = products.width, plan = call.plan
    let c = engine.inputSize, h = engine.hiddenSize, n = plan.batchSize
    let depth = cell.gates * h, units = engine.blocks * width
    let chunkRows = engine.chunkRows(plan)
    let wantsDx = call.dx != nil
    let columnRows = min(BackwardMemory.closingRows, plan.rowCount)
    xColumnTiles = products.tiles(c)
    hColumnTiles = products.tiles(h)
    transposedIH = wantsDx ? engine.transposedIH(call) : nil
    transposedHH = engine.transposedHH(call)
    dh = arena.take(units * n)
    dc = arena.take(cell.hasCellState ? units * n : 0)
    drh = arena.take(cell.resetsBefore ? units * n : 0)
    let packs = !engine.readsSlots, stepCount = packs ? n * cell.gradientSlots * h : 0
    hTiles = (arena.take(stepCount), arena.take(stepCount))
    dxRest = arena.take(wantsDx ? chunkRows * width : 0)
    // The product writes rows that lie one after the other without a gap.
    let isPlain = call.dx.map { $0.isEven(plan) && ($0.row == c || plan.rowCount == 1) } ?? true
    dxRows = isPlain ? nil : arena.take(chunkRows * c)
    // Steps of many rows need no tiles of several, where the weights of both products stay near: packing them again
    // would take 2 to 4 % of the time (N 64, H 64 to 256).
    let byStep =
      packs && isPlain && plan.rowCount >= BackwardMemory.rowsOfOwn * plan.steps
      && depth * (c + h) < Products.farWeightCount
    xTiles = wantsDx && packs && !byStep ? arena.take(chunkRows * depth) : nil
    let dyIsEven = call.dy?.isEvenInSteps(plan) ?? true
    dyRows = arena.take(dyIsEven ? 0 : n * h)
    previousRows = arena.take(plan.isRagged && cell.isGRU ? n * h : 0)
    xRows = call.x.isEven(plan) ? nil : arena.take(columnRows * c)
    closingH = plan.isRagged ? arena.take(columnRows * h) : nil
    xColumns = arena.take(columnRows * c)
    hColumns = arena.take(columnRows * h)
    rhRows = arena.take(cell.resetsBefore ? columnRows * h : 0)
    let passes = plan.rowCount > BackwardMemory.closingRows
    dWeightIH = passes ? arena.take(units * cell.gates * c) : nil
    dWeightHH = passes ? arena.take(units * cell.gates * h) : nil
    groupStride = (cell.gates * groupColumns * width + Int(PRODUCT_SLACK) + 15) / 16 * 16
    groups = arena.take(passes ? 0 : threadCount * groupStride)
    bias = arena.take(units * cell.biasedSlots)
  }

  /// The step that a row belongs to.
  func step(of row: Int, _ plan: RowPlan) -> Int {
    if !plan.isRagged { return row / plan.batchSize }
    var low = 0, high = plan.steps - 1
    while low < high {
      let middle = (low + high + 1) / 2
      if plan.offset(middle) <= row { low = middle } else { high = middle - 1 }
    }
    return low
  }
}
