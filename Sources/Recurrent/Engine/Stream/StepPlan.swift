import CRecurrentKernels

/// One step of one sequence through levels that all run in registers, either an even or an odd one. Its operands are
/// prepared once, so that there is next to nothing to do between the kernels of a small cell. It does not depend on the
/// scalar: such a step would wait for code that first looks for its scalar.
struct StepPlan: BitwiseCopyable {
  /// A step block of a stage of a level.
  struct Block: BitwiseCopyable {
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
  private let blocks: UnsafeMutablePointer<Block>
  /// The number of blocks of all levels, and that of the first one.
  let blockCount: Int
  private let firstBlocks: Int
  /// x, and what the stages multiply by U, in the order of their use; nil if no rows are rounded.
  private let roundings: UnsafeMutablePointer<Rounding>?
  private let kernels: UnsafePointer<rounded_kernels>?
  /// The h of the last level after the step.
  private let h: UnsafeRawPointer
  private let hBytes: Int

  /// - Parameters:
  ///   - engines: one for each level.
  ///   - states: the h of each level, [H].
  ///   - isOdd: whether odd steps run, which visit the step blocks downwards: the weights that a step used last are
  ///     still in a near cache when the next step begins.
  init<E: Element>(
    _ engines: [Engine<E>], _ memories: [ForwardMemory<E>], _ states: UnsafeMutableBufferPointer<HiddenState<E>>,
    isOdd: Bool
  ) {
    var blocks: [Block] = [], roundings: [Rounding] = [], firstBlocks = 0
    for (index, engine) in engines.enumerated() {
      let memory = memories[index], previousH = states[index].now(isOdd)
      // The first level gets its x with each step.
      let x = index == 0 ? previousH : states[index - 1].next(isOdd)
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
        let first = blocks.count
        engine.forEachStepBlock(
          stage, weights: engine.packed.stepWeights(engine.products),
          x: engine.products.rounds ? UnsafePointer(memory.xTiles!) : UnsafePointer(x),
          roundedOperand: engine.products.rounds ? memory.operandTiles.map { UnsafePointer($0) } : nil,
          previousH: previousH, h: states[index].next(isOdd), c: memory.c, memory.between
        ) { blocks.append(Block(run: stage.pass.step, operands: $0)) }
        if isOdd { blocks[first...].reverse() }
        blocks[first].roundings = roundingsBefore
        roundingsBefore = 0
      }
      if index == 0 { firstBlocks = blocks.count }
    }
    func kept<Part>(_ parts: [Part]) -> UnsafeMutablePointer<Part> {
      let memory = UnsafeMutableBufferPointer<Part>.allocate(capacity: parts.count)
      _ = memory.initialize(from: parts)
      return memory.baseAddress!
    }
    self.blocks = kept(blocks)
    blockCount = blocks.count
    self.firstBlocks = firstBlocks
    self.roundings = roundings.isEmpty ? nil : kept(roundings)
    kernels = engines[0].products.rounded
    h = UnsafeRawPointer(states[states.count - 1].next(isOdd))
    hBytes = engines[0].hiddenSize * MemoryLayout<E>.stride
  }

  /// The step of one level whose rows are not rounded. It uses the caller's memory.
  ///
  /// - Parameter h: [H], what the blocks write.
  init(_ blocks: UnsafeMutablePointer<Block>, count: Int, h: UnsafeRawPointer, bytes: Int) {
    self.blocks = blocks
    blockCount = count
    firstBlocks = count
    roundings = nil
    kernels = nil
    self.h = h
    hBytes = bytes
  }

  /// Gives back the memory of a stream's plan.
  func deallocate() {
    blocks.deallocate()
    roundings?.deallocate()
  }

  /// - Parameters:
  ///   - x: [C]
  ///   - y: [H], overwritten.
  @inline(__always)
  func run(_ x: UnsafeRawPointer, into y: UnsafeMutableRawPointer) {
    if let kernels, let roundings {
      roundAndRun(x, kernels, roundings)
    } else {
      for index in 0..<blockCount {
        let block = blocks + index
        if index < firstBlocks { block.pointee.operands.x = x }
        block.pointee.run(&block.pointee.operands)
      }
    }
    y.copyMemory(from: h, byteCount: hBytes)
  }

  private func roundAndRun(
    _ x: UnsafeRawPointer, _ kernels: UnsafePointer<rounded_kernels>, _ roundings: UnsafeMutablePointer<Rounding>
  ) {
    var rounding = roundings
    rounding.pointee.row.source = x.assumingMemoryBound(to: Float.self)
    for index in 0..<blockCount {
      let block = blocks + index
      for _ in 0..<block.pointee.roundings {
        kernels.pointee.round_rows(&rounding.pointee.row, rounding.pointee.place)
        rounding += 1
      }
      block.pointee.run(&block.pointee.operands)
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
