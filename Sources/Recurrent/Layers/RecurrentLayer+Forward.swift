/// The outputs of a call on `Sequences`.
public struct Output<Scalar: RecurrentScalar>: Sendable, Equatable {
  /// h of every step, [T,N,H]
  public var y: Sequences<Scalar>
  /// The state after the last step.
  public var final: State<Scalar>

  package init(y: Sequences<Scalar>, final: State<Scalar>) {
    self.y = y
    self.final = final
  }
}

extension RecurrentLayer {
  /// Runs sequences through the layer.
  ///
  /// - Parameters:
  ///   - x: [T,N,C]
  ///   - initial: h and c [N,H] before the first step; zero by default.
  ///   - scratch: to be used again, or with threads; a new one by default.
  /// - Returns: y [T,N,H] and the state after the last step.
  /// - Throws: `RecurrentError` where a shape does not fit the layer.
  public func forward(
    _ x: Sequences<Scalar>, initial: State<Scalar>? = nil, scratch: Scratch<Scalar> = Scratch()
  ) throws(RecurrentError) -> Output<Scalar> {
    var state = if let initial { initial } else { try zeroState(batchSize: x.batchSize) }
    var y = try Sequences<Scalar>(steps: x.steps, batchSize: x.batchSize, size: hiddenSize)
    try checkInput(x)
    try x.values.withUnsafeBufferPointer { x0 throws(RecurrentError) in
      try y.withMutableValues { y0 throws(RecurrentError) in
        try forward(x0, steps: x.steps, batchSize: x.batchSize, state: &state, into: y0, scratch: scratch)
      }
    }
    return Output(y: y, final: state)
  }

  /// Runs sequences through the layer, on the caller's buffers.
  ///
  /// - Parameters:
  ///   - x: [T,N,C], read.
  ///   - steps: T, at least 1.
  ///   - batchSize: N, at least 1.
  ///   - state: h and c [N,H] before the first step, read, and after the last, overwritten.
  ///   - y: [T,N,H], overwritten; must not overlap x.
  ///   - scratch: grows at its first use.
  /// - Throws: `RecurrentError` where a shape does not fit; nothing has been written then.
  @inlinable
  public func forward(
    _ x: Span<Scalar>, steps: Int, batchSize: Int, state: inout State<Scalar>, into y: inout MutableSpan<Scalar>,
    scratch: Scratch<Scalar>
  ) throws(RecurrentError) {
    try x.withUnsafeBufferPointer { x throws(RecurrentError) in
      try y.withUnsafeMutableBufferPointer { y throws(RecurrentError) in
        try layer.runForward(x, steps, batchSize, &state, y, scratch)
      }
    }
  }

  /// `forward` on pointers, for memory that no span can be taken of.
  @inlinable
  public func forward(
    _ x: UnsafeBufferPointer<Scalar>, steps: Int, batchSize: Int, state: inout State<Scalar>,
    into y: UnsafeMutableBufferPointer<Scalar>, scratch: Scratch<Scalar>
  ) throws(RecurrentError) {
    try layer.runForward(x, steps, batchSize, &state, y, scratch)
  }

  /// Runs sequences through the layer and keeps what `backward` needs.
  ///
  /// - Parameters:
  ///   - x: [T,N,C]; `backward` wants it again.
  ///   - initial: h and c [N,H] before the first step; zero by default.
  ///   - record: a record to use again; a new one by default.
  ///   - scratch: to be used again, or with threads; a new one by default.
  /// - Returns: the record, and the outputs as `forward` gives them, bit for bit.
  /// - Throws: `RecurrentError` where a shape does not fit the layer.
  public func record(
    _ x: Sequences<Scalar>, initial: State<Scalar>? = nil, into record: Record<Scalar> = Record(),
    scratch: Scratch<Scalar> = Scratch()
  ) throws(RecurrentError) -> (record: Record<Scalar>, output: Output<Scalar>) {
    var state = if let initial { initial } else { try zeroState(batchSize: x.batchSize) }
    try checkInput(x)
    try x.values.withUnsafeBufferPointer { x0 throws(RecurrentError) in
      try layer.runRecord(x0, x.steps, x.batchSize, &state, record, scratch)
    }
    let y = try Sequences(record.withY { Array($0) }, steps: x.steps, batchSize: x.batchSize, size: hiddenSize)
    return (record, Output(y: y, final: state))
  }

  /// Runs sequences through the layer and keeps what `backward` needs, on the caller's buffers.
  ///
  /// - Parameters:
  ///   - x: [T,N,C], read; `backward` wants it again.
  ///   - steps: T, at least 1.
  ///   - batchSize: N, at least 1.
  ///   - state: h and c [N,H] before the first step, read, and after the last, overwritten.
  ///   - record: overwritten; its `withY` gives y [T,N,H].
  ///   - scratch: grows at its first use.
  /// - Throws: `RecurrentError` where a shape does not fit; nothing has been written then.
  @inlinable
  public func record(
    _ x: Span<Scalar>, steps: Int, batchSize: Int, state: inout State<Scalar>, into record: Record<Scalar>,
    scratch: Scratch<Scalar>
  ) throws(RecurrentError) {
    try x.withUnsafeBufferPointer { x throws(RecurrentError) in
      try layer.runRecord(x, steps, batchSize, &state, record, scratch)
    }
  }

  /// `record` on pointers, for memory that no span can be taken of.
  @inlinable
  public func record(
    _ x: UnsafeBufferPointer<Scalar>, steps: Int, batchSize: Int, state: inout State<Scalar>,
    into record: Record<Scalar>, scratch: Scratch<Scalar>
  ) throws(RecurrentError) {
    try layer.runRecord(x, steps, batchSize, &state, record, scratch)
  }

  package func checkInput(_ x: Sequences<Scalar>) throws(RecurrentError) {
    guard x.size == inputSize else {
      throw .size(name: "x.size", was: x.size, expected: "\(inputSize), the input size")
    }
  }
}

// MARK: - Binding buffers

extension Layer {
  @specialized(where Scalar == Float)
  @usableFromInline
  func runForward(
    _ x: UnsafeBufferPointer<Scalar>, _ steps: Int, _ batchSize: Int, _ state: inout State<Scalar>,
    _ y: UnsafeMutableBufferPointer<Scalar>, _ scratch: Scratch<Scalar>
  ) throws(RecurrentError) {
    try checkX(x.count, steps: steps, batchSize: batchSize)
    try checkY("y", y.count, steps: steps, batchSize: batchSize)
    try checkState("state", state, batchSize: batchSize)
    try checkApart("y", y, "x", x)
    run(x.baseAddress!, steps, batchSize, &state, y.baseAddress!, nil, scratch)
  }

  @specialized(where Scalar == Float)
  @usableFromInline
  func runRecord(
    _ x: UnsafeBufferPointer<Scalar>, _ steps: Int, _ batchSize: Int, _ state: inout State<Scalar>,
    _ record: Record<Scalar>, _ scratch: Scratch<Scalar>
  ) throws(RecurrentError) {
    try checkX(x.count, steps: steps, batchSize: batchSize)
    try checkState("state", state, batchSize: batchSize)
    let row = batchSize * hiddenSize
    content.engine.prepare(record, steps: steps, batchSize: batchSize)
    record.historyStart.update(from: state.h, count: row)
    run(x.baseAddress!, steps, batchSize, &state, record.historyStart + row, record, scratch)
    record.isFilled = true
    record.version = content.version
  }

  /// All buffers have been checked.
  private func run(
    _ x: UnsafePointer<Scalar>, _ steps: Int, _ batchSize: Int, _ state: inout State<Scalar>,
    _ y: UnsafeMutablePointer<Scalar>, _ record: Record<Scalar>?, _ scratch: Scratch<Scalar>
  ) {
    let row = batchSize * hiddenSize
    state.h.withUnsafeMutableBufferPointer { h in
      state.c.withUnsafeMutableBufferPointer { c in
        let c = cell.hasCellState ? c.baseAddress : nil
        content.engine.forward(
          ForwardCall(
            steps: steps, batchSize: batchSize, x: x, h0: UnsafePointer(h.baseAddress!), c0: UnsafePointer(c), y: y,
            cn: c, record: record, scratch: scratch))
        h.baseAddress!.update(from: y + (steps - 1) * row, count: row)
      }
    }
  }

  // MARK: - Shapes

  /// An output must not overlap an input that is read after parts of the output have been written.
  func checkApart(
    _ name: String, _ output: UnsafeMutableBufferPointer<Scalar>, _ other: String, _ input: UnsafeBufferPointer<Scalar>
  ) throws(RecurrentError) {
    let o = UnsafeRawPointer(output.baseAddress!), i = UnsafeRawPointer(input.baseAddress!)
    let size = MemoryLayout<Scalar>.stride
    if o < i + input.count * size, i < o + output.count * size {
      throw .mismatch("\(name) overlaps \(other) in memory, expected buffers of their own")
    }
  }

  /// Sizes that are positive and countable, and x of their count.
  func checkX(_ count: Int, steps: Int, batchSize: Int) throws(RecurrentError) {
    // Small sizes need no care; a single step should not wait for it.
    let small = 1 << 12
    let areSmall =
      (1...small).contains(steps) && (1...small).contains(batchSize) && inputSize <= small && hiddenSize <= small
      && steps * batchSize * max(inputSize, 8 * hiddenSize) <= 1 << 28
    if !areSmall {
      _ = try checkedCount(("steps", steps), ("batchSize", batchSize), ("inputSize", inputSize))
      _ = try checkedCount(("steps", steps), ("batchSize", batchSize), ("hiddenSize", hiddenSize), ("slots", 8))
    }
    try checkCount("x", count, is: steps * batchSize * inputSize, "\(steps)·\(batchSize)·\(inputSize)")
  }

  func checkY(_ name: String, _ count: Int, steps: Int, batchSize: Int) throws(RecurrentError) {
    try checkCount(name, count, is: steps * batchSize * hiddenSize, "\(steps)·\(batchSize)·\(hiddenSize)")
  }

  func checkState(_ name: String, _ state: State<Scalar>, batchSize: Int) throws(RecurrentError) {
    let count = batchSize * hiddenSize
    if state.h.count != count {
      throw .count(name: "\(name).h", was: state.h.count, expected: count, shape: "\(batchSize)·\(hiddenSize)")
    }
    let cCount = cell.hasCellState ? count : 0
    if state.c.count != cCount {
      throw .count(
        name: "\(name).c", was: state.c.count, expected: cCount,
        shape: cell.hasCellState ? "\(batchSize)·\(hiddenSize)" : "none: this cell has no c")
    }
  }
}
