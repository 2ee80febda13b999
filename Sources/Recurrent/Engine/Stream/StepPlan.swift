import CRecurrentKernels

/// A step of few sequences whose kernels' operands are prepared once, so that there is next to nothing to do between
/// the kernels of a small cell. h alternates between two buffers of each level.
package final class StepPlan<E: Element> {
  /// The operands of one block of a level in its first stage, which starts from b + W x.
  private struct FirstOperands: BitwiseCopyable {
    var input: product
    var call: StepOperands
    let slots: UnsafeMutablePointer<E>
    let bias: UnsafePointer<E>
  }
  /// One level in even or in odd steps.
  private struct Level: BitwiseCopyable {
    let engine: Unmanaged<Engine<E>>
    let rows: Engine<E>.StepRows
    let memory: ForwardMemory<E>
    /// [block]
    let first: UnsafeMutablePointer<FirstOperands>
    /// [stage after the first][block]
    let later: UnsafeMutablePointer<StepOperands>
  }

  private let rows: Int
  private let hiddenSize: Int
  /// [even and odd steps][level]
  private let levels: UnsafeMutableBufferPointer<Level>
  private let states: UnsafeMutableBufferPointer<HiddenState<E>>
  @exclusivity(unchecked) private var isDownwards = false

  /// - Parameters:
  ///   - engines: one for each level.
  ///   - states: the h of each level, [rows][H].
  init(
    _ engines: [Engine<E>], _ memories: [ForwardMemory<E>], _ states: UnsafeMutableBufferPointer<HiddenState<E>>,
    rows: Int
  ) {
    self.rows = rows
    self.states = states
    hiddenSize = engines[0].hiddenSize
    levels = .allocate(capacity: 2 * engines.count)
    for isOdd in [false, true] {
      for (index, engine) in engines.enumerated() {
        // The first level gets its x with each step.
        let x = index == 0 ? states[0].now(isOdd) : states[index - 1].next(isOdd)
        levels.initializeElement(
          at: (isOdd ? engines.count : 0) + index,
          to: StepPlan.level(engine, memories[index], states[index], isOdd: isOdd, x: x, rows: rows))
      }
    }
  }

  deinit {
    for level in levels {
      level.first.deallocate()
      level.later.deallocate()
    }
    levels.deallocate()
  }

  private static func level(
    _ engine: Engine<E>, _ memory: ForwardMemory<E>, _ state: HiddenState<E>, isOdd: Bool,
    x: UnsafeMutablePointer<E>, rows: Int
  ) -> Level {
    let size = engine.hiddenSize, biasStride = engine.program.biasedSlots * engine.products.width
    let step = Engine<E>.StepRows(
      count: rows, firstRow: 0, previous: Engine.PreviousH(start: state.now(isOdd), stride: size, tiles: nil),
      h: Engine.NextH(start: state.next(isOdd), stride: size, tiles: nil))
    let first = UnsafeMutablePointer<FirstOperands>.allocate(capacity: engine.blocks)
    let later = UnsafeMutablePointer<StepOperands>.allocate(capacity: engine.blocks * (engine.stages.count - 1))
    for block in 0..<engine.blocks {
      (first + block).initialize(
        to: FirstOperands(
          input: engine.operands(
            x, engine.inputSize, step, depth: engine.inputSize, engine.packed.weightIH, 0..<engine.program.gates,
            memory,
            block, slot: 0),
          call: engine.stepOperands(engine.stages[0], step, memory, block),
          slots: memory.slots + block * memory.layout.blockStride,
          bias: UnsafePointer(engine.packed.bias.start + block * biasStride)))
      for stage in 1..<engine.stages.count {
        (later + ((stage - 1) * engine.blocks + block)).initialize(
          to: engine.stepOperands(engine.stages[stage], step, memory, block))
      }
    }
    return Level(engine: .passUnretained(engine), rows: step, memory: memory, first: first, later: later)
  }

  /// One step: x [rows][C], y [rows][H].
  @inline(__always)
  package func run(_ x: UnsafePointer<E>, isOdd: Bool, into y: UnsafeMutablePointer<E>) {
    let count = states.count, first = levels.baseAddress! + (isOdd ? count : 0)
    first.pointee.engine._withUnsafeGuaranteedRef { engine in
      for block in 0..<engine.blocks { first.pointee.first[block].input.rows = UnsafeRawPointer(x) }
    }
    for index in 0..<count { run(first[index]) }
    y.update(from: states[count - 1].next(isOdd), count: rows * hiddenSize)
    isDownwards.toggle()
  }

  @inline(__always)
  private func run(_ level: Level) {
    level.engine._withUnsafeGuaranteedRef { engine in
      let stages = engine.stages, blocks = engine.blocks, kernels = engine.products.kernels
      // Steps visit the blocks upwards and downwards in turn: the weights that a step used last are still in a near
      // cache when the next step begins.
      for index in 0..<blocks {
        let call = level.first + (isDownwards ? blocks - 1 - index : index)
        fill_rows(
          kernels, call.pointee.slots, level.memory.layout.slotStride, engine.program.biasedSlots, call.pointee.bias,
          rows)
        product_run_own(kernels, &call.pointee.input)
        engine.run(stages[0], &call.pointee.call)
      }
      for stage in 1..<stages.count {
        _ = engine.packOperand(of: stages[stage].product, level.rows, level.memory, 0..<blocks)
        let calls = level.later + (stage - 1) * blocks
        for index in 0..<blocks { engine.run(stages[stage], calls + (isDownwards ? blocks - 1 - index : index)) }
      }
    }
  }
}

/// The h of one level of a stream [N][H]: two buffers, of which even steps read one and odd steps read the other.
package struct HiddenState<E: Element>: BitwiseCopyable {
  let even: UnsafeMutablePointer<E>
  let odd: UnsafeMutablePointer<E>

  /// The buffer that holds h before a step.
  @inline(__always) func now(_ isOdd: Bool) -> UnsafeMutablePointer<E> { isOdd ? odd : even }
  /// The buffer that holds h after a step.
  @inline(__always) func next(_ isOdd: Bool) -> UnsafeMutablePointer<E> { isOdd ? even : odd }
}
