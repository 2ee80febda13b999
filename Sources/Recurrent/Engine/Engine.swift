import CRecurrentKernels

/// The loops of one part of a layer: products into the gates' tiles, gates on the tiles while they are hot.
///
/// A class, and what its calls pass around is plain memory: nothing in the loops counts a reference. It knows a cell by
/// its program only.
package final class Engine<E: Element>: @unchecked Sendable {
  package let program: CellProgram
  package let inputSize: Int  // C
  package let hiddenSize: Int  // H
  package let products: Products<E>
  package let blocks: Int  // unit blocks of P units
  let packed: PackedParameters<E>
  /// The program's, in memory that a loop can walk over without counting references.
  let stages: UnsafeBufferPointer<CellProgram.Stage>
  /// The number of rows that a part of a walk should have.
  let chunkRows: Int
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
    packed = PackedParameters(
      program, hasU: parameters.has(.recurrentWeights), inputSize: inputSize, hiddenSize: hiddenSize,
      products: products)
    let stages = UnsafeMutableBufferPointer<CellProgram.Stage>.allocate(capacity: program.stages.count)
    _ = stages.initialize(from: program.stages)
    self.stages = UnsafeBufferPointer(stages)
    chunkRows = Blocking.chunkRows(
      rowBytes: program.slots * blocks * products.width * MemoryLayout<E>.stride,
      tileRows: products.kernels.pointee.tile_rows,
      secondCache: products.secondCache)
  }

  deinit { stages.deallocate() }

  /// Another one for other parameters.
  func copy() -> Engine {
    Engine(program, parameterLayout, inputSize: inputSize, hiddenSize: hiddenSize, products: products)
  }

  /// The scalars of a record's slots, and of what backward keeps of a state.
  package var slotLayout: PartLayout {
    PartLayout(blocks: blocks, slots: program.slots + program.innerStates, width: products.width)
  }

  /// Whether a step's work pays for the barrier of several threads.
  func shares(batchSize: Int) -> Bool {
    blocks > 1 && program.gates * hiddenSize * hiddenSize * batchSize >= Blocking.sharedMultiplies
  }

  /// Whether a product's rows are packed into tiles. A single row is its own tile.
  func packsRows(_ rows: Int, depth: Int) -> Bool { rows > 1 && depth > Blocking.plainDepth }

  /// The number of rows that a part of a walk has at most.
  func chunkRows(_ plan: RowPlan) -> Int { min(plan.rowCount, max(chunkRows, plan.batchSize)) }

  /// The same for backward, whose chunks hold only what dx is made from: nothing of them has to stay near, and W is read
  /// once a chunk.
  func backwardChunkRows(_ plan: RowPlan) -> Int { min(plan.rowCount, max(Blocking.mostChunkRows, plan.batchSize)) }
}
