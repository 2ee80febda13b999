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
  package private(set) var instructionSet = InstructionSet.portable
  package private(set) var plan = RowPlan(steps: 0, batchSize: 0)
  /// Its lengths and resets are the plan's.
  package private(set) var options = CallOptions()
  package private(set) var levels: [LevelRecord<Scalar>] = []
  private let planBuffer = RowPlanBuffer()
  /// y [T,N,outputSize] where it does not stand in the last level's history.
  private var output: AlignedBuffer<Scalar>?
  private var usesOutput = false

  /// A record without memory yet.
  public init() {}

  /// y of the last call, [T,N,outputSize], time-major.
  public func withY<Result>(_ body: (UnsafeBufferPointer<Scalar>) throws -> Result) rethrows -> Result {
    let y = usesOutput ? output?.start : levels.last?.y
    return try body(UnsafeBufferPointer(start: y.map { UnsafePointer($0) }, count: steps * batchSize * outputSize))
  }

  /// Whether a layer with the same shape and instruction set filled the record.
  package func fits(_ layer: Layer<Scalar>) -> Bool {
    shape == layer.shape && instructionSet == layer.instructionSet
  }

  /// Who filled the record, for messages.
  package var origin: String {
    shape.map { "\($0) on \(instructionSet.rawValue)" } ?? "nobody"
  }

  /// Makes room for a call; what stood in the record is lost.
  package func prepare(
    _ shape: LayerShape, _ part: PartLayout, _ set: InstructionSet, steps: Int, batchSize: Int,
    options: BorrowedOptions, drops: Bool
  ) {
    isFilled = false
    self.shape = shape
    self.options = CallOptions(xLayout: options.xLayout, yLayout: options.yLayout, dropout: options.dropout)
    instructionSet = set
    plan = planBuffer.plan(steps: steps, batchSize: batchSize, lengths: options.lengths, resets: options.resets)
    while levels.count < shape.layerCount { levels.append(LevelRecord()) }
    if levels.count > shape.layerCount { levels.removeLast(levels.count - shape.layerCount) }
    for level in 0..<shape.layerCount {
      let isCopied = level + 1 < shape.layerCount && (drops || shape.isSummed)
      levels[level].prepare(shape, part, plan, isCopied: isCopied)
    }
    usesOutput = plan.isRagged || shape.isSummed
    let count = steps * batchSize * shape.outputSize
    if usesOutput, output?.count ?? -1 < count { output = AlignedBuffer(count: count) }
  }

  /// Fills y from the last level's history where it does not stand there.
  package func finishOutput() {
    guard usesOutput, let output, let shape, let level = levels.last else { return }
    let y = MutableRows(
      output.start,
      RowLayout(Distances(step: batchSize * outputSize, sequence: outputSize, extent: output.count)))
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
package final class LevelRecord<Scalar: RecurrentScalar> {
  /// [N + rows + N][D·H]: the state that forward starts from, every row's h, the state that reverse starts from. A row's
  /// h' is thus N rows away where all steps have N rows.
  private var history = AlignedBuffer<Scalar>(count: 0)
  private var yStart = 0
  /// [rows][outputSize]: what the next level reads where that is not y itself.
  package var copy: AlignedBuffer<Scalar>? { usesCopy ? ownCopy : nil }
  private var ownCopy: AlignedBuffer<Scalar>?
  private var usesCopy = false
  package private(set) var parts: [PartRecord<Scalar>] = []

  /// [rows][D·H]
  package var y: UnsafeMutablePointer<Scalar> { history.start + yStart }

  fileprivate func prepare(
    _ shape: LayerShape, _ part: PartLayout, _ plan: RowPlan, isCopied: Bool
  ) {
    yStart = plan.batchSize * shape.width
    let count = (plan.rowCount + 2 * plan.batchSize) * shape.width
    if history.count < count { history = AlignedBuffer(count: count) }
    let copied = plan.rowCount * shape.outputSize
    usesCopy = isCopied
    if isCopied, ownCopy?.count ?? -1 < copied { ownCopy = AlignedBuffer(count: copied) }
    while parts.count < shape.directions { parts.append(PartRecord()) }
    if parts.count > shape.directions { parts.removeLast(parts.count - shape.directions) }
    for index in parts.indices {
      parts[index].prepare(part, plan, y: packedRows(y + index * shape.hiddenSize, stride: shape.width, plan))
    }
  }
}
