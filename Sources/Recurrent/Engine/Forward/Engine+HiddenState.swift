import CRecurrentKernels

/// The places of h during a forward call, and the copies between them.
extension Engine {
  /// The rows of h that a step reads, and their tiles for the products.
  struct PreviousH: BitwiseCopyable {
    let start: UnsafePointer<E>
    let stride: Int
    /// The same rows packed into tiles; nil if the products read plain rows.
    let tiles: UnsafePointer<E>?
  }

  /// The rows of h that a step writes, and their tiles for the next step.
  struct NextH: BitwiseCopyable {
    let start: UnsafeMutablePointer<E>
    let stride: Int
    let tiles: UnsafeMutablePointer<E>?
  }

  func previousH(_ call: PartForward<E>, _ memory: ForwardMemory<E>, _ index: Int) -> PreviousH {
    let tiles = memory.packedH(forStep: index).map { UnsafePointer($0) }
    if let rows = memory.hRows {
      return PreviousH(start: index & 1 == 0 ? rows.even : rows.odd, stride: hiddenSize, tiles: tiles)
    }
    if index == 0 { return PreviousH(start: call.h0, stride: hiddenSize, tiles: tiles) }
    return PreviousH(
      start: UnsafePointer(call.y.first(call.plan, call.walk[index - 1])), stride: call.y.layout.row, tiles: tiles)
  }

  func nextH(_ call: PartForward<E>, _ memory: ForwardMemory<E>, _ index: Int) -> NextH {
    let tiles = memory.packedH(forStep: index + 1)
    if let rows = memory.hRows {
      return NextH(start: index & 1 == 0 ? rows.odd : rows.even, stride: hiddenSize, tiles: tiles)
    }
    return NextH(start: call.y.first(call.plan, call.walk[index]), stride: call.y.layout.row, tiles: tiles)
  }

  /// Copies a thread's own units of the initial state to where the first step reads them.
  func copyInitialH(_ call: PartForward<E>, _ memory: ForwardMemory<E>, _ own: Range<Int>) {
    let plan = call.plan, units = units(own), isDownwards = call.walk.isDownwards
    if let record = call.record {
      // The record keeps the initial state before the first row, or after the last one if the part is reversed.
      let stride = record.y.layout.row
      let initial = record.y.base + (isDownwards ? plan.rowCount : -plan.batchSize) * stride
      for r in 0..<plan.batchSize {
        (initial + r * stride + units.lowerBound).update(
          from: call.h0 + plan.sequence(r) * hiddenSize + units.lowerBound, count: units.count)
      }
    }
    if let rows = memory.hRows {
      for r in 0..<plan.batchSize {
        (rows.even + r * hiddenSize + units.lowerBound).update(
          from: call.h0 + plan.sequence(r) * hiddenSize + units.lowerBound, count: units.count)
      }
      if !isDownwards { restart(call, memory, beforeStep: 0, plan.count(0), rows.even, own) }
    }
    let first = previousH(call, memory, 0)
    if let tiles = memory.packedH(forStep: 0) {
      packH(first.start, stride: first.stride, rows: plan.count(call.walk[0]), own, into: tiles)
    }
  }

  /// Copies a thread's own units of a step's h to y, to the final state and to what the next step reads.
  func copyH(_ call: PartForward<E>, _ memory: ForwardMemory<E>, _ index: Int, _ own: Range<Int>, _ share: Share) {
    let plan = call.plan, t = call.walk[index], count = plan.count(t), isLast = index + 1 == plan.steps
    let nextCount = isLast ? 0 : plan.count(call.walk[index + 1])
    let h = nextH(call, memory, index), units = units(own)
    func copy(_ r: Int, from source: UnsafePointer<E>, to target: UnsafeMutablePointer<E>) {
      (target + units.lowerBound).update(from: source + units.lowerBound, count: units.count)
    }
    if memory.hRows != nil {
      for r in 0..<count { copy(r, from: h.start + r * h.stride, to: call.y.at(plan, t, r)) }
      for r in nextCount..<max(nextCount, count) {
        copy(r, from: h.start + r * h.stride, to: call.hn + plan.sequence(r) * hiddenSize)
      }
      for r in count..<max(nextCount, count) {
        copy(r, from: call.h0 + plan.sequence(r) * hiddenSize, to: h.start + r * h.stride)
      }
      // A reset belongs to the later of the two steps between which nothing flows.
      if !isLast { restart(call, memory, beforeStep: max(t, call.walk[index + 1]), nextCount, h.start, own) }
    } else if isLast {
      share.barrier()  // hn may be the same memory as h0, which the first step reads
      for r in 0..<count { copy(r, from: h.start + r * h.stride, to: call.hn + r * hiddenSize) }
    }
    if !isLast, let tiles = h.tiles { packH(h.start, stride: h.stride, rows: nextCount, own, into: tiles) }
  }

  /// Zeroes the state of the rows that are reset between a step and the one before it.
  private func restart(
    _ call: PartForward<E>, _ memory: ForwardMemory<E>, beforeStep t: Int, _ count: Int, _ h: UnsafeMutablePointer<E>,
    _ own: Range<Int>
  ) {
    guard call.plan.hasResets else { return }
    let units = units(own), width = products.width
    for r in 0..<min(count, call.plan.count(t)) where call.plan.resets(t, r) {
      (h + r * hiddenSize + units.lowerBound).update(repeating: 0, count: units.count)
      guard let c = memory.c else { continue }
      for block in own { (c + (block * memory.cRows + r) * width).update(repeating: 0, count: width) }
    }
  }

  /// Packs some blocks' units of h into row tiles.
  private func packH(
    _ h: UnsafePointer<E>, stride: Int, rows: Int, _ blocks: Range<Int>, into tiles: UnsafeMutablePointer<E>
  ) {
    guard !blocks.isEmpty else { return }
    let units = units(blocks)
    products.tiles(rows).forEach { row, count in
      pack(
        products.kernels, tiles + (row * hiddenSize + units.lowerBound * count), count,
        h + (row * stride + units.lowerBound), count, stride, units.count, units.count, 1)
    }
  }
}
