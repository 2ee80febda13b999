/// The state of a stream, where the kernels have it: h by row, c in panels. Rows are the sequences that have joined, in
/// any order; `slots` tells which is which.
public final class FloatStream: StreamEngine {
  private let stack: FloatStack
  private let capacity: Int  // N
  @exclusivity(unchecked) private var slots: [Int]  // [rows]: the slot of a row
  /// All slots are taken, each by the row of its number.
  @exclusivity(unchecked) private var rowsAreSlots = true
  /// One for each level, in memory of its own: a step counts no reference and checks no access.
  private let levels: UnsafeMutableBufferPointer<Level>
  private var owned: [AnyObject] = []
  /// A single step of few sequences; nil where they are too many.
  private let program: Unmanaged<StepProgram>?
  /// Steps that run at once, level by level.
  private let chunkSteps: Int
  /// x and y of a chunk, where rows are not slots.
  private let x: AlignedBuffer
  private let y: AlignedBuffer

  /// What one level has between two steps.
  private struct Level: BitwiseCopyable {
    let engine: Unmanaged<FloatEngine>
    var memory: ForwardMemory
    let h: MutableFloats  // [N][H]
    let y: MutableFloats  // [rows of a chunk][H]: what the next level reads
  }

  public init(_ stack: FloatStack, batchSize: Int) {
    self.stack = stack
    capacity = batchSize
    slots = Array(0..<batchSize)
    chunkSteps = max(1, FloatEngine.chunkRows / batchSize)
    let rows = chunkSteps * batchSize, shape = stack.shape
    x = AlignedBuffer(count: rows * shape.inputSize)
    y = AlignedBuffer(count: rows * shape.hiddenSize)
    levels = .allocate(capacity: shape.layerCount)
    let plan = RowPlan(steps: chunkSteps, batchSize: batchSize)
    var programH: [(even: MutableFloats, odd: MutableFloats)] = []
    for index in levels.indices {
      let engine = stack.parts[index], scratch = Scratch<Float>()
      let h = AlignedBuffer(count: batchSize * shape.hiddenSize)
      let y = AlignedBuffer(count: index + 1 == shape.layerCount ? 0 : rows * shape.hiddenSize)
      let call = FloatStream.call(
        plan, x: x.start, size: engine.inputSize, y: y.start, stride: shape.hiddenSize, h: h.start)
      levels.initializeElement(
        at: index,
        to: Level(
          engine: .passUnretained(engine), memory: engine.prepareForward(call, scratch), h: h.start, y: y.start))
      let oddH = AlignedBuffer(count: h.count)
      owned += [engine, scratch, h, y, oddH]
      programH.append((h.start, oddH.start))
    }
    if StepProgram.serves(stack.parts, rows: batchSize) {
      let program = StepProgram(stack.parts, levels.map(\.memory), h: programH, rows: batchSize)
      owned.append(program)
      self.program = .passUnretained(program)
    } else {
      program = nil
    }
  }

  deinit { levels.deallocate() }

  public convenience init(like other: FloatStream) {
    self.init(other.stack, batchSize: other.capacity)
    slots = other.slots
    rowsAreSlots = other.rowsAreSlots
    other.settle()
    for (level, from) in zip(levels, other.levels) {
      let engine = level.engine.takeUnretainedValue()
      level.h.update(from: from.h, count: capacity * engine.hiddenSize)
      if let c = level.memory.c, let fromC = from.memory.c {
        c.update(from: fromC, count: engine.blocks * capacity * engine.products.width)
      }
    }
  }

  private static func call(
    _ plan: RowPlan, x: MutableFloats, size: Int, y: MutableFloats, stride: Int, h: MutableFloats
  ) -> PartForward {
    PartForward(
      plan: plan, reversed: false, x: RowPlace(packed: x, stride: size, batchSize: plan.batchSize),
      y: RowPlace(packed: y, stride: stride, batchSize: plan.batchSize), h0: Floats(h), c0: nil, hn: h, cn: nil,
      record: nil)
  }

  // MARK: - Steps

  @inline(__always)
  public func process(_ x: UnsafePointer<Float>, steps: Int, into y: UnsafeMutablePointer<Float>) {
    let mode = stack.startFlushing()
    defer { stack.stopFlushing(mode) }
    if steps == 1, rowsAreSlots, let program {
      return program._withUnsafeGuaranteedRef { $0.run(x, into: y) }
    }
    processChunks(x, steps: steps, into: y)
  }

  private func processChunks(_ x: UnsafePointer<Float>, steps: Int, into y: UnsafeMutablePointer<Float>) {
    let shape = stack.shape, xStep = capacity * shape.inputSize, yStep = capacity * shape.hiddenSize
    settle()
    var done = 0
    while done < steps {
      let chunk = min(chunkSteps, steps - done)
      let xChunk = MutableFloats(mutating: x) + done * xStep, yChunk = y + done * yStep
      if rowsAreSlots {
        run(xChunk, steps: chunk, into: yChunk)
      } else {
        gather(xChunk, steps: chunk)
        if !slots.isEmpty { run(self.x.start, steps: chunk, into: self.y.start) }
        scatter(steps: chunk, to: yChunk)
      }
      done += chunk
    }
  }

  /// Brings h to where everything but the program expects it.
  private func settle() { program?._withUnsafeGuaranteedRef { $0.settle() } }

  /// Rows of x and y one after the other, those of a step together.
  @inline(__always)
  private func run(_ x: MutableFloats, steps: Int, into y: MutableFloats) {
    var x = x
    let plan = RowPlan(steps: steps, batchSize: slots.count), size = stack.shape.hiddenSize
    for index in levels.indices {
      let target = index + 1 == levels.count ? y : levels[index].y
      levels[index].engine._withUnsafeGuaranteedRef { engine in
        engine.run(
          FloatStream.call(plan, x: x, size: engine.inputSize, y: target, stride: size, h: levels[index].h),
          levels[index].memory, .whole)
      }
      levels[index].memory.turns &+= steps
      x = target
    }
  }

  private func gather(_ x: MutableFloats, steps: Int) {
    let size = stack.shape.inputSize
    for t in 0..<steps {
      for (row, slot) in slots.enumerated() {
        (self.x.start + (t * slots.count + row) * size).update(from: x + (t * capacity + slot) * size, count: size)
      }
    }
  }

  private func scatter(steps: Int, to y: MutableFloats) {
    let size = stack.shape.hiddenSize
    y.update(repeating: 0, count: steps * capacity * size)
    for t in 0..<steps {
      for (row, slot) in slots.enumerated() {
        (y + (t * capacity + slot) * size).update(from: self.y.start + (t * slots.count + row) * size, count: size)
      }
    }
  }

  // MARK: - State

  public func reset() {
    for row in slots.indices { clear(row) }
    if slots.count == capacity { order() }
  }

  public func reset(slot: Int) {
    if let row = slots.firstIndex(of: slot) { clear(row) }
  }

  public func isActive(slot: Int) -> Bool { slots.contains(slot) }

  public func join(slot: Int) {
    if let row = slots.firstIndex(of: slot) { return clear(row) }
    slots.append(slot)
    clear(slots.count - 1)
    if slots.count == capacity { order() }
  }

  /// The last row takes the place of the one that leaves.
  public func leave(slot: Int) {
    guard let row = slots.firstIndex(of: slot) else { return }
    let last = slots.count - 1
    if row != last { swap(row, last) }
    slots.removeLast()
    rowsAreSlots = false
  }

  /// All slots are taken: brings each to the row of its number, where x and y need no gathering.
  private func order() {
    for row in slots.indices {
      while slots[row] != row { swap(row, slots[row]) }
    }
    rowsAreSlots = true
  }

  /// Exchanges two rows and their states.
  private func swap(_ a: Int, _ b: Int) {
    forEachLevel { engine, h, c in
      let size = engine.hiddenSize, width = engine.products.width
      for unit in 0..<size { Swift.swap(&h[a * size + unit], &h[b * size + unit]) }
      guard let c else { return }
      for block in 0..<engine.blocks {
        for unit in 0..<width {
          Swift.swap(&c[(block * capacity + a) * width + unit], &c[(block * capacity + b) * width + unit])
        }
      }
    }
    slots.swapAt(a, b)
  }

  /// h and c [L,N,H]; zero of slots that have left.
  public func readState(h: UnsafeMutablePointer<Float>, c: UnsafeMutablePointer<Float>?) {
    let size = stack.shape.hiddenSize, count = capacity * size
    var level = 0
    forEachLevel { engine, rows, panels in
      let h = h + level * count, c = c.map { $0 + level * count }
      h.update(repeating: 0, count: count)
      c?.update(repeating: 0, count: count)
      for (row, slot) in slots.enumerated() {
        (h + slot * size).update(from: rows + row * size, count: size)
        guard let c, let panels else { continue }
        let width = engine.products.width
        engine.products.copyRows(
          ofPanels: panels + row * width, panelStride: capacity * width, rows: 1, units: size, to: c + slot * size,
          stride: size)
      }
      level += 1
    }
  }

  public func writeState(h: UnsafePointer<Float>, c: UnsafePointer<Float>?) {
    let size = stack.shape.hiddenSize, count = capacity * size
    var level = 0
    forEachLevel { engine, rows, panels in
      let h = h + level * count, c = c.map { $0 + level * count }
      for (row, slot) in slots.enumerated() {
        (rows + row * size).update(from: h + slot * size, count: size)
        guard let c, let panels else { continue }
        let width = engine.products.width
        engine.products.packPanels(
          columnsOf: c + slot * size, units: size, depth: 1, stride: size, panelStride: capacity * width,
          into: panels + row * width)
      }
      level += 1
    }
  }

  private func clear(_ row: Int) {
    forEachLevel { engine, h, c in
      (h + row * engine.hiddenSize).update(repeating: 0, count: engine.hiddenSize)
      guard let c else { return }
      let width = engine.products.width
      for block in 0..<engine.blocks { (c + (block * capacity + row) * width).update(repeating: 0, count: width) }
    }
  }

  private func forEachLevel(_ body: (_ engine: FloatEngine, _ h: MutableFloats, _ c: MutableFloats?) -> Void) {
    settle()
    for level in levels { body(level.engine.takeUnretainedValue(), level.h, level.memory.c) }
  }
}
