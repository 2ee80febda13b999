import CRecurrentKernels

/// The stages of one level's step of few rows with their operands, in even or in odd steps. The sums pass through the
/// level's gate slots.
struct SlotStages<E: Element>: BitwiseCopyable {
  /// The operands of one block before the first stage, which starts from b + W x.
  private struct Input: BitwiseCopyable {
    var product: product
    let slots: UnsafeMutablePointer<E>
    let bias: UnsafePointer<E>
  }

  private let engine: Unmanaged<Engine<E>>
  private let rows: Engine<E>.StepRows
  private let memory: ForwardMemory<E>
  /// [block]
  private let inputs: UnsafeMutablePointer<Input>
  /// [stage][block]: the operands of slots += U·h', or U times a slot.
  private let hidden: UnsafeMutablePointer<product>
  /// [block]: the gate tile of each block, which all stages share. If `passesGatesOnce`, there is only the first, and
  /// it holds all blocks.
  private let gateTiles: UnsafeMutablePointer<gate_tile>
  private let passesGatesOnce: Bool
  /// The rows to be rounded, if they are: those of x, then those that the product of each stage multiplies, [1 +
  /// stage].
  private let rowsToRound: UnsafeMutablePointer<rounded_rows>?

  /// - Parameters:
  ///   - count: at most the rows of a row tile.
  ///   - x: [rows][C]
  ///   - previousH: [rows][H]
  ///   - h: [rows][H], overwritten.
  init(
    _ engine: Engine<E>, _ memory: ForwardMemory<E>, rows count: Int, x: UnsafePointer<E>,
    previousH: UnsafePointer<E>, h: UnsafeMutablePointer<E>
  ) {
    let inputSize = engine.inputSize, size = engine.hiddenSize, blocks = engine.blocks, layout = memory.layout
    let biasStride = engine.program.biasedSlots * engine.products.width
    self.engine = .passUnretained(engine)
    self.memory = memory
    rows = Engine<E>.StepRows(
      count: count, firstRow: 0, previous: Engine.PreviousH(start: previousH, stride: size, tiles: nil),
      h: Engine.NextH(start: h, stride: size, tiles: nil))
    inputs = .allocate(capacity: blocks)
    hidden = .allocate(capacity: engine.stages.count * blocks)
    passesGatesOnce = engine.passesGatesOnce(rows: count)
    let blocksOfTile = passesGatesOnce ? blocks : 1
    gateTiles = .allocate(capacity: blocks)
    for first in stride(from: 0, to: blocks, by: blocksOfTile) {
      (gateTiles + first).initialize(to: engine.gateTile(rows, memory, first..<first + blocksOfTile, 0, count))
    }
    let rounds = engine.products.rounds
    for block in 0..<blocks {
      (inputs + block).initialize(
        to: Input(
          product: engine.operands(
            rounds ? UnsafePointer(memory.xTiles!) : x, rounds ? 1 : inputSize, rows, depth: inputSize,
            UnsafePointer(engine.packed.weightIH.start), 0..<engine.program.gates, memory, block, slot: 0),
          slots: memory.slots + block * layout.blockStride,
          bias: UnsafePointer(engine.packed.bias.start + block * biasStride)))
      for (index, stage) in engine.stages.enumerated() {
        (hidden + (index * blocks + block)).initialize(to: engine.hiddenOperands(stage, rows, memory, block))
      }
    }
    guard rounds else {
      rowsToRound = nil
      return
    }
    let rowsToRound = UnsafeMutablePointer<rounded_rows>.allocate(capacity: 1 + engine.stages.count)
    rowsToRound.initialize(to: engine.products.rowsToRound(x, count: count, stride: inputSize, depth: inputSize))
    for (index, stage) in engine.stages.enumerated() {
      (rowsToRound + (1 + index)).initialize(to: engine.operandToRound(of: stage.product, rows, memory))
    }
    self.rowsToRound = rowsToRound
  }

  func deallocate() {
    inputs.deallocate()
    hidden.deallocate()
    gateTiles.deallocate()
    rowsToRound?.deallocate()
  }

  /// Sets the x [rows][C] that the next step reads.
  @inline(__always)
  func setX(_ x: UnsafePointer<E>) {
    engine._withUnsafeGuaranteedRef { engine in
      if let rowsToRound {
        rowsToRound.pointee.source = Products.floats(x)
      } else {
        for block in 0..<engine.blocks { inputs[block].product.rows = UnsafeRawPointer(x) }
      }
    }
  }

  /// The slots of a block start from the bias.
  @inline(__always)
  private func fill(_ block: Int, _ engine: Engine<E>) {
    let input = inputs + block
    fill_rows(
      engine.products.kernels, input.pointee.slots, memory.layout.slotStride, engine.program.biasedSlots,
      input.pointee.bias, rows.count)
  }

  @inline(__always)
  func run(downwards: Bool) {
    engine._withUnsafeGuaranteedRef { engine in
      let blocks = engine.blocks
      if let rounded = engine.products.rounded, let rowsToRound, let tiles = memory.xTiles {
        rounded.pointee.round_rows(rowsToRound, tiles)
      }
      for index in 0..<engine.stages.count {
        let stage = engine.stages[index], hidden = hidden + index * blocks
        if let rounded = engine.products.rounded, let rowsToRound {
          if stage.product != nil, let tiles = memory.operandTiles {
            rounded.pointee.round_rows(rowsToRound + (1 + index), tiles)
          }
        } else {
          _ = engine.packOperand(of: stage.product, rows, memory, 0..<blocks)
        }
        let joinedInput =
          index == 0
          && engine.runJoined(0..<blocks, gates: engine.program.gates, memory, downwards: downwards) { first in
            for block in 0..<blocks { fill(block, engine) }
            return inputs[first].product
          }
        let joinedHidden = engine.runJoined(
          0..<blocks, gates: stage.product?.gates.count ?? 0, memory, downwards: downwards
        ) { hidden[$0] }
        engine.forEachBlock(0..<blocks, downwards: downwards) { block, _ in
          if index == 0, !joinedInput {
            fill(block, engine)
            engine.products.run(&inputs[block].product)
          }
          if stage.product != nil, !joinedHidden { engine.products.run(&hidden[block]) }
          if !passesGatesOnce { stage.pass.forward(&gateTiles[block]) }
        }
        if passesGatesOnce { stage.pass.forward(gateTiles) }
      }
    }
  }
}
