import CRecurrentKernels
import Synchronization

/// The loops of one part of a layer: products into the gates' tiles, gates on the tiles while they are hot.
///
/// A class, and what its calls pass around is plain memory: nothing in the loops counts a reference.
package final class FloatEngine: @unchecked Sendable {
  package let cell: Cell
  package let inputSize: Int  // C
  package let hiddenSize: Int  // H
  package let products: Products
  package let blocks: Int  // unit blocks of P units
  let packed: PackedParameters

  /// Rows whose input product is made at once, before their steps: full tiles of every instruction set, few enough that
  /// they stay in the second cache until their steps have run.
  package static let chunkRows = 240
  /// Up to this depth products read their rows where they are. Beyond it rows are packed into tiles first: a cache that
  /// holds few lines of one alignment would lose them.
  package static let plainDepth = 128
  /// Multiply-adds of a step from which several threads pay.
  package static let sharedMultiplies = 1 << 18

  init(cell: Cell, inputSize: Int, hiddenSize: Int, instructionSet: InstructionSet) throws(RecurrentError) {
    self.cell = cell
    self.inputSize = inputSize
    self.hiddenSize = hiddenSize
    products = try Products(instructionSet, units: hiddenSize)
    blocks = products.panels(hiddenSize)
    packed = PackedParameters(cell: cell, inputSize: inputSize, hiddenSize: hiddenSize, products: products)
  }

  /// Another one for other parameters.
  init(like other: FloatEngine) {
    cell = other.cell
    inputSize = other.inputSize
    hiddenSize = other.hiddenSize
    products = other.products
    blocks = other.blocks
    packed = PackedParameters(cell: cell, inputSize: inputSize, hiddenSize: hiddenSize, products: products)
  }

  /// Packs a part of the parameters; nobody else may use the engine meanwhile.
  func adopt(_ values: Floats, _ places: PartParameters) { packed.fill(values, places, products: products) }

  /// Whether a step's work pays for the barrier of several threads.
  func shares(batchSize: Int) -> Bool {
    blocks > 1 && cell.gates * hiddenSize * hiddenSize * batchSize >= FloatEngine.sharedMultiplies
  }

  /// The steps of the chunk that starts where `done` steps are done, in the direction of the walk.
  func chunk(_ plan: RowPlan, done: Int, reversed: Bool) -> Range<Int> {
    func step(_ index: Int) -> Int { reversed ? plan.steps - 1 - index : index }
    var end = done + 1, rows = plan.count(step(done))
    while end < plan.steps, rows + plan.count(step(end)) <= FloatEngine.chunkRows {
      rows += plan.count(step(end))
      end += 1
    }
    return reversed ? step(end - 1)..<step(done) + 1 : done..<end
  }

  /// Rows that a chunk has at most.
  func chunkRows(_ plan: RowPlan) -> Int { min(plan.rowCount, max(FloatEngine.chunkRows, plan.batchSize)) }
}

/// Panels that are filled at their first use, and again after they were emptied; any thread may be the first.
package final class LazyPanels: @unchecked Sendable {
  private let isFilled = Atomic(false)
  private let filling = Mutex(())
  private var buffer: AlignedBuffer?

  package func start(count: Int, fill: (MutableFloats) -> Void) -> MutableFloats {
    if !isFilled.load(ordering: .acquiring) {
      filling.withLock { _ in
        guard !isFilled.load(ordering: .relaxed) else { return }
        let buffer = self.buffer ?? AlignedBuffer(count: count)
        fill(buffer.start)
        self.buffer = buffer
        isFilled.store(true, ordering: .releasing)
      }
    }
    return buffer!.start
  }

  /// While nobody else uses them.
  package func empty() { isFilled.store(false, ordering: .relaxed) }
}

/// The weights in gate-fused panels, read only once filled: [unit block][gate][depth][P], and the biases that the slots
/// start from, [unit block][slot][P]. For backward the weights once more, by columns.
package final class PackedParameters: @unchecked Sendable {
  package let weightIH: AlignedBuffer
  package let weightHH: AlignedBuffer
  package let bias: AlignedBuffer
  package let transposedIH = LazyPanels()  // [block of C][G·H][P]
  package let transposedHH = LazyPanels()  // [block of H][G·H][P]
  private let cell: Cell
  private let inputSize: Int
  private let hiddenSize: Int

  package init(cell: Cell, inputSize: Int, hiddenSize: Int, products: Products) {
    self.cell = cell
    self.inputSize = inputSize
    self.hiddenSize = hiddenSize
    let units = products.panels(hiddenSize) * products.width
    weightIH = AlignedBuffer(count: units * cell.gates * inputSize)
    weightHH = AlignedBuffer(count: units * cell.gates * hiddenSize)
    bias = AlignedBuffer(count: units * cell.biasedSlots)
  }

  func fill(_ values: Floats, _ places: PartParameters, products: Products) {
    let gates = cell.gates, width = products.width
    transposedIH.empty()
    transposedHH.empty()
    func fuse(_ weights: Range<Int>, depth: Int, order: [Int], into panels: AlignedBuffer) {
      for (place, gate) in order.enumerated() {
        products.packPanels(
          rowsOf: values + (weights.lowerBound + gate * hiddenSize * depth), units: hiddenSize, depth: depth,
          panelStride: gates * depth * width, into: panels.start + place * depth * width)
      }
    }
    fuse(places.weightIH, depth: inputSize, order: cell.inputOrder, into: weightIH)
    fuse(places.weightHH, depth: hiddenSize, order: Array(0..<gates), into: weightHH)
    guard !places.biasIH.isEmpty else { return }
    let biasIH = values + places.biasIH.lowerBound, biasHH = values + places.biasHH.lowerBound
    for (place, gate) in cell.inputOrder.enumerated() {
      let apart = cell.apartBiasSlot(ofGate: gate)
      for unit in 0..<hiddenSize {
        let at = gate * hiddenSize + unit
        self[bias: place, unit, width] = biasIH[at] + (apart == nil ? biasHH[at] : 0)
        if let apart { self[bias: apart, unit, width] = biasHH[at] }
      }
    }
  }

  private subscript(bias slot: Int, unit: Int, width: Int) -> Float {
    get { bias.start[(unit / width * cell.biasedSlots + slot) * width + unit % width] }
    set { bias.start[(unit / width * cell.biasedSlots + slot) * width + unit % width] = newValue }
  }
}
