/// The gates, the cell states and the outputs of every step, which `record` keeps for `backward`.
///
/// A record can be passed to `record` again. It allocates only if a call needs more memory than it has. `backward`
/// overwrites the gates, so it consumes the record.
public final class Record<Scalar: RecurrentScalar> {
  /// T of the last call.
  public var steps: Int { plan.steps }
  /// N of the last call.
  public var batchSize: Int { plan.batchSize }
  /// The number of features of y: H, or 2·H of a bidirectional layer.
  public var outputSize: Int { shape?.outputSize ?? 0 }
  /// Whether the record holds a call that `backward` can consume.
  public package(set) var isFilled = false
  /// The seed of the last call's dropout; nil if the call dropped nothing. Another `record` with this seed drops the
  /// same values.
  public package(set) var dropoutSeed: DropoutSeed?

  /// The version of the parameters that filled the record.
  package var version: UInt64 = 0
  package private(set) var shape: LayerShape?
  package private(set) var instructionSet = InstructionSet.portable
  package private(set) var plan = RowPlan(steps: 0, batchSize: 0)
  /// The layouts and the dropout of the last call. The plan has its lengths and resets.
  package private(set) var options = CallOptions()
  package private(set) var levels: [LevelRecord<Scalar>] = []
  private let planBuffer = RowPlanBuffer()
  /// y [T,N,outputSize], used if y is not in the last level's history.
  private var output: AlignedBuffer<Scalar>?
  private var usesOutput = false

  /// An empty record, which has no memory yet.
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

  /// The layer that filled the record, for error messages.
  package var origin: String {
    shape.map { "\($0) on \(instructionSet.rawValue)" } ?? "nobody"
  }

  /// Allocates the memory that a call needs. What the record held before is lost.
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

  /// Copies y from the last level's history, if y is not there already.
  package func copyOutput() {
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

/// The record of one level of a layer.
package final class LevelRecord<Scalar: RecurrentScalar> {
  /// [N + rows + N][D·H]: the initial state of the forward direction, the h of every row, and the initial state of the
  /// reverse direction. If all steps have N rows, the h' of a row is thus N rows away.
  private var history = AlignedBuffer<Scalar>(count: 0)
  private var yStart = 0
  /// [rows][outputSize]: the next level's input, if that is not y itself.
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
