import CRecurrentKernels

/// What `record` keeps for `backward`: the gates, the cell states and the outputs of every step.
///
/// A record is reused by passing it again; it allocates where a call needs more than it has. `backward` works in the
/// gates' place, so it consumes the record.
public final class Record<Scalar: RecurrentScalar> {
  /// T of the last call.
  public private(set) var steps = 0
  /// N of the last call.
  public private(set) var batchSize = 0
  /// H of the layer that filled it.
  public private(set) var hiddenSize = 0
  /// Whether there is something for `backward` to consume.
  public package(set) var isFilled = false

  /// Of the parameters that filled the record.
  package var version: UInt64 = 0
  package private(set) var cell: Cell?
  package private(set) var inputSize = 0
  package private(set) var instructionSet = instruction_set.portable

  /// [unit block][slot][T·N rows][P]: the slots of the cell, then c of an LSTM. What the product's tiles are written to
  /// is what the gates read and, over all rows, a packed operand of the closing products.
  package private(set) var slots = AlignedBuffer(count: 0)
  package private(set) var layout = SlotLayout(blocks: 0, slots: 0, rows: 0, width: 1)
  /// [T + 1][N][H]: the initial state, then y.
  package private(set) var history = AlignedBuffer(count: 0)
  /// [unit block][N][P]: the initial c.
  package private(set) var initialC = AlignedBuffer(count: 0)

  public init() {}

  /// y of the last call, [T,N,H].
  public func withY<Result>(_ body: (UnsafeBufferPointer<Scalar>) throws -> Result) rethrows -> Result {
    try body(UnsafeBufferPointer(start: historyStart + batchSize * hiddenSize, count: steps * batchSize * hiddenSize))
  }

  package var historyStart: UnsafeMutablePointer<Scalar> {
    UnsafeMutableRawPointer(history.start).assumingMemoryBound(to: Scalar.self)
  }

  /// Whether a layer with the same cell, sizes and instruction set filled the record.
  package func fits(_ layer: Layer<Scalar>) -> Bool {
    cell == layer.cell && inputSize == layer.inputSize && hiddenSize == layer.hiddenSize
      && instructionSet == layer.instructionSet.kernelSet
  }

  /// Who filled the record, for messages.
  package var origin: String {
    "\(cell.map { "\($0)" } ?? "no cell") with input size \(inputSize), hidden size \(hiddenSize)"
  }

  /// Makes room for a call; what stood in the record is lost.
  package func prepare(
    cell: Cell, inputSize: Int, hiddenSize: Int, steps: Int, batchSize: Int, products: Products
  ) {
    self.cell = cell
    self.inputSize = inputSize
    self.hiddenSize = hiddenSize
    self.steps = steps
    self.batchSize = batchSize
    instructionSet = products.set
    isFilled = false
    let blocks = products.panels(hiddenSize)
    layout = SlotLayout(
      blocks: blocks, slots: cell.slots + (cell.hasCellState ? 1 : 0), rows: steps * batchSize, width: products.width)
    if slots.count < layout.count { slots = AlignedBuffer(count: layout.count) }
    let historyCount = (steps + 1) * batchSize * hiddenSize
    if history.count < historyCount { history = AlignedBuffer(count: historyCount) }
    let initialCount = cell.hasCellState ? blocks * batchSize * products.width : 0
    if initialC.count < initialCount { initialC = AlignedBuffer(count: initialCount) }
  }
}

/// Where the slots of a record lie: [unit block][slot][rows][P].
package struct SlotLayout: Sendable {
  package let slotStride: Int
  package let blockStride: Int
  package let count: Int

  package init(blocks: Int, slots: Int, rows: Int, width: Int) {
    // A page's multiple and a tile more: the tiles of neighbouring slots then lie in different sets of the cache.
    let page = 1024, tile = 384
    slotStride = (rows * width + Int(PRODUCT_SLACK) + page - 1) / page * page + tile
    blockStride = slots * slotStride
    count = blocks * blockStride
  }
}
