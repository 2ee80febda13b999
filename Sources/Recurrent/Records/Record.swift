import CRecurrentKernels

/// What `record` keeps for `backward`: the gates, the cell states and the outputs of every step.
///
/// A record is reused by passing it again; it allocates where a call needs more than it has. `backward` works in the
/// gates' place, so it consumes the record.
public final class Record<Scalar: RecurrentScalar> {
  /// T of the last call.
  public var steps: Int { plan.steps }
  /// N of the last call.
  public var batchSize: Int { plan.batchSize }
  /// Features of y: H, or 2·H of a bidirectional layer.
  public var outputSize: Int { shape?.outputSize ?? 0 }
  /// Whether there is something for `backward` to consume.
  public package(set) var isFilled = false
  /// The seed of the last call's dropout, nil if it dropped nothing. Another `record` with it drops the same values.
  public package(set) var dropoutSeed: DropoutSeed?

  /// Of the parameters that filled the record.
  package var version: UInt64 = 0
  package private(set) var shape: LayerShape?
  package private(set) var instructionSet = instruction_set.portable
  package private(set) var plan = RowPlan(steps: 0, batchSize: 0)
  /// Its lengths and resets are the plan's.
  package private(set) var options = CallOptions()
  package private(set) var levels: [LevelRecord] = []
  private let planBuffer = RowPlanBuffer()
  /// y [T,N,outputSize] where it does not stand in the last level's history.
  private var output: AlignedBuffer?
  private var usesOutput = false

  /// A record without memory yet.
  public init() {}

  /// y of the last call, [T,N,outputSize], time-major.
  public func withY<Result>(_ body: (UnsafeBufferPointer<Scalar>) throws -> Result) rethrows -> Result {
    let y = UnsafeMutableRawPointer((usesOutput ? output?.start : levels.last?.y) ?? AlignedBuffer(count: 0).start)
    return try body(
      UnsafeBufferPointer(start: y.assumingMemoryBound(to: Scalar.self), count: steps * batchSize * outputSize))
  }

  /// Whether a layer with the same shape and instruction set filled the record.
  package func fits(_ layer: Layer<Scalar>) -> Bool {
    shape == layer.shape && instructionSet == layer.instructionSet.kernelSet
  }

  /// Who filled the record, for messages.
  package var origin: String {
    let set = InstructionSet.allCases.first { $0.kernelSet == instructionSet } ?? .portable
    return shape.map { "\($0) on \(set.rawValue)" } ?? "nobody"
  }

  /// Makes room for a call; what stood in the record is lost.
  package func prepare(
    _ shape: LayerShape, _ parts: [FloatEngine], steps: Int, batchSize: Int, options: BorrowedOptions, drops: Bool
  ) {
    isFilled = false
    self.shape = shape
    self.options = CallOptions(xLayout: options.xLayout, yLayout: options.yLayout, dropout: options.dropout)
    instructionSet = parts[0].products.set
    plan = planBuffer.plan(steps: steps, batchSize: batchSize, lengths: options.lengths, resets: options.resets)
    while levels.count < shape.layerCount { levels.append(LevelRecord()) }
    if levels.count > shape.layerCount { levels.removeLast(levels.count - shape.layerCount) }
    for level in 0..<shape.layerCount {
      let engines = parts[level * shape.directions..<(level + 1) * shape.directions]
      let isCopied = level + 1 < shape.layerCount && (drops || shape.isSummed)
      levels[level].prepare(shape, engines, plan, isCopied: isCopied)
    }
    usesOutput = plan.isRagged || shape.isSummed
    let count = steps * batchSize * shape.outputSize
    if usesOutput, output?.count ?? -1 < count { output = AlignedBuffer(count: count) }
  }

  /// Fills y from the last level's history where it does not stand there.
  package func finishOutput() {
    guard usesOutput, let output, let shape, let level = levels.last else { return }
    let y = RowPlace(
      output.start, Distances(step: batchSize * outputSize, sequence: outputSize, extent: output.count))
    writeOutput(shape, level.y, plan, to: y)
  }
}

extension Record: CustomStringConvertible {
  /// The layer and the sizes of the last call.
  public var description: String {
    guard let shape else { return "Record, empty" }
    return "Record of \(shape), \(counted(steps, "step")), \(counted(batchSize, "sequence"))"
      + (isFilled ? "" : ", consumed")
  }
}

/// What one level keeps.
package final class LevelRecord {
  /// [N + rows + N][D·H]: the state that forward starts from, every row's h, the state that reverse starts from. A row's
  /// h' is thus N rows away where all steps have N rows.
  private var history = AlignedBuffer(count: 0)
  private var yStart = 0
  /// [rows][outputSize]: what the next level reads where that is not y itself.
  package var copy: AlignedBuffer? { usesCopy ? ownCopy : nil }
  private var ownCopy: AlignedBuffer?
  private var usesCopy = false
  package private(set) var parts: [PartRecord] = []

  /// [rows][D·H]
  package var y: MutableFloats { history.start + yStart }

  fileprivate func prepare(
    _ shape: LayerShape, _ engines: ArraySlice<FloatEngine>, _ plan: RowPlan, isCopied: Bool
  ) {
    yStart = plan.batchSize * shape.width
    let count = (plan.rowCount + 2 * plan.batchSize) * shape.width
    if history.count < count { history = AlignedBuffer(count: count) }
    let copied = plan.rowCount * shape.outputSize
    usesCopy = isCopied
    if isCopied, ownCopy?.count ?? -1 < copied { ownCopy = AlignedBuffer(count: copied) }
    while parts.count < engines.count { parts.append(PartRecord()) }
    if parts.count > engines.count { parts.removeLast(parts.count - engines.count) }
    for (index, engine) in engines.enumerated() {
      parts[index].prepare(
        engine, plan, y: RowPlace(packed: y + index * shape.hiddenSize, stride: shape.width, batchSize: plan.batchSize))
    }
  }
}

/// What one part keeps.
package struct PartRecord {
  /// What a call needs of it.
  package struct Place: BitwiseCopyable {
    /// [unit block][slot][rows][P]: the slots of the cell, then c' of an LSTM. What the product's tiles are written to
    /// is what the gates read and, over all rows, a packed operand of the closing products.
    package let slots: MutableFloats
    package let layout: SlotLayout
    /// The part's h, in its level's history.
    package let y: RowPlace
  }
  private var slots = AlignedBuffer(count: 0)
  package private(set) var place: Place?

  fileprivate mutating func prepare(_ engine: FloatEngine, _ plan: RowPlan, y: RowPlace) {
    let layout = SlotLayout(
      blocks: engine.blocks, slots: engine.cell.slots + (engine.cell.hasCellState ? 1 : 0), rows: plan.rowCount,
      width: engine.products.width)
    if slots.count < layout.count { slots = AlignedBuffer(count: layout.count) }
    place = Place(slots: slots.start, layout: layout, y: y)
  }
}

/// Where the slots of a record lie: [unit block][slot][rows][P].
package struct SlotLayout: BitwiseCopyable, Sendable {
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
