import CRecurrentKernels

/// The loops of one part of a layer. In forward, a gate pass runs while the results of its products are in the nearest
/// cache.
///
/// An engine is a class, and its functions pass plain memory around, so that the loops count no references. It knows a
/// cell only by its program.
package final class Engine<E: Element>: @unchecked Sendable {
  package let program: CellProgram
  package let inputSize: Int  // C
  package let hiddenSize: Int  // H
  package let products: Products<E>
  package let blocks: Int  // the number of blocks of P units
  let packed: PackedParameters<E>
  /// The program's stages, in memory that a loop can read without counting references.
  let stages: UnsafeBufferPointer<CellProgram.Stage>
  /// Whether the cell has a matrix U.
  let hasU: Bool
  /// The number of rows that a chunk of a walk should have.
  let chunkRows: Int
  /// The rows of a gate tile after a product of forward: whole row tiles.
  let gateTileRows: Int
  private let parameterLayout: ParameterLayout

  init(
    _ program: CellProgram, _ parameters: ParameterLayout, inputSize: Int, hiddenSize: Int, products: Products<E>
  ) {
    self.program = program
    self.inputSize = inputSize
    self.hiddenSize = hiddenSize
    self.products = products
    parameterLayout = parameters
    blocks = products.panels(hiddenSize)
    hasU = parameters.has(.recurrentWeights)
    packed = PackedParameters(
      program, hasU: hasU, inputSize: inputSize, hiddenSize: hiddenSize, products: products)
    let stages = UnsafeMutableBufferPointer<CellProgram.Stage>.allocate(capacity: program.stages.count)
    _ = stages.initialize(from: program.stages)
    self.stages = UnsafeBufferPointer(stages)
    let rowBytesOfBlock = program.slots * products.width * MemoryLayout<E>.stride
    let tileRows = products.tiles(1).size
    gateTileRows = max(1, Blocking.gateTileBytes / rowBytesOfBlock / tileRows) * tileRows
    chunkRows = Blocking.chunkRows(
      rowBytes: blocks * rowBytesOfBlock, tileRows: tileRows, secondCache: products.secondCache)
  }

  deinit { stages.deallocate() }

  /// A new engine for other parameters of the same shape.
  func copy() -> Engine {
    Engine(program, parameterLayout, inputSize: inputSize, hiddenSize: hiddenSize, products: products)
  }

  /// What a record has to know of the part: its blocks, its gate slots with those of the inner states, and P.
  package var slotLayout: PartLayout {
    PartLayout(blocks: blocks, slots: program.slots + (program.hasCellState ? 1 : 0), width: products.width)
  }

  /// Whether a step has enough work to pay for the barrier between several threads. Of a cell without a matrix U, the
  /// work is the product with W.
  func paysForThreads(batchSize: Int) -> Bool {
    let depth = hasU ? hiddenSize : inputSize
    let multiplies = Blocking.sharedMultiplies * products.multipliesInTheTime
    return blocks > 1 && program.gates * hiddenSize * depth * batchSize >= multiplies
  }

  /// Whether a product's rows are packed into tiles. A single row is a tile already, if it is not rounded.
  func packsRows(_ rows: Int, depth: Int) -> Bool {
    products.rounds || rows > 1 && depth > Blocking.plainDepth
  }

  /// Whether each thread packs its own units of h into tiles, as soon as it has computed them. In 8 bits, the scale of
  /// a row depends on all units, so `roundOperand` packs rounded rows when all are known.
  func packsH(_ rows: Int) -> Bool { hasU && !products.rounds && packsRows(rows, depth: hiddenSize) }

  /// Whether `ForwardMemory` needs tiles for the operands of the stages.
  var packsOperands: Bool { hasU && (products.rounds || stages.contains { $0.product?.operandSlot != nil }) }

  /// The largest number of rows that a chunk of a walk can have.
  func chunkRows(_ plan: RowPlan) -> Int { min(plan.rowCount, max(chunkRows, plan.batchSize)) }

  /// The same for backward. Its chunks hold only the gradients that dx is computed from. They need not stay in a near
  /// cache, and each chunk reads W once.
  func backwardChunkRows(_ plan: RowPlan) -> Int { min(plan.rowCount, max(Blocking.mostChunkRows, plan.batchSize)) }
}
