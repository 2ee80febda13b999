import CRecurrentKernels

/// Forward. For each chunk of steps, slots = b + W x for all rows of the chunk. Then, step by step, slots += U h', and
/// the gate passes run.
extension Engine {
  /// One thread's share of a call: its own blocks of units. Between two barriers, a thread may read only what other
  /// threads wrote before the first barrier.
  func forward(_ call: PartForward<E>, _ memory: ForwardMemory<E>, _ share: Share) {
    let own = share.range(of: blocks)
    if let c = memory.c { packState(call.c0, call.plan, own, into: c) }
    runSteps(call, memory, share)
    if let cn = call.cn, let c = memory.c { copyState(ofPanels: c, call.plan, own, to: cn) }
  }

  /// All steps of a call. c is in `memory` before and after.
  func runSteps(_ call: PartForward<E>, _ memory: ForwardMemory<E>, _ share: Share) {
    if memory.registers != nil { return runStepsInRegisters(call, memory) }
    let plan = call.plan, walk = call.walk, own = share.range(of: blocks)
    copyInitialH(call, memory, own)
    var done = 0
    while done < walk.count {
      let chunk = walk.chunk(after: done, rows: chunkRows)
      let offset = chunk.firstRow, firstRow = call.record == nil ? 0 : offset
      let rows = chunk.rowCount
      if rows > 0 {
        inputProduct(call, chunk.steps, rows: rows, firstRow: firstRow, memory, share)
      }
      for index in done..<done + chunk.count {
        let t = walk[index], count = plan.count(t)
        if count > 0 {
          let step = StepRows(
            count: count, firstRow: firstRow + plan.offset(t) - offset, previous: previousH(call, memory, index),
            h: nextH(call, memory, index))
          runStep(step, memory, turn: index, share)
        }
        if memory.copiesH || index + 1 == walk.count { copyH(call, memory, index, own, share) }
        share.barrier()
      }
      done += chunk.count
    }
  }

  // MARK: - Products and gates

  /// slots[rows] = b + W x
  private func inputProduct(
    _ call: PartForward<E>, _ steps: Range<Int>, rows: Int, firstRow: Int, _ memory: ForwardMemory<E>, _ share: Share
  ) {
    var x = call.x.first(call.plan, steps.lowerBound), stride = call.x.layout.row
    if let gathered = memory.xRows {
      if share.index == 0 { call.x.gather(call.plan, steps, size: inputSize, to: gathered) }
      share.barrier()
      x = UnsafePointer(gathered)
      stride = inputSize
    }
    let gates = program.gates, biased = program.biasedSlots, width = products.width
    let slotStride = memory.layout.slotStride, panelStride = products.unitScalars(inputSize) * width
    let tiles = products.tiles(rows)
    if let xTiles = memory.xTiles {
      products.packRows(x, tiles, share.range(of: tiles.count), stride: stride, depth: inputSize, into: xTiles)
    }
    share.barrier()
    let source = memory.xTiles.map { UnsafePointer($0) } ?? x
    let sourceStride = memory.xTiles == nil && rows > 1 ? stride : 1
    let own = share.range(of: blocks), far = products.isFar(own.count * gates * panelStride)
    for block in own {
      let slots = memory.slots + (block * memory.layout.blockStride + firstRow * width)
      let weights = UnsafePointer(packed.weightIH.start + block * gates * panelStride)
      products.run(
        source, tiles, stride: sourceStride, depth: inputSize, weights, panelCount: gates, panelStride: panelStride,
        c: slots, cPanelStride: slotStride, cRowStride: width, add: true, far: far,
        next: block + 1 < own.upperBound ? weights + gates * panelStride : nil,
        before: { row, count in
          fill_rows(
            products.kernels, slots + row * width, slotStride, biased, packed.bias.start + block * biased * width, count
          )
        })
    }
  }

  /// The rows of one step.
  struct StepRows: BitwiseCopyable {
    let count: Int
    let firstRow: Int  // in the slots
    let previous: PreviousH
    let h: NextH
  }

  /// All steps of one sequence, whose row plan is not ragged. One thread runs them.
  private func runStepsInRegisters(_ call: PartForward<E>, _ memory: ForwardMemory<E>) {
    guard let rows = memory.hRows, let registers = memory.registers else { return }
    let steps = call.walk.count
    rows.even.update(from: call.h0, count: hiddenSize)
    func plan(
      _ room: StepPlan.Room, previousH: UnsafeMutablePointer<E>, h: UnsafeMutablePointer<E>, downwards: Bool
    ) -> StepPlan {
      var plan = StepPlan(products, h: h, hiddenSize: hiddenSize, in: room)
      // x is a placeholder, which each step sets.
      plan.append(
        self, memory, weights: registers.weights, x: previousH, previousH: previousH, h: h, downwards: downwards)
      return plan
    }
    let even = plan(registers.even, previousH: rows.even, h: rows.odd, downwards: false)
    let odd = steps > 1 ? plan(registers.odd, previousH: rows.odd, h: rows.even, downwards: true) : even
    for index in 0..<steps {
      let t = call.walk[index], x = call.x.first(call.plan, t), y = call.y.first(call.plan, t)
      if index & 1 == 0 { even.run(x, into: y) } else { odd.run(x, into: y) }
    }
    call.hn.update(from: steps & 1 == 0 ? rows.even : rows.odd, count: hiddenSize)
  }

  /// One step. A gate pass runs as soon as the products of its rows are done. A step of one row has one gate pass for
  /// all blocks of the thread, after their products: one row of one block often has a single vector, and a gate pass
  /// works on two.
  private func runStep(_ rows: StepRows, _ memory: ForwardMemory<E>, turn: Int, _ share: Share) {
    let own = share.range(of: blocks), downwards = (memory.turns + turn) & 1 == 1
    // The rows are one tile, and the product reads them from operands that are prepared for one block.
    let isSmall = rows.count <= products.tiles(rows.count).size && rows.previous.tiles == nil
    for stage in stages {
      let operandTiles =
        products.rounds
        ? roundOperand(of: stage.product, rows, memory, share) : packOperand(of: stage.product, rows, memory, own)
      // The product reads the slot of all units, so every thread must have packed its own.
      if operandTiles != nil { share.barrier() }
      let joined =
        isSmall
        && runJoined(own, gates: stage.product?.gates.count ?? 0, memory, downwards: downwards) {
          hiddenOperands(stage, rows, memory, $0)
        }
      let passesOnce = passesGatesOnce(rows: rows.count)
      func passGates(_ blocks: Range<Int>, _ row: Int, _ count: Int) {
        var tile = gateTile(rows, memory, blocks, row, count)
        stage.pass.forward(&tile)
      }
      forEachBlock(own, downwards: downwards) { block, next in
        @inline(__always) func passBlock(_ row: Int, _ count: Int) {
          if !passesOnce { passGates(block..<block + 1, row, count) }
        }
        if let product = stage.product, !isSmall {
          hiddenProduct(product, operandTiles, rows, memory, block, next, then: passBlock)
        } else {
          if stage.product != nil, !joined {
            var operands = hiddenOperands(stage, rows, memory, block)
            products.run(&operands)
          }
          passBlock(0, rows.count)
        }
      }
      if passesOnce, !own.isEmpty { passGates(own, 0, rows.count) }
    }
  }

  /// Whether a step of so many rows has one gate pass for all blocks of a thread, after their products.
  func passesGatesOnce(rows: Int) -> Bool { rows == 1 }

  /// slots += U h' for a block of units, or U times the tiles of a slot. When the products of `gateTileRows` rows are
  /// done, or those of the last rows, `gatePass` is called with these rows.
  @inline(__always)
  private func hiddenProduct(
    _ product: CellProgram.StageProduct, _ operandTiles: UnsafePointer<E>?, _ rows: StepRows,
    _ memory: ForwardMemory<E>, _ block: Int, _ next: Int?, then gatePass: (_ row: Int, _ count: Int) -> Void
  ) {
    let width = products.width, panelStride = products.unitScalars(hiddenSize) * width
    func weights(_ block: Int) -> UnsafePointer<E> {
      UnsafePointer(packed.weightHH.start + (block * program.gates + product.gates.lowerBound) * panelStride)
    }
    let tiles = operandTiles ?? rows.previous.tiles
    products.run(
      tiles ?? rows.previous.start, products.tiles(rows.count),
      stride: tiles == nil && rows.count > 1 ? rows.previous.stride : 1, depth: hiddenSize, weights(block),
      panelCount: product.gates.count, panelStride: panelStride,
      c: memory.slots
        + (block * memory.layout.blockStride + product.firstSlot * memory.layout.slotStride + rows.firstRow * width),
      cPanelStride: memory.layout.slotStride, cRowStride: width, add: true,
      far: memory.farHH, next: next.map(weights),
      before: { row, count in
        // The gate pass stores h, and would wait for its memory (AMD Zen 3, LSTM, N 64, H 256: with this, gates take 8
        // instead of 10 % of forward).
        let h = rows.h.start + (row * rows.h.stride + block * width), scalar = MemoryLayout<E>.stride
        fetch_rows(h, count, rows.h.stride * scalar, min(width, hiddenSize - block * width) * scalar)
      },
      after: { row, count in
        let end = row + count
        guard end % gateTileRows == 0 || end == rows.count else { return }
        let first = (end - 1) / gateTileRows * gateTileRows
        gatePass(first, end - first)
      })
  }

  /// The gate tile of some rows of some blocks.
  @inline(__always)
  func gateTile(
    _ rows: StepRows, _ memory: ForwardMemory<E>, _ blocks: Range<Int>, _ row: Int, _ count: Int
  ) -> gate_tile {
    let width = products.width, block = blocks.lowerBound
    let slots = memory.slots + (block * memory.layout.blockStride + (rows.firstRow + row) * width)
    var tile = gate_tile()
    tile.slots = UnsafeMutableRawPointer(slots)
    tile.slot_stride = memory.layout.slotStride
    tile.slot_block_stride = memory.layout.blockStride
    tile.state_block_stride = memory.cRows * width
    tile.rows = count
    tile.width = width
    tile.units = units(blocks).count
    tile.previous_h = UnsafeRawPointer(rows.previous.start + (row * rows.previous.stride + block * width))
    tile.previous_stride = rows.previous.stride
    tile.h = UnsafeMutableRawPointer(rows.h.start + (row * rows.h.stride + block * width))
    tile.h_stride = rows.h.stride
    tile.vectors = UnsafeRawPointer(packed.vectors.start + block * program.vectors * width)
    if let c = memory.c {
      tile.c = UnsafeMutableRawPointer(c + (block * memory.cRows + row) * width)
      if memory.keepsC {
        tile.previous_c = UnsafeMutableRawPointer(slots + program.slots * memory.layout.slotStride)
      }
    }
    return tile
  }
}
