import CRecurrentKernels

/// The levels of a layer and their directions: each part's output is the next level's input.
public final class FloatStack: LayerEngine, @unchecked Sendable {
  /// The code behind streams of floats.
  public typealias Stream = FloatStream

  package let shape: LayerShape
  private let dropout: Float
  private let flushesDenormals: Bool
  let parts: [FloatEngine]

  public init(_ options: EngineOptions) throws(RecurrentError) {
    shape = options.shape
    dropout = options.dropout
    flushesDenormals = options.flushesDenormals
    var parts: [FloatEngine] = []
    for part in 0..<shape.parts {
      parts.append(
        try FloatEngine(
          cell: shape.cell, inputSize: shape.inputSize(ofLevel: part / shape.directions), hiddenSize: shape.hiddenSize,
          instructionSet: options.instructionSet))
    }
    self.parts = parts
  }

  public init(like other: FloatStack) {
    shape = other.shape
    dropout = other.dropout
    flushesDenormals = other.flushesDenormals
    parts = other.parts.map(FloatEngine.init(like:))
  }

  public func adopt(_ parameters: Parameters<Float>) {
    parameters.values.withUnsafeBufferPointer { values in
      for part in parts.indices {
        parts[part].adopt(values.baseAddress!, shape.parameters(ofPart: part))
      }
    }
  }

  public func prepare(_ record: Record<Float>, steps: Int, batchSize: Int, options: BorrowedOptions) {
    record.prepare(
      shape, parts, steps: steps, batchSize: batchSize, options: options, drops: mask(record.dropoutSeed) != nil)
  }

  // MARK: - Forward

  public func forward(_ call: ForwardCall<Float>) {
    let mode = startFlushing()
    defer { stopFlushing(mode) }
    let plan =
      call.record?.plan
      ?? call.scratch.plan(
        steps: call.steps, batchSize: call.batchSize, lengths: call.options.lengths, resets: call.options.resets)
    let needsMemory = call.record == nil && (shape.layerCount > 1 || shape.isSummed)
    let memory = needsMemory ? LevelMemory(shape, plan, call.scratch) : nil
    var x = RowPlace(MutableFloats(mutating: call.x), call.xDistances)
    for level in 0..<shape.layerCount {
      let isLast = level + 1 == shape.layerCount
      let y: RowPlace
      if let record = call.record {
        y = packed(record.levels[level].y, plan)
      } else if isLast, !shape.isSummed, let target = call.y {
        y = RowPlace(target, call.yDistances)
      } else {
        y = packed(level & 1 == 0 ? memory!.even : memory!.odd, plan)
      }
      runLevel(level, plan, call.scratch) { engine, part, scratch in
        let state = part * plan.batchSize * shape.hiddenSize, direction = part % shape.directions
        let call = PartForward(
          plan: plan, reversed: shape.isReversed(part: part), x: x, y: y.from(direction * shape.hiddenSize),
          h0: Floats(call.h + state), c0: call.c.map { Floats($0 + state) }, hn: call.h + state,
          cn: call.c.map { $0 + state }, record: call.record?.levels[level].parts[direction].place)
        return ForwardWork(engine: engine, call: call, memory: engine.prepareForward(call, scratch))
      }
      if isLast {
        finish(call, plan, y)
      } else {
        x = nextInput(call, plan, level, y, memory)
      }
    }
  }

  /// The last level's y, where the caller has it.
  private func finish(_ call: ForwardCall<Float>, _ plan: RowPlan, _ y: RowPlace) {
    call.record?.finishOutput()
    guard let target = call.y.map({ RowPlace($0, call.yDistances) }) else { return }
    if y.isPacked {
      writeOutput(shape, y.base, plan, to: target)
    } else {
      target.clearPadding(plan, size: shape.outputSize)
    }
  }

  /// What the level after this one reads: y, the sum of its directions, or either with dropout.
  private func nextInput(
    _ call: ForwardCall<Float>, _ plan: RowPlan, _ level: Int, _ y: RowPlace, _ memory: LevelMemory?
  ) -> RowPlace {
    var rows = y.base
    let copy = call.record?.levels[level].copy?.start ?? memory?.sum
    if shape.isSummed, let copy {
      sumDirections(
        rows, plan, hiddenSize: shape.hiddenSize,
        into: RowPlace(packed: copy, stride: shape.hiddenSize, batchSize: plan.batchSize))
      rows = copy
    }
    if let record = call.record, let mask = mask(record.dropoutSeed), let copy {
      mask.apply(plan, layer: level, size: shape.outputSize, from: rows, to: copy)
      rows = copy
    }
    return RowPlace(packed: rows, stride: shape.outputSize, batchSize: plan.batchSize)
  }

  private func packed(_ y: MutableFloats, _ plan: RowPlan) -> RowPlace {
    RowPlace(packed: y, stride: shape.width, batchSize: plan.batchSize)
  }

  // MARK: - Threads

  /// The mode before, for `stopFlushing`.
  func startFlushing() -> UInt32 { flushesDenormals ? flush_to_zero() : 0 }
  func stopFlushing(_ mode: UInt32) { if flushesDenormals { restore_denormals(mode) } }

  /// The parts of a level, one after the other, each on the scratch's threads where that pays. Two directions run on two
  /// threads at once, without a barrier.
  @inline(__always)
  private func runLevel<Work: SharedWork>(
    _ level: Int, _ plan: RowPlan, _ scratch: Scratch<Float>,
    prepare: (_ engine: FloatEngine, _ part: Int, _ scratch: Scratch<Float>) -> Work
  ) {
    let first = level * shape.directions, shares = parts[first].shares(batchSize: plan.batchSize)
    if let threads = scratch.threads, threads.count > 1, shape.directions == 2, threads.count == 2 || !shares,
      plan.rowCount * shape.hiddenSize * shape.hiddenSize >= FloatStack.apartMultiplies
    {
      threads.run(
        BothDirections(
          forward: prepare(parts[first], first, scratch),
          reverse: prepare(parts[first + 1], first + 1, scratch.second)))
      return
    }
    for part in first..<first + shape.directions {
      let work = prepare(parts[part], part, scratch)
      if let threads = scratch.threads, shares { threads.run(work) } else { work.run(.whole) }
    }
  }

  /// Units times units times rows from which two directions pay for the waking of a thread.
  private static let apartMultiplies = 1 << 18

  // MARK: - Backward

  public func backward(_ call: BackwardCall<Float>) {
    let mode = startFlushing()
    defer { stopFlushing(mode) }
    let record = call.record, plan = record.plan
    let memory = GradientMemory(shape, plan, call.scratch, wantsDx: call.dx != nil)
    var dy = call.dy.map { RowPlace(MutableFloats(mutating: $0), call.yDistances) }
    for level in (0..<shape.layerCount).reversed() {
      let x: RowPlace, dx: RowPlace?, size = shape.inputSize(ofLevel: level)
      if level == 0 {
        x = RowPlace(MutableFloats(mutating: call.x), call.xDistances)
        dx = call.dx.map { RowPlace($0, call.xDistances) }
      } else {
        let below = record.levels[level - 1]
        x = RowPlace(packed: below.copy?.start ?? below.y, stride: size, batchSize: plan.batchSize)
        dx = RowPlace(packed: level & 1 == 0 ? memory.even : memory.odd, stride: size, batchSize: plan.batchSize)
      }
      let ofReverse = dx == nil ? nil : RowPlace(packed: memory.ofReverse, stride: size, batchSize: plan.batchSize)
      runLevel(level, plan, call.scratch) { [dy] engine, part, scratch in
        let state = part * plan.batchSize * shape.hiddenSize, direction = part % shape.directions
        let places = shape.parameters(ofPart: part)
        let call = PartBackward(
          plan: plan, reversed: shape.isReversed(part: part), x: x,
          dy: dy?.from(shape.isSummed ? 0 : direction * shape.hiddenSize), dhn: Floats(call.dh + state),
          dcn: call.dc.map { Floats($0 + state) }, weightIH: call.parameters + places.weightIH.lowerBound,
          weightHH: call.parameters + places.weightHH.lowerBound, dx: direction == 0 ? dx : ofReverse,
          dh0: call.dh + state, dc0: call.dc.map { $0 + state },
          dWeightIH: call.gradients + places.weightIH.lowerBound,
          dWeightHH: call.gradients + places.weightHH.lowerBound,
          dBiasIH: shape.hasBias ? call.gradients + places.biasIH.lowerBound : nil,
          dBiasHH: shape.hasBias ? call.gradients + places.biasHH.lowerBound : nil,
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
        dy = dx
      }
    }
  }

  /// Nil if the call drops nothing.
  private func mask(_ seed: DropoutSeed?) -> DropoutMask? {
    seed.map { DropoutMask(rate: dropout, seed: $0, set: parts[0].products.set) }
  }
}

/// A part's forward. The engine is the stack's, which outlives the call.
private struct ForwardWork: SharedWork, BitwiseCopyable {
  unowned(unsafe) let engine: FloatEngine
  let call: PartForward
  let memory: ForwardMemory

  func run(_ share: Share) { engine.forward(call, memory, share) }
}

/// A part's backward.
private struct BackwardWork: SharedWork, BitwiseCopyable {
  unowned(unsafe) let engine: FloatEngine
  let call: PartBackward
  let memory: BackwardMemory

  func run(_ share: Share) { engine.backward(call, memory, share) }
}

/// Both directions of a level at once, each on one thread.
private struct BothDirections<Work: SharedWork>: SharedWork {
  let forward: Work
  let reverse: Work

  func run(_ share: Share) {
    if share.index == 0 { forward.run(.whole) }
    if share.index == 1 { reverse.run(.whole) }
  }
}

/// The last level's h, of [rows][D·H], as y; zero behind the ends of sequences.
func writeOutput(_ shape: LayerShape, _ h: MutableFloats, _ plan: RowPlan, to y: RowPlace) {
  if shape.isSummed {
    sumDirections(h, plan, hiddenSize: shape.hiddenSize, into: y)
  } else {
    y.scatter(plan, 0..<plan.steps, size: shape.width, from: h)
  }
  y.clearPadding(plan, size: shape.outputSize)
}

/// y = forward's h + reverse's h, of [rows][2·H].
func sumDirections(_ both: MutableFloats, _ plan: RowPlan, hiddenSize: Int, into y: RowPlace) {
  for t in 0..<plan.steps {
    for r in 0..<plan.count(t) {
      let source = both + (plan.offset(t) + r) * 2 * hiddenSize, target = y.at(plan, t, r)
      for i in 0..<hiddenSize { target[i] = source[i] + source[hiddenSize + i] }
    }
  }
}

/// What levels hand to each other without a record.
private struct LevelMemory {
  let even: MutableFloats  // [rows][D·H]: y of even levels
  let odd: MutableFloats
  let sum: MutableFloats?  // [rows][H], of summed directions
}
extension LevelMemory {
  init(_ shape: LayerShape, _ plan: RowPlan, _ scratch: Scratch<Float>) {
    self = scratch.levels.carve { arena in
      LevelMemory(
        even: arena.take(plan.rowCount * shape.width),
        odd: arena.take(shape.layerCount > 1 ? plan.rowCount * shape.width : 0),
        sum: shape.isSummed ? arena.take(plan.rowCount * shape.hiddenSize) : nil)
    }
  }
}

/// The gradients that levels hand to each other.
private struct GradientMemory {
  let even: MutableFloats  // [rows][outputSize]: of the input of even levels
  let odd: MutableFloats
  let ofReverse: MutableFloats  // the reverse direction's part of either
}
extension GradientMemory {
  init(_ shape: LayerShape, _ plan: RowPlan, _ scratch: Scratch<Float>, wantsDx: Bool) {
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
