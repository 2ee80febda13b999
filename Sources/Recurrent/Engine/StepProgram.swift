import CRecurrentKernels

/// A step of few sequences as a list of kernel calls whose operands stand ready: between the kernels of a small cell
/// there is then next to nothing. h goes back and forth between two places of each level.
final class StepProgram {
  /// One block of units of one level.
  private struct Call: BitwiseCopyable {
    var input: product
    var hidden: product
    var gates: gate_tile
    let slots: MutableFloats
    let bias: Floats
  }
  private struct Level: BitwiseCopyable {
    let kernels: UnsafePointer<product_kernels>
    let set: instruction_set
    let cell: Cell
    let calls: Int  // of one of its two turns
    let slotStride: Int
  }

  private let rows: Int
  private let hiddenSize: Int
  private let levels: UnsafeMutableBufferPointer<Level>
  /// [even and odd steps][level][block]
  private let calls: UnsafeMutableBufferPointer<Call>
  private let allH: [(even: MutableFloats, odd: MutableFloats)]
  private let lastH: (afterEven: MutableFloats, afterOdd: MutableFloats)
  @exclusivity(unchecked) private(set) var isOdd = false
  @exclusivity(unchecked) private var isDownwards = false

  /// Whether the rows of a step need no packing and fit a tile.
  static func serves(_ engines: [FloatEngine], rows: Int) -> Bool {
    engines.allSatisfy { engine in
      !engine.cell.resetsBefore && rows <= engine.products.tiles(rows).size
        && !engine.packsRows(rows, depth: max(engine.inputSize, engine.hiddenSize))
    }
  }

  /// - Parameters:
  ///   - h: of each level, [rows][H]: where it stands before even steps, and before odd ones.
  init(
    _ engines: [FloatEngine], _ memories: [ForwardMemory], h: [(even: MutableFloats, odd: MutableFloats)], rows: Int
  ) {
    self.rows = rows
    hiddenSize = engines[0].hiddenSize
    levels = .allocate(capacity: engines.count)
    var all: [Call] = []
    for isOdd in [false, true] {
      for (index, engine) in engines.enumerated() {
        let memory = memories[index]
        let old = isOdd ? h[index].odd : h[index].even, new = isOdd ? h[index].even : h[index].odd
        let below = index == 0 ? nil : isOdd ? h[index - 1].even : h[index - 1].odd
        levels.initializeElement(
          at: index,
          to: Level(
            kernels: engine.products.kernels, set: engine.products.set, cell: engine.cell, calls: engine.blocks,
            slotStride: memory.layout.slotStride))
        all += (0..<engine.blocks).map {
          StepProgram.call(engine, memory, $0, rows: rows, x: below ?? old, old: old, new: new)
        }
      }
    }
    calls = .allocate(capacity: all.count)
    _ = calls.initialize(from: all)
    allH = h
    lastH = (h[h.count - 1].odd, h[h.count - 1].even)
  }

  deinit {
    levels.deallocate()
    calls.deallocate()
  }

  private static func call(
    _ engine: FloatEngine, _ memory: ForwardMemory, _ block: Int, rows: Int, x: MutableFloats, old: MutableFloats,
    new: MutableFloats
  ) -> Call {
    let cell = engine.cell, width = engine.products.width, size = engine.hiddenSize
    let slots = memory.slots + block * memory.layout.blockStride, stride = memory.layout.slotStride
    func operands(_ x: MutableFloats, _ depth: Int, _ weights: Floats, to slot: Int) -> product {
      product(
        rows: x, row_count: rows, row_stride: rows == 1 ? 1 : depth,
        panels: weights + block * cell.gates * depth * width, panel_count: cell.gates, panel_stride: depth * width,
        k: depth, c: slots + slot * stride, c_panel_stride: stride, c_row_stride: width, add: true, next: nil,
        next_count: 0)
    }
    let step = FloatEngine.StepRows(
      count: rows, firstRow: 0, previous: FloatEngine.HRows(start: old, stride: size, tiles: nil),
      h: FloatEngine.HRows(start: new, stride: size, tiles: nil))
    return Call(
      input: operands(x, engine.inputSize, Floats(engine.packed.weightIH.start), to: 0),
      hidden: operands(old, size, Floats(engine.packed.weightHH.start), to: cell.firstHiddenSlot),
      gates: engine.gateTile(step, memory, block, 0, rows),
      slots: slots, bias: Floats(engine.packed.bias.start + block * cell.biasedSlots * width))
  }

  /// Brings h to where it stands before even steps.
  func settle() {
    guard isOdd else { return }
    for h in allH { h.even.update(from: h.odd, count: rows * hiddenSize) }
    isOdd = false
  }

  /// One step: x [rows][C], y [rows][H].
  @inline(__always)
  func run(_ x: Floats, into y: MutableFloats) {
    var first = calls.baseAddress! + (isOdd ? calls.count / 2 : 0)
    for block in 0..<levels[0].calls { first[block].input.rows = x }
    for level in levels {
      for index in 0..<level.calls {
        // Weights that were used last are still in the nearest cache that holds a part of them.
        let call = first + (isDownwards ? level.calls - 1 - index : index)
        fill_rows(
          level.kernels, call.pointee.slots, level.slotStride, level.cell.biasedSlots, call.pointee.bias, rows)
        product_run_own(level.kernels, &call.pointee.input)
        product_run_own(level.kernels, &call.pointee.hidden)
        switch level.cell {
        case .rnn(let activation): RNNGates.pass(activation, .float, level.set).forward(&call.pointee.gates)
        case .lstm(let output): LSTMGates.pass(output, .float, level.set).forward(&call.pointee.gates)
        case .gru(_, let update): GRUGates.pass(update: update, .float, level.set).forward(&call.pointee.gates)
        }
      }
      first += level.calls
    }
    y.update(from: isOdd ? lastH.afterOdd : lastH.afterEven, count: rows * hiddenSize)
    isOdd.toggle()
    isDownwards.toggle()
  }
}
