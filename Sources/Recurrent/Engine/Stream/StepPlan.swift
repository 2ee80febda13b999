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
  /// A row to be rounded, and where to.
  struct Rounding: BitwiseCopyable {
    var row: rounded_rows
    let place: UnsafeMutableRawPointer
  }
  /// Room for the calls and the roundings of a plan.
  struct Room: BitwiseCopyable {
    let calls: UnsafeMutablePointer<KernelCall>
    let roundings: UnsafeMutablePointer<Rounding>
  }

  /// [level][stage][step block], and how x and what the stages multiply by U are rounded, in the order of their use.
  private let room: Room
  /// The kernels that round; nil if no rows are rounded.
  private let kernels: UnsafePointer<rounded_kernels>?
  private var callCount = 0
  private var roundingCount = 0
  /// The number of calls of the first level.
  private var firstLevelCalls = 0
  /// The h of the last level after the step.
  private let h: UnsafeRawPointer
  private let hBytes: Int

  /// A plan without levels.
  ///
  /// - Parameter h: [H], what the last level will write.
  init<E: Element>(_ products: Products<E>, h: UnsafePointer<E>, hiddenSize: Int, in room: Room) {
    self.room = room
    kernels = products.rounded
    self.h = UnsafeRawPointer(h)
    hBytes = hiddenSize * MemoryLayout<E>.stride
  }

  /// Adds the next level.
  ///
  /// - Parameters:
  ///   - weights: those of `packed.stepWeights`.
  ///   - x: [C]. `run` replaces that of the first level.
  ///   - downwards: whether the step blocks of a stage are visited downwards.
  @inline(__always)
  mutating func append<E: Element>(
    _ engine: Engine<E>, _ memory: ForwardMemory<E>, weights: UnsafePointer<E>, x: UnsafePointer<E>,
    previousH: UnsafePointer<E>, h: UnsafeMutablePointer<E>, downwards: Bool
  ) {
    let isFirst = callCount == 0, blocks = engine.packed.stepBlocks.count
    var roundingsBefore = roundingCount
    let x = rounded(x, engine.inputSize, engine.products, to: memory.xTiles)
    for stage in engine.stages {
      var operand = stage.product?.operandSlot == nil ? previousH : UnsafePointer(memory.between.operand)
      if stage.product != nil {
        operand = rounded(operand, engine.hiddenSize, engine.products, to: memory.operandTiles)
      }
      var place = room.calls + (downwards ? callCount + blocks - 1 : callCount)
      engine.forEachStepBlock(
        stage, weights: weights, x: x, operand: operand, previousH: previousH, h: h, c: memory.c, memory.between
      ) {
        place.initialize(to: KernelCall(run: stage.pass.step, operands: $0))
        place += downwards ? -1 : 1
      }
      room.calls[callCount].roundings = roundingCount - roundingsBefore
      roundingsBefore = roundingCount
      callCount += blocks
    }
    if isFirst { firstLevelCalls = callCount }
  }

  /// Adds the rounding of a row, if weights are rounded.
  ///
  /// - Returns: what the kernels read: the rounded row, or the row itself.
  @inline(__always)
  private mutating func rounded<E: Element>(
    _ row: UnsafePointer<E>, _ size: Int, _ products: Products<E>, to target: UnsafeMutablePointer<E>?
  ) -> UnsafePointer<E> {
    guard kernels != nil, let target else { return row }
    let source = products.rowsToRound(row, count: 1, stride: size, depth: size)
    (room.roundings + roundingCount).initialize(to: Rounding(row: source, place: UnsafeMutableRawPointer(target)))
    roundingCount += 1
    return UnsafePointer(target)
  }

  /// Gives back the room of a stream's plan.
  func deallocate() {
    room.calls.deallocate()
    room.roundings.deallocate()
  }

  /// Runs the step: x [C] is read, y [H] is overwritten.
  @inline(__always)
  func run(_ x: UnsafeRawPointer, into y: UnsafeMutableRawPointer) {
    if let kernels {
      roundAndRun(x, kernels)
    } else {
      for index in 0..<callCount {
        let call = room.calls + index
        if index < firstLevelCalls { call.pointee.operands.x = x }
        call.pointee.run(&call.pointee.operands)
      }
    }
    y.copyMemory(from: h, byteCount: hBytes)
  }

  private func roundAndRun(_ x: UnsafeRawPointer, _ kernels: UnsafePointer<rounded_kernels>) {
    var rounding = room.roundings
    rounding.pointee.row.source = x.assumingMemoryBound(to: Float.self)
    for index in 0..<callCount {
      let call = room.calls + index
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
