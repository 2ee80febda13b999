/// A layer's call of `forward` or `record`, level by level.
extension Stack {
  func runForward(_ call: ForwardCall<E>) {
    let plan =
      call.record?.plan
      ?? call.scratch.plan(
        steps: call.steps, batchSize: call.batchSize, lengths: call.options.lengths, resets: call.options.resets)
    let needsMemory = call.record == nil && (shape.layerCount > 1 || shape.isSummed)
    let memory = needsMemory ? LevelMemory<E>(shape, plan, call.scratch) : nil
    var x = Rows(call.x, RowLayout(call.xDistances))
    for level in 0..<shape.layerCount {
      let isLast = level + 1 == shape.layerCount
      let y: MutableRows<E>
      if let record = call.record {
        y = packed(record.levels[level].y, plan)
      } else if isLast, !shape.isSummed, let target = call.y {
        y = MutableRows(target, RowLayout(call.yDistances))
      } else {
        y = packed(level & 1 == 0 ? memory!.even : memory!.odd, plan)
      }
      runLevel(level, plan, call.scratch) { engine, part, scratch in
        let state = part * plan.batchSize * shape.hiddenSize, direction = part % shape.directions
        let call = PartForward(
          walk: Walk(plan, isDownwards: shape.isReversed(part: part)), x: x, y: y.from(direction * shape.hiddenSize),
          h0: UnsafePointer(call.h + state), c0: call.c.map { UnsafePointer($0 + state) }, hn: call.h + state,
          cn: call.c.map { $0 + state }, record: call.record?.levels[level].parts[direction].place)
        return ForwardWork(engine: engine, call: call, memory: engine.prepareForward(call, scratch))
      }
      if isLast {
        writeLastOutput(call, plan, y)
      } else {
        x = nextInput(call, plan, level, y, memory)
      }
    }
  }

  /// Writes the last level's y to the record and to the caller's buffer.
  private func writeLastOutput(_ call: ForwardCall<E>, _ plan: RowPlan, _ y: MutableRows<E>) {
    call.record?.copyOutput()
    guard let target = call.y.map({ MutableRows($0, RowLayout(call.yDistances)) }) else { return }
    if y.layout.isPacked {
      writeOutput(shape, y.base, plan, to: target)
    } else {
      target.clearPadding(plan, size: shape.outputSize)
    }
  }

  /// The rows that the next level reads: y, or the sum of the two directions, with dropout if the call drops.
  private func nextInput(
    _ call: ForwardCall<E>, _ plan: RowPlan, _ level: Int, _ y: MutableRows<E>, _ memory: LevelMemory<E>?
  ) -> Rows<E> {
    var rows = y.base
    let copy = call.record?.levels[level].copy?.start ?? memory?.sum
    if shape.isSummed, let copy {
      sumDirections(
        rows, plan, hiddenSize: shape.hiddenSize,
        into: packedRows(copy, stride: shape.hiddenSize, plan))
      rows = copy
    }
    if let record = call.record, let mask = mask(record.dropoutSeed), let copy {
      mask.apply(plan, layer: level, size: shape.outputSize, from: rows, to: copy)
      rows = copy
    }
    return packedRows(rows, stride: shape.outputSize, plan).read
  }

  private func packed(_ y: UnsafeMutablePointer<E>, _ plan: RowPlan) -> MutableRows<E> {
    packedRows(y, stride: shape.width, plan)
  }
}

/// The forward work of one part, as threads run it. The stack keeps the engine alive during the call.
private struct ForwardWork<E: Element>: SharedWork, BitwiseCopyable {
  unowned(unsafe) let engine: Engine<E>
  let call: PartForward<E>
  let memory: ForwardMemory<E>

  func run(_ share: Share) { engine.forward(call, memory, share) }
}

/// Writes the last level's h [rows][D·H] to y, and zeros past the ends of sequences.
func writeOutput<E: RecurrentScalar>(
  _ shape: LayerShape, _ h: UnsafeMutablePointer<E>, _ plan: RowPlan, to y: MutableRows<E>
) {
  if shape.isSummed {
    sumDirections(h, plan, hiddenSize: shape.hiddenSize, into: y)
  } else {
    y.scatter(plan, 0..<plan.steps, size: shape.width, from: h)
  }
  y.clearPadding(plan, size: shape.outputSize)
}

/// y = h of the forward direction + h of the reverse direction, from [rows][2·H].
func sumDirections<E: RecurrentScalar>(
  _ both: UnsafeMutablePointer<E>, _ plan: RowPlan, hiddenSize: Int, into y: MutableRows<E>
) {
  for t in 0..<plan.steps {
    for r in 0..<plan.count(t) {
      let source = both + (plan.offset(t) + r) * 2 * hiddenSize, target = y.at(plan, t, r)
      for i in 0..<hiddenSize { target[i] = source[i] + source[hiddenSize + i] }
    }
  }
}

/// The outputs that a level passes to the next one in a call without a record.
struct LevelMemory<E: Element> {
  let even: UnsafeMutablePointer<E>  // [rows][D·H]: the y of even levels
  let odd: UnsafeMutablePointer<E>
  let sum: UnsafeMutablePointer<E>?  // [rows][H]: the sum of both directions
}
extension LevelMemory {
  init(_ shape: LayerShape, _ plan: RowPlan, _ scratch: Scratch<E>) {
    self = scratch.levels.carve { arena in
      LevelMemory(
        even: arena.take(plan.rowCount * shape.width),
        odd: arena.take(shape.layerCount > 1 ? plan.rowCount * shape.width : 0),
        sum: shape.isSummed ? arena.take(plan.rowCount * shape.hiddenSize) : nil)
    }
  }
}
