import CRecurrentKernels

/// An even or an odd step in registers of one sequence, through all levels of a stream or one level of a forward call.
/// Its operands are prepared once, so that little happens between the kernels. It is not generic, because generic code
/// would first find out its scalar, and a small step would wait for that.
struct StepPlan: BitwiseCopyable {
  /// The kernel's call for one step block of a stage of a level.
  struct KernelCall: BitwiseCopyable {
    let run: StepFunction
    var operands: register_step
    /// How many rows are rounded before it.
    var roundings = 0
  }
  private struct Rounding: BitwiseCopyable {
    var row: rounded_rows
    let place: UnsafeMutableRawPointer
  }

  /// [level][stage][step block]
  private let calls: UnsafeMutablePointer<KernelCall>
  /// The number of calls of all levels, and of the first level.
  let callCount: Int
  private let firstLevelCalls: Int
  /// How x, and what the stages multiply by U, are rounded, in the order of their use; nil if no rows are rounded.
  private let roundings: (kernels: UnsafePointer<rounded_kernels>, rows: UnsafeMutablePointer<Rounding>)?
  /// The h of the last level after the step.
  private let h: UnsafeRawPointer
  private let hBytes: Int

  /// - Parameters:
  ///   - engines: one for each level.
  ///   - states: the h of each level, [H].
  ///   - isOdd: whether the step is odd. Odd steps visit the step blocks of a stage downwards: the weights that a step
  ///     used last are still in a near cache when the next step begins.
  init<E: Element>(
    _ engines: [Engine<E>], _ memories: [ForwardMemory<E>], _ states: UnsafeMutableBufferPointer<HiddenState<E>>,
    isOdd: Bool
  ) {
    var calls: [KernelCall] = [], roundings: [Rounding] = [], firstLevelCalls = 0
    for (index, engine) in engines.enumerated() {
      let memory = memories[index], previousH = states[index].now(isOdd)
      let x = inputOfLevel(index, states, isOdd: isOdd)
      var roundingsBefore = 0
      func round(_ source: UnsafePointer<E>, _ size: Int, to target: UnsafeMutablePointer<E>?) {
        guard engine.products.rounds, let target else { return }
        let row = engine.products.rowsToRound(source, count: 1, stride: size, depth: size)
        roundings.append(Rounding(row: row, place: UnsafeMutableRawPointer(target)))
        roundingsBefore += 1
      }
      round(x, engine.inputSize, to: memory.xTiles)
      for stage in engine.stages {
        if let product = stage.product {
          round(
            product.operandSlot == nil ? previousH : memory.between.operand, engine.hiddenSize, to: memory.operandTiles)
        }
        let first = calls.count
        engine.forEachStepBlock(
          stage, weights: engine.packed.stepWeights(engine.products),
          x: engine.products.rounds ? UnsafePointer(memory.xTiles!) : UnsafePointer(x),
          roundedOperand: engine.products.rounds ? memory.operandTiles.map { UnsafePointer($0) } : nil,
          previousH: previousH, h: states[index].next(isOdd), c: memory.c, memory.between
        ) { calls.append(KernelCall(run: stage.pass.step, operands: $0)) }
        if isOdd { calls[first...].reverse() }
        calls[first].roundings = roundingsBefore
        roundingsBefore = 0
      }
      if index == 0 { firstLevelCalls = calls.count }
    }
    func kept<Part>(_ parts: [Part]) -> UnsafeMutablePointer<Part> {
      let memory = UnsafeMutableBufferPointer<Part>.allocate(capacity: parts.count)
      _ = memory.initialize(from: parts)
      return memory.baseAddress!
    }
    self.calls = kept(calls)
    callCount = calls.count
    self.firstLevelCalls = firstLevelCalls
    self.roundings = engines[0].products.rounded.map { ($0, kept(roundings)) }
    h = UnsafeRawPointer(states[states.count - 1].next(isOdd))
    hBytes = engines[0].hiddenSize * MemoryLayout<E>.stride
  }

  /// The step of one level whose rows are not rounded. It uses the caller's memory.
  ///
  /// - Parameter h: [H], what the calls write.
  init(_ calls: UnsafeMutablePointer<KernelCall>, count: Int, h: UnsafeRawPointer, bytes: Int) {
    self.calls = calls
    callCount = count
    firstLevelCalls = count
    roundings = nil
    self.h = h
    hBytes = bytes
  }

  /// Gives back the memory of a stream's plan.
  func deallocate() {
    calls.deallocate()
    roundings?.rows.deallocate()
  }

  /// Runs the step: x [C] is read, y [H] is overwritten.
  @inline(__always)
  func run(_ x: UnsafeRawPointer, into y: UnsafeMutableRawPointer) {
    if let roundings {
      roundAndRun(x, roundings.kernels, roundings.rows)
    } else {
      for index in 0..<callCount {
        let call = calls + index
        if index < firstLevelCalls { call.pointee.operands.x = x }
        call.pointee.run(&call.pointee.operands)
      }
    }
    y.copyMemory(from: h, byteCount: hBytes)
  }

  private func roundAndRun(
    _ x: UnsafeRawPointer, _ kernels: UnsafePointer<rounded_kernels>, _ rows: UnsafeMutablePointer<Rounding>
  ) {
    var rounding = rows
    rounding.pointee.row.source = x.assumingMemoryBound(to: Float.self)
    for index in 0..<callCount {
      let call = calls + index
      for _ in 0..<call.pointee.roundings {
        kernels.pointee.round_rows(&rounding.pointee.row, rounding.pointee.place)
        rounding += 1
      }
      call.pointee.run(&call.pointee.operands)
    }
  }
}

/// The h of one level of a stream [N][H]: two buffers, of which even steps read one and odd steps read the other.
struct HiddenState<E: Element>: BitwiseCopyable {
  let even: UnsafeMutablePointer<E>
  let odd: UnsafeMutablePointer<E>

  /// The buffer that holds h before a step.
  @inline(__always) func now(_ isOdd: Bool) -> UnsafeMutablePointer<E> { isOdd ? odd : even }
  /// The buffer that holds h after a step.
  @inline(__always) func next(_ isOdd: Bool) -> UnsafeMutablePointer<E> { isOdd ? even : odd }
}

/// The x of a level in even or in odd steps: the h of the level below. That of the first level is a placeholder,
/// because each step sets its x.
func inputOfLevel<E: Element>(
  _ level: Int, _ states: UnsafeMutableBufferPointer<HiddenState<E>>, isOdd: Bool
) -> UnsafeMutablePointer<E> {
  level == 0 ? states[0].now(isOdd) : states[level - 1].next(isOdd)
}
