// The state of a stream: who sits where, and what the caller reads and writes of it.
extension StackStream {
  @specialized(where E == Float)
  @specialized(where E == Double)
  package func reset() {
    for row in seats.indices { clear(row) }
  }

  @specialized(where E == Float)
  @specialized(where E == Double)
  package func reset(seat: Int) {
    if let row = seats.firstIndex(of: seat) { clear(row) }
  }

  package func isTaken(seat: Int) -> Bool {
    rowsAreSeats ? (0..<capacity).contains(seat) : seats.contains(seat)
  }

  /// Copies h, in the new order, to the buffer that the last step read, which becomes the current one. Copies c within
  /// its panels, by way of `moved`.
  @specialized(where E == Float)
  @specialized(where E == Double)
  package func reorder(from sources: UnsafeBufferPointer<Int>) {
    func source(_ row: Int) -> Int { rowsAreSeats ? sources[row] : seats.firstIndex(of: sources[seats[row]])! }
    let size = stack.shape.hiddenSize
    for index in levels.indices {
      let now = h(index), next = states[index].next(isOdd)
      for row in seats.indices { (next + row * size).update(from: now + source(row) * size, count: size) }
      guard let c = levels[index].memory.c else { continue }
      let engine = levels[index].engine.takeUnretainedValue(), width = engine.products.width
      for block in 0..<engine.blocks {
        let panel = c + block * capacity * width
        for row in seats.indices { (moved.start + row * width).update(from: panel + source(row) * width, count: width) }
        panel.update(from: moved.start, count: seats.count * width)
      }
    }
    isOdd.toggle()
  }

  @specialized(where E == Float)
  @specialized(where E == Double)
  package func join(seat: Int) {
    if let row = seats.firstIndex(of: seat) { return clear(row) }
    seats.append(seat)
    clear(seats.count - 1)
    if seats.count == capacity { order() }
  }

  /// The last row moves to where the leaving row was.
  @specialized(where E == Float)
  @specialized(where E == Double)
  package func leave(seat: Int) {
    guard let row = seats.firstIndex(of: seat) else { return }
    let last = seats.count - 1
    if row != last { swap(row, last) }
    seats.removeLast()
  }

  /// Moves the row of each seat to the seat's own number, once all seats are taken. x and y then need no gathering.
  private func order() {
    for row in seats.indices {
      while seats[row] != row { swap(row, seats[row]) }
    }
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
    seats.swapAt(a, b)
  }

  /// Copies h and c to [L,N,H]; those of empty seats are zero.
  @specialized(where E == Float)
  @specialized(where E == Double)
  package func readState(h: UnsafeMutablePointer<E>, c: UnsafeMutablePointer<E>?) {
    let size = stack.shape.hiddenSize, count = capacity * size
    var level = 0
    forEachLevel { engine, rows, panels in
      let h = h + level * count, c = c.map { $0 + level * count }
      h.update(repeating: 0, count: count)
      c?.update(repeating: 0, count: count)
      for (row, seat) in seats.enumerated() {
        (h + seat * size).update(from: rows + row * size, count: size)
        guard let c, let panels else { continue }
        let width = engine.products.width
        engine.products.copyRows(
          ofPanels: panels + row * width, panelStride: capacity * width, rows: 1, units: size, to: c + seat * size,
          stride: size)
      }
      level += 1
    }
  }

  @specialized(where E == Float)
  @specialized(where E == Double)
  package func writeState(h: UnsafePointer<E>, c: UnsafePointer<E>?) {
    let size = stack.shape.hiddenSize, count = capacity * size
    var level = 0
    forEachLevel { engine, rows, panels in
      let h = h + level * count, c = c.map { $0 + level * count }
      for (row, seat) in seats.enumerated() {
        (rows + row * size).update(from: h + seat * size, count: size)
        guard let c, let panels else { continue }
        let width = engine.products.width
        engine.products.packPanels(
          columnsOf: c + seat * size, units: size, depth: 1, stride: size, panelStride: capacity * width,
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

  private func forEachLevel(
    _ body: (_ engine: Engine<E>, _ h: UnsafeMutablePointer<E>, _ c: UnsafeMutablePointer<E>?) -> Void
  ) {
    for index in levels.indices { body(levels[index].engine.takeUnretainedValue(), h(index), levels[index].memory.c) }
  }
}
