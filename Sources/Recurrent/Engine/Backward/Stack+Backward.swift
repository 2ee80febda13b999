/// A layer's call of `backward`, from the last level to the first.
extension Stack {
  func runBackward(_ call: BackwardCall<E>) {
    let record = call.record, plan = record.plan
    let memory = GradientMemory<E>(shape, plan, call.scratch, wantsDx: call.dx != nil)
    var dy = call.dy.map { Rows($0, RowLayout(call.yDistances)) }
    for level in (0..<shape.layerCount).reversed() {
      let x: Rows<E>, dx: MutableRows<E>?, size = shape.inputSize(ofLevel: level)
      if level == 0 {
        x = Rows(call.x, RowLayout(call.xDistances))
        dx = call.dx.map { MutableRows($0, RowLayout(call.xDistances)) }
      } else {
        let below = record.levels[level - 1]
        x = packedRows(below.copy?.start ?? below.y, stride: size, plan).read
        dx = packedRows(level & 1 == 0 ? memory.even : memory.odd, stride: size, plan)
      }
      let ofReverse = dx == nil ? nil : packedRows(memory.ofReverse, stride: size, plan)
      runLevel(level, plan, call.scratch) { [dy] engine, part, scratch in
        let state = part * plan.batchSize * shape.hiddenSize, direction = part % shape.directions
        let call = PartBackward(
          walk: Walk(plan, isDownwards: shape.isReversed(part: part)).opposite, x: x,
          dy: dy?.from(shape.isSummed ? 0 : direction * shape.hiddenSize), dhn: UnsafePointer(call.dh + state),
          dcn: call.dc.map { UnsafePointer($0 + state) },
          parameters: PartPointers(shape.parameters(ofPart: part), call.parameters, call.gradients),
          dx: direction == 0 ? dx : ofReverse, dh0: call.dh + state, dc0: call.dc.map { $0 + state },
          record: record.levels[level].parts[direction].place!)
        return BackwardWork(engine: engine, call: call, memory: engine.prepareBackward(call, scratch))
      }
      if shape.directions == 2 {
        dx?.scatter(plan, 0..<plan.steps, size: size, from: memory.ofReverse, add: true)
      }
      if level == 0 {
        dx?.clearPadding(plan, size: size)
      } else if let dx {
        mask(record.dropoutSeed)?.apply(plan, layer: level - 1, size: size, from: dx.base, to: dx.base)
        dy = dx.read
      }
    }
  }
}

/// The backward work of one part, as threads run it.
private struct BackwardWork<E: Element>: SharedWork, BitwiseCopyable {
  unowned(unsafe) let engine: Engine<E>
  let call: PartBackward<E>
  let memory: BackwardMemory<E>

  func run(_ share: Share) { engine.backward(call, memory, share) }
}

/// The gradients that a level passes to the level below it.
struct GradientMemory<E: Element> {
  let even: UnsafeMutablePointer<E>  // [rows][outputSize]: the gradient of the input of even levels
  let odd: UnsafeMutablePointer<E>
  let ofReverse: UnsafeMutablePointer<E>  // the reverse direction's term of the gradient
}
extension GradientMemory {
  init(_ shape: LayerShape, _ plan: RowPlan, _ scratch: Scratch<E>, wantsDx: Bool) {
    let between = shape.layerCount > 1 ? plan.rowCount * shape.outputSize : 0
    let ofReverse =
      shape.directions == 1 ? 0 : max(between, wantsDx ? plan.rowCount * shape.inputSize : 0)
    self = scratch.levels.carve { arena in
      GradientMemory(
        even: arena.take(shape.layerCount > 2 ? between : 0), odd: arena.take(between), ofReverse: arena.take(ofReverse)
      )
    }
  }
}
