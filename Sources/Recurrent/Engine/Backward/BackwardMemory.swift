import CRecurrentKernels

/// The backward call of one part. Every pointer has been checked. A gradient that is nil counts as zero if backward
/// reads it, and is not computed if backward would write it.
struct PartBackward<E: Element>: BitwiseCopyable {
  /// The walk, which is opposite to that of forward.
  let walk: Walk
  let x: Rows<E>  // of C
  let dy: Rows<E>?  // of H
  let dhn: UnsafePointer<E>?  // [N,H]
  let dcn: UnsafePointer<E>?  // [N,H]
  let parameters: PartPointers<E>
  let dx: MutableRows<E>?  // of C
  let dh0: UnsafeMutablePointer<E>  // [N,H], overwritten; may be the same memory as dhn
  let dc0: UnsafeMutablePointer<E>?  // [N,H], overwritten; may be the same memory as dcn
  let record: PartRecord<E>.Place

  var plan: RowPlan { walk.plan }
  /// Whether forward walked downwards.
  var isReversed: Bool { !walk.isDownwards }
}

/// The parameters of a part, and their gradients, to which backward adds.
struct PartPointers<E: Element>: BitwiseCopyable {
  let weightIH: UnsafePointer<E>  // [G·H,C]
  let weightHH: UnsafePointer<E>?  // [G·H,H]
  let dWeightIH: UnsafeMutablePointer<E>
  let dWeightHH: UnsafeMutablePointer<E>?
  let dBiasIH: UnsafeMutablePointer<E>?  // [G·H]
  let dBiasHH: UnsafeMutablePointer<E>?
  let dVectors: UnsafeMutablePointer<E>?  // [vector][H]

  init(_ parameters: PartParameters, _ values: UnsafePointer<E>, _ gradients: UnsafeMutablePointer<E>) {
    func gradient(_ role: ParameterRole) -> UnsafeMutablePointer<E>? {
      let range = parameters[role]
      return range.isEmpty ? nil : gradients + range.lowerBound
    }
    let recurrent = parameters[.recurrentWeights]
    weightIH = values + parameters[.inputWeights].lowerBound
    weightHH = recurrent.isEmpty ? nil : values + recurrent.lowerBound
    dWeightIH = gradients + parameters[.inputWeights].lowerBound
    dWeightHH = gradient(.recurrentWeights)
    dBiasIH = gradient(.inputBias)
    dBiasHH = gradient(.recurrentBias)
    dVectors = gradient(.vector(0))
  }
}

/// The memory of a backward call, and its routes: where its products read and write.
struct BackwardMemory<E: Element>: BitwiseCopyable {
  /// Where the products of a step read the gradients of its gates.
  enum StepRoute: BitwiseCopyable {
    /// In the slots themselves. If there is only one block of units, the rows of each slot are the plain rows of a
    /// matrix. Packing them would take a quarter of the time (GRU, N 16, H 32). Rounded gradients are always in tiles.
    case slots
    /// In row tiles, one buffer for even steps and one for odd steps. While a thread still reads one buffer, the other
    /// threads may already fill the other one.
    case tiles(even: UnsafeMutablePointer<E>, odd: UnsafeMutablePointer<E>)
  }

  /// Where dx = dG·W reads the gradients of the gates.
  enum InputRoute: BitwiseCopyable {
    /// The caller does not want dx.
    case none
    /// In the slots, one chunk of steps at a time.
    case slots
    /// In the tiles of each step. This route needs at least `Blocking.rowsOfOwnTiles` rows in a step, and weights of
    /// both products that stay in near caches. Packing the tiles again would take 2 to 4 % of the time (N 64, H 64 to
    /// 256).
    case stepTiles
    /// In tiles that are packed for a chunk of steps.
    case chunkTiles(UnsafeMutablePointer<E>)
  }

  /// Where the sums of dW and dU are.
  enum ParameterRoute: BitwiseCopyable {
    /// In a small buffer, for one strip of columns at a time. All rows fit one closing product, so each strip is added
    /// to the caller's gradients while it is in a near cache. With few rows, writing all sums to memory and reading
    /// them again would take longer than computing them. [thread][gate][stripColumns][P]
    case strips(UnsafeMutablePointer<E>, stride: Int)
    /// In memory until the closing products of the last rows are done. dW [unit block][gate][C][P],
    /// dU [unit block][gate][H][P]
    case sums(dWeightIH: UnsafeMutablePointer<E>, dWeightHH: UnsafeMutablePointer<E>)
  }

  let step: StepRoute
  let input: InputRoute
  let parameters: ParameterRoute
  let stripColumns: Int
  let transposedIH: UnsafePointer<E>?
  let transposedHH: UnsafePointer<E>?
  let xColumnTiles: RowTiles
  let hColumnTiles: RowTiles
  let dh: UnsafeMutablePointer<E>  // [unit block][N][P]
  let dc: UnsafeMutablePointer<E>?  // the same; nil if the cell has no c
  let dOperand: UnsafeMutablePointer<E>?  // the same, for a slot that is the operand of a product with U
  let dxRest: UnsafeMutablePointer<E>  // [rows of a chunk][P]
  let dxRows: UnsafeMutablePointer<E>?  // [rows of a chunk][C], if the rows of dx do not lie next to each other
  let dyRows: UnsafeMutablePointer<E>  // [N][H], if the rows of a step of dy do not lie at equal distances
  let previousRows: UnsafeMutablePointer<E>?  // [N][H]: h' of a step, if the plan is ragged
  let xRows: UnsafeMutablePointer<E>?  // [closingRows][C], if the rows of x do not lie at equal distances
  let closingH: UnsafeMutablePointer<E>?  // [closingRows][H]: h' of closing products, if the plan is ragged
  let xColumns: UnsafeMutablePointer<E>  // [columns][closingRows], or rounded row tiles
  let hColumns: UnsafeMutablePointer<E>
  /// [thread][gate] panels as rounded.h describes them: the rounded gradients of one block, which a closing product
  /// multiplies; nil if weights are full
  let roundedGradients: UnsafeMutablePointer<E>?
  let operandRows: UnsafeMutablePointer<E>?  // [closingRows][H]: a slot that is the operand of a product with U
  let bias: UnsafeMutablePointer<E>  // [unit block][slot][P]
  let dVectors: UnsafeMutablePointer<E>  // [unit block][vector][P]

  init(engine: Engine<E>, call: PartBackward<E>, threadCount: Int, arena: inout Arena<E>) {
    let program = engine.program, products = engine.products, width = products.width, plan = call.plan
    let c = engine.inputSize, h = engine.hiddenSize, n = plan.batchSize
    let depth = program.gates * h, units = engine.blocks * width
    let chunkRows = engine.backwardChunkRows(plan)
    let wantsDx = call.dx != nil
    let columnRows = min(Blocking.closingRows, plan.rowCount)
    let multipliesSlot = engine.stages.contains { $0.product?.operandSlot != nil }
    xColumnTiles = products.tiles(c)
    hColumnTiles = products.tiles(h)
    transposedIH = wantsDx ? engine.packed.transposedIH(call.parameters.weightIH, products) : nil
    transposedHH = call.parameters.weightHH.map { engine.packed.transposedHH($0, products) }
    dh = arena.take(units * n)
    dc = program.hasCellState ? arena.take(units * n) : nil
    dOperand = multipliesSlot ? arena.take(units * n) : nil
    let packs = engine.blocks > 1 || products.rounds, hasU = transposedHH != nil
    let tileCount = n * program.gradientSlots * products.rowScalars(h)
    step = packs && hasU ? .tiles(even: arena.take(tileCount), odd: arena.take(tileCount)) : .slots
    dxRest = arena.take(wantsDx ? chunkRows * width : 0)
    // The product needs rows of dx that lie next to each other without a gap.
    let isPlain = call.dx.map { $0.layout.isEven(plan) && ($0.layout.row == c || plan.rowCount == 1) } ?? true
    dxRows = isPlain ? nil : arena.take(chunkRows * c)
    let isFar = depth * (c + h) * MemoryLayout<E>.stride >= products.farWeightBytes
    if !wantsDx {
      input = .none
    } else if !packs {
      input = .slots
    } else if hasU, isPlain, !isFar, plan.rowCount >= Blocking.rowsOfOwnTiles * plan.steps {
      input = .stepTiles
    } else {
      input = .chunkTiles(arena.take(chunkRows * program.gates * products.rowScalars(h)))
    }
    let dyIsEven = call.dy?.layout.isEvenInSteps(plan) ?? true
    dyRows = arena.take(dyIsEven ? 0 : n * h)
    previousRows = plan.isRagged && program.readsPreviousH ? arena.take(n * h) : nil
    xRows = call.x.layout.isEven(plan) ? nil : arena.take(columnRows * c)
    closingH = plan.isRagged && hasU ? arena.take(columnRows * h) : nil
    let columnScalars = products.rowScalars(columnRows)
    xColumns = arena.take(columnScalars * c)
    hColumns = arena.take(hasU ? columnScalars * h : 0)
    roundedGradients =
      products.rounds ? arena.take(threadCount * program.gates * products.unitScalars(columnRows) * width) : nil
    operandRows = multipliesSlot ? arena.take(columnRows * h) : nil
    stripColumns = Blocking.stripColumns(tileRows: xColumnTiles.size, lanes: 64 / MemoryLayout<E>.stride)
    if plan.rowCount > Blocking.closingRows {
      parameters = .sums(
        dWeightIH: arena.take(units * program.gates * c),
        dWeightHH: arena.take(hasU ? units * program.gates * h : 0))
    } else {
      let stride = (program.gates * stripColumns * width + Int(PRODUCT_SLACK) + 15) / 16 * 16
      parameters = .strips(arena.take(threadCount * stride), stride: stride)
    }
    bias = arena.take(units * program.biasedSlots)
    dVectors = arena.take(units * program.vectors)
  }

  /// The step that a row belongs to.
  func step(ofRow row: Int, _ plan: RowPlan) -> Int {
    if !plan.isRagged { return row / plan.batchSize }
    var low = 0, high = plan.steps - 1
    while low < high {
      let middle = (low + high + 1) / 2
      if plan.offset(middle) <= row { low = middle } else { high = middle - 1 }
    }
    return low
  }
}
