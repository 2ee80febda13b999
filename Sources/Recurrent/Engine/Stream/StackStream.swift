/// A stream's engine for one scalar. The state is in the layout of the kernels: h by row, c in panels. The rows are the
/// sequences that have joined, in any order.
package final class StackStream<E: Element>: StreamSteps, StreamEngine {
  let stack: Stack<E>
  /// One entry for each level. They are in memory of their own, so that a step counts no reference and checks no
  /// access.
  let levels: UnsafeMutableBufferPointer<Level>
  /// The h of each level.
  let states: UnsafeMutableBufferPointer<HiddenState<E>>
  private let owned: [AnyObject]
  /// [even and odd steps][level]: single steps in slots; empty if steps run in registers or the sequences are too many.
  private let slotLevels: UnsafeMutableBufferPointer<SlotStages<E>>
  /// The steps of a chunk. A chunk runs level by level.
  private let chunkSteps: Int
  /// x and y of a chunk, used if the rows are not in the order of the seats.
  private let x: AlignedBuffer<E>
  private let y: AlignedBuffer<E>
  /// [N][P]: c of one block, used to reorder the rows.
  let moved: AlignedBuffer<E>

  /// One level of a stream.
  struct Level: BitwiseCopyable {
    let engine: Unmanaged<Engine<E>>
    var memory: ForwardMemory<E>
    let y: UnsafeMutablePointer<E>  // [rows of a chunk][H]: what the next level reads
  }

  init(_ stack: Stack<E>, batchSize: Int) {
    self.stack = stack
    chunkSteps = max(1, stack.parts[0].chunkRows / batchSize)
    let rows = chunkSteps * batchSize, shape = stack.shape
    x = AlignedBuffer(count: rows * shape.inputSize)
    y = AlignedBuffer(count: rows * shape.hiddenSize)
    moved = AlignedBuffer(count: batchSize * stack.parts[0].products.width)
    levels = .allocate(capacity: shape.layerCount)
    states = .allocate(capacity: shape.layerCount)
    let plan = RowPlan(steps: chunkSteps, batchSize: batchSize)
    var owned: [AnyObject] = []
    for index in levels.indices {
      let engine = stack.parts[index], scratch = Scratch<E>()
      let even = AlignedBuffer<E>(count: batchSize * shape.hiddenSize), odd = AlignedBuffer<E>(count: even.count)
      let y = AlignedBuffer<E>(count: index + 1 == shape.layerCount ? 0 : rows * shape.hiddenSize)
      states.initializeElement(at: index, to: HiddenState(even: even.start, odd: odd.start))
      let call = StackStream.call(
        plan, x: x.start, size: engine.inputSize, y: y.start, stride: shape.hiddenSize, h: even.start)
      levels.initializeElement(
        at: index,
        to: Level(engine: .passUnretained(engine), memory: engine.prepareForward(call, scratch), y: y.start))
      owned += [engine, scratch, even, odd, y]
    }
    self.owned = owned
    let memories = levels.map(\.memory), states = self.states
    let inRegisters = stack.parts.allSatisfy { $0.streamRunsInRegisters(rows: batchSize) }
    let inSlots = !inRegisters && stack.parts.allSatisfy { $0.servesSlotStages(rows: batchSize) }
    slotLevels = .allocate(capacity: inSlots ? 2 * levels.count : 0)
    if inSlots {
      for (place, isOdd) in [false, true].enumerated() {
        for (index, engine) in stack.parts.enumerated() {
          let x = inputOfLevel(index, states, isOdd: isOdd)
          slotLevels.initializeElement(
            at: place * levels.count + index,
            to: SlotStages(
              engine, memories[index], rows: batchSize, x: x, previousH: states[index].now(isOdd),
              h: states[index].next(isOdd)))
        }
      }
    }
    super.init(
      shape, batchSize: batchSize, scalarBytes: MemoryLayout<E>.stride, denormals: stack.denormals,
      plans: inRegisters
        ? (
          StackStream.plan(stack.parts, memories, states, isOdd: false),
          StackStream.plan(stack.parts, memories, states, isOdd: true)
        ) : nil,
      runsStepByStep: stack.parts.allSatisfy { $0.streamRunsStepByStep(rows: batchSize) })
  }

  deinit {
    for level in slotLevels { level.deallocate() }
    slotLevels.deallocate()
    levels.deallocate()
    states.deallocate()
  }

  package func copy() -> any StreamEngine<E> {
    let other = StackStream(stack, batchSize: capacity)
    // In memory of its own, which has room for all seats: join and leave then allocate nothing.
    other.seats.removeAll(keepingCapacity: true)
    other.seats.append(contentsOf: seats)
    for index in levels.indices {
      let engine = levels[index].engine.takeUnretainedValue()
      other.h(index).update(from: h(index), count: capacity * engine.hiddenSize)
      if let c = levels[index].memory.c, let target = other.levels[index].memory.c {
        target.update(from: c, count: engine.blocks * capacity * engine.products.width)
      }
    }
    return other
  }

  /// The plan of an even or an odd step in registers, in memory of its own. Odd steps visit the step blocks of a stage
  /// downwards: the weights that a step used last are still in a near cache when the next step begins.
  private static func plan(
    _ engines: [Engine<E>], _ memories: [ForwardMemory<E>], _ states: UnsafeMutableBufferPointer<HiddenState<E>>,
    isOdd: Bool
  ) -> StepPlan {
    let room = StepPlan.Room(
      calls: .allocate(capacity: engines.reduce(0) { $0 + $1.stepCalls }),
      roundings: .allocate(capacity: engines.reduce(0) { $0 + $1.stepRoundings }))
    let h = states[states.count - 1].next(isOdd)
    var plan = StepPlan(engines[0].products, h: h, hiddenSize: engines[0].hiddenSize, in: room)
    for (index, engine) in engines.enumerated() {
      plan.append(
        engine, memories[index], weights: engine.packed.stepWeights(engine.products),
        x: inputOfLevel(index, states, isOdd: isOdd), previousH: states[index].now(isOdd), h: states[index].next(isOdd),
        downwards: isOdd)
    }
    return plan
  }

  private static func call(
    _ plan: RowPlan, x: UnsafePointer<E>, size: Int, y: UnsafeMutablePointer<E>, stride: Int,
    h: UnsafeMutablePointer<E>
  ) -> PartForward<E> {
    PartForward(
      walk: Walk(plan, isDownwards: false), x: Rows(x, RowLayout(packed: size, batchSize: plan.batchSize)),
      y: packedRows(y, stride: stride, plan), h0: UnsafePointer(h), c0: nil, hn: h, cn: nil, record: nil)
  }

  /// The current h of a level.
  @inline(__always)
  func h(_ level: Int) -> UnsafeMutablePointer<E> { states[level].now(isOdd) }

  // MARK: - Steps

  override func runWithoutPlans(_ x: UnsafeRawPointer, steps: Int, into y: UnsafeMutableRawPointer) {
    runSlotsOrChunks(x.assumingMemoryBound(to: E.self), steps: steps, into: y.assumingMemoryBound(to: E.self))
  }

  @specialized(where E == Float)
  @specialized(where E == Double)
  private func runSlotsOrChunks(_ x: UnsafePointer<E>, steps: Int, into y: UnsafeMutablePointer<E>) {
    guard steps == 1, rowsAreSeats, !slotLevels.isEmpty else { return runChunks(x, steps: steps, into: y) }
    let step = slotLevels.baseAddress! + (isOdd ? levels.count : 0)
    step.pointee.setX(x)
    for index in levels.indices { step[index].run(downwards: isOdd) }
    let last = levels.count - 1
    y.update(from: states[last].next(isOdd), count: capacity * stack.shape.hiddenSize)
    isOdd.toggle()
  }

  private func runChunks(_ x: UnsafePointer<E>, steps: Int, into y: UnsafeMutablePointer<E>) {
    let shape = stack.shape, xStep = capacity * shape.inputSize, yStep = capacity * shape.hiddenSize
    var done = 0
    while done < steps {
      let chunk = min(chunkSteps, steps - done)
      let xChunk = x + done * xStep, yChunk = y + done * yStep
      if rowsAreSeats {
        runChunk(xChunk, steps: chunk, into: yChunk)
      } else {
        gather(xChunk, steps: chunk)
        if !seats.isEmpty { runChunk(UnsafePointer(self.x.start), steps: chunk, into: self.y.start) }
        scatter(steps: chunk, to: yChunk)
      }
      done += chunk
    }
  }

  /// Runs some steps. The rows of x and y lie next to each other, step after step.
  @inline(__always)
  private func runChunk(_ x: UnsafePointer<E>, steps: Int, into y: UnsafeMutablePointer<E>) {
    var x = x
    let plan = RowPlan(steps: steps, batchSize: seats.count), size = stack.shape.hiddenSize
    for index in levels.indices {
      let target = index + 1 == levels.count ? y : levels[index].y
      levels[index].engine._withUnsafeGuaranteedRef { engine in
        engine.runSteps(
          StackStream.call(plan, x: x, size: engine.inputSize, y: target, stride: size, h: h(index)),
          levels[index].memory, .whole)
      }
      levels[index].memory.turns &+= steps
      x = UnsafePointer(target)
    }
  }

  private func gather(_ x: UnsafePointer<E>, steps: Int) {
    let size = stack.shape.inputSize
    for t in 0..<steps {
      for row in seats.indices {
        let source = x + (t * capacity + seats[row]) * size
        (self.x.start + (t * seats.count + row) * size).update(from: source, count: size)
      }
    }
  }

  private func scatter(steps: Int, to y: UnsafeMutablePointer<E>) {
    let size = stack.shape.hiddenSize
    y.update(repeating: 0, count: steps * capacity * size)
    for t in 0..<steps {
      for row in seats.indices {
        let target = y + (t * capacity + seats[row]) * size
        target.update(from: self.y.start + (t * seats.count + row) * size, count: size)
      }
    }
  }
}
