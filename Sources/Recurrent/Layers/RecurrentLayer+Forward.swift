/// The outputs of a call on `Sequences`.
public struct Output<Scalar: RecurrentScalar>: Sendable, Equatable {
  /// h of the last level at every step, [T,N,H], or [T,N,2·H] of both directions
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
  ///   - initial: h and c [L·D,N,H] before the first step; zero by default.
  ///   - options: lengths, resets; layouts stay time-major.
  ///   - scratch: to be used again, or with threads; a new one by default.
  /// - Returns: y [T,N,outputSize] and the state after the last step.
  /// - Throws: `RecurrentError` if a shape does not fit the layer.
  public func forward(
    _ x: Sequences<Scalar>, initial: State<Scalar>? = nil, options: CallOptions = CallOptions(),
    scratch: Scratch<Scalar> = Scratch()
  ) throws(RecurrentError) -> Output<Scalar> {
    try checkInput(x, initial, options)
    var state = if let initial { initial } else { try zeroState(batchSize: x.batchSize) }
    var y = try Sequences<Scalar>(steps: x.steps, batchSize: x.batchSize, size: outputSize)
    try x.values.withUnsafeBufferPointer { x0 throws(RecurrentError) in
      try y.withMutableValues { y0 throws(RecurrentError) in
        try forward(
          x0, steps: x.steps, batchSize: x.batchSize, state: &state, into: y0, options: options, scratch: scratch)
      }
    }
    return Output(y: y, final: state)
  }

  /// Runs sequences through the layer, on the caller's buffers.
  ///
  /// - Parameters:
  ///   - x: [T,N,C], or as the options say; read.
  ///   - steps: T, at least 1.
  ///   - batchSize: N, at least 1.
  ///   - state: h and c [L·D,N,H] before the first step, read, and after the last, overwritten.
  ///   - y: [T,N,outputSize], or as the options say; overwritten, must not overlap x.
  ///   - options: lengths, resets, layouts.
  ///   - scratch: grows at its first use.
  /// - Throws: `RecurrentError` if a shape does not fit; nothing has been written then.
  @inlinable
  public func forward(
    _ x: Span<Scalar>, steps: Int, batchSize: Int, state: inout State<Scalar>, into y: inout MutableSpan<Scalar>,
    options: CallOptions = CallOptions(), scratch: Scratch<Scalar>
  ) throws(RecurrentError) {
    try x.withUnsafeBufferPointer { x throws(RecurrentError) in
      try y.withUnsafeMutableBufferPointer { y throws(RecurrentError) in
        try layer.runForward(x, steps, batchSize, &state, y, options, scratch)
      }
    }
  }

  /// `forward` on pointers, for memory that no span can be taken of.
  @inlinable
  public func forward(
    _ x: UnsafeBufferPointer<Scalar>, steps: Int, batchSize: Int, state: inout State<Scalar>,
    into y: UnsafeMutableBufferPointer<Scalar>, options: CallOptions = CallOptions(), scratch: Scratch<Scalar>
  ) throws(RecurrentError) {
    try layer.runForward(x, steps, batchSize, &state, y, options, scratch)
  }

  /// Runs sequences through the layer and keeps what `backward` needs.
  ///
  /// - Parameters:
  ///   - x: [T,N,C]; `backward` wants it again.
  ///   - initial: h and c [L·D,N,H] before the first step; zero by default.
  ///   - options: lengths, resets, dropout; layouts stay time-major.
  ///   - record: a record to use again; a new one by default.
  ///   - scratch: to be used again, or with threads; a new one by default.
  /// - Returns: the record, and the outputs: without dropout as `forward` gives them, bit for bit.
  /// - Throws: `RecurrentError` if a shape does not fit the layer.
  public func record(
    _ x: Sequences<Scalar>, initial: State<Scalar>? = nil, into record: Record<Scalar> = Record(),
    options: CallOptions = CallOptions(), scratch: Scratch<Scalar> = Scratch()
  ) throws(RecurrentError) -> (record: Record<Scalar>, output: Output<Scalar>) {
    try checkInput(x, initial, options)
    var state = if let initial { initial } else { try zeroState(batchSize: x.batchSize) }
    try x.values.withUnsafeBufferPointer { x0 throws(RecurrentError) in
      try layer.runRecord(x0, x.steps, x.batchSize, &state, record, options, scratch)
    }
    let y = try Sequences(record.withY { Array($0) }, steps: x.steps, batchSize: x.batchSize, size: outputSize)
    return (record, Output(y: y, final: state))
  }

  /// Runs sequences through the layer and keeps what `backward` needs, on the caller's buffers.
  ///
  /// - Parameters:
  ///   - x: [T,N,C], or as the options say; read, and `backward` wants it again.
  ///   - steps: T, at least 1.
  ///   - batchSize: N, at least 1.
  ///   - state: h and c [L·D,N,H] before the first step, read, and after the last, overwritten.
  ///   - record: overwritten; its `withY` gives y.
  ///   - options: lengths, resets, layouts, dropout.
  ///   - scratch: grows at its first use.
  /// - Throws: `RecurrentError` if a shape does not fit; nothing has been written then.
  @inlinable
  public func record(
    _ x: Span<Scalar>, steps: Int, batchSize: Int, state: inout State<Scalar>, into record: Record<Scalar>,
    options: CallOptions = CallOptions(), scratch: Scratch<Scalar>
  ) throws(RecurrentError) {
    try x.withUnsafeBufferPointer { x throws(RecurrentError) in
      try layer.runRecord(x, steps, batchSize, &state, record, options, scratch)
    }
  }

  /// `record` on pointers, for memory that no span can be taken of.
  @inlinable
  public func record(
    _ x: UnsafeBufferPointer<Scalar>, steps: Int, batchSize: Int, state: inout State<Scalar>,
    into record: Record<Scalar>, options: CallOptions = CallOptions(), scratch: Scratch<Scalar>
  ) throws(RecurrentError) {
    try layer.runRecord(x, steps, batchSize, &state, record, options, scratch)
  }

  package func checkInput(
    _ x: Sequences<Scalar>, _ initial: State<Scalar>?, _ options: CallOptions
  ) throws(RecurrentError) {
    guard x.size == inputSize else {
      throw .size(name: "x.size", was: x.size, expected: "\(inputSize), the input size")
    }
    for (name, layout) in [("xLayout", options.xLayout), ("yLayout", options.yLayout)] where layout != .timeMajor {
      throw .value(name: "options.\(name)", was: "\(layout)", expected: "timeMajor for Sequences")
    }
    if let initial { try layer.checkState("initial", initial, batchSize: x.batchSize) }
  }
}

// MARK: - Binding buffers

/// h and c [L·D,N,H], or their gradients, in memory of the caller's; c is empty if the layer has none.
package struct StatePlace<Scalar: RecurrentScalar> {
  package let h: UnsafeMutableBufferPointer<Scalar>
  package let c: UnsafeMutableBufferPointer<Scalar>

  /// Null if the layer has no c.
  var cStart: UnsafeMutablePointer<Scalar>? { c.isEmpty ? nil : c.baseAddress }

  package init(h: UnsafeMutableBufferPointer<Scalar>, c: UnsafeMutableBufferPointer<Scalar>) {
    self.h = h
    self.c = c
  }
}

extension Layer {
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  @usableFromInline
  func runForward(
    _ x: UnsafeBufferPointer<Scalar>, _ steps: Int, _ batchSize: Int, _ state: inout State<Scalar>,
    _ y: UnsafeMutableBufferPointer<Scalar>, _ options: CallOptions, _ scratch: Scratch<Scalar>
  ) throws(RecurrentError) {
    try withPlace(&state) { state throws(RecurrentError) in
      try options.borrowed { options throws(RecurrentError) in
        try runForward(x, steps, batchSize, state, y, options, scratch) { () throws(RecurrentError) in
          try checkApart(x, y, state)
        }
      }
    }
  }

  /// - Parameter apart: checks that no two buffers overlap, once their counts are right.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  package func runForward(
    _ x: UnsafeBufferPointer<Scalar>, _ steps: Int, _ batchSize: Int, _ state: StatePlace<Scalar>,
    _ y: UnsafeMutableBufferPointer<Scalar>, _ options: BorrowedOptions, _ scratch: Scratch<Scalar>,
    apart: () throws(RecurrentError) -> Void
  ) throws(RecurrentError) {
    try checkSizes(steps: steps, batchSize: batchSize, options, records: false)
    let xDistances = try checkX("x", x.count, options.xLayout, steps: steps, batchSize: batchSize)
    let yDistances = try checkY("y", y.count, options.yLayout, steps: steps, batchSize: batchSize)
    try checkState("state.h", state.h.count, "state.c", state.c.count, batchSize: batchSize)
    try apart()
    content.engine.forward(
      ForwardCall(
        steps: steps, batchSize: batchSize, x: x.baseAddress!, xDistances: xDistances, h: state.h.baseAddress!,
        c: state.cStart, y: y.baseAddress!, yDistances: yDistances, options: options,
        record: nil, scratch: scratch))
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  @usableFromInline
  func runRecord(
    _ x: UnsafeBufferPointer<Scalar>, _ steps: Int, _ batchSize: Int, _ state: inout State<Scalar>,
    _ record: Record<Scalar>, _ options: CallOptions, _ scratch: Scratch<Scalar>
  ) throws(RecurrentError) {
    try withPlace(&state) { state throws(RecurrentError) in
      try options.borrowed { options throws(RecurrentError) in
        try runRecord(x, steps, batchSize, state, nil, record, options, scratch) { () throws(RecurrentError) in
          try checkApart(x, nil, state)
        }
      }
    }
  }

  /// The record keeps y time-major; where `y` is not nil it is copied there in its layout.
  ///
  /// - Parameter apart: checks that no two buffers overlap, once their counts are right.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  package func runRecord(
    _ x: UnsafeBufferPointer<Scalar>, _ steps: Int, _ batchSize: Int, _ state: StatePlace<Scalar>,
    _ y: UnsafeMutableBufferPointer<Scalar>?, _ record: Record<Scalar>, _ options: BorrowedOptions,
    _ scratch: Scratch<Scalar>, apart: () throws(RecurrentError) -> Void
  ) throws(RecurrentError) {
    try checkSizes(steps: steps, batchSize: batchSize, options, records: true)
    let xDistances = try checkX("x", x.count, options.xLayout, steps: steps, batchSize: batchSize)
    // Checked for `backward` too.
    let yDistances = try Distances("y", options.yLayout, steps: steps, batchSize: batchSize, size: outputSize)
    try checkState("state.h", state.h.count, "state.c", state.c.count, batchSize: batchSize)
    if let y { _ = try checkY("y", y.count, options.yLayout, steps: steps, batchSize: batchSize) }
    try apart()
    record.dropoutSeed = dropoutSeed(options.dropout)
    content.engine.prepare(record, steps: steps, batchSize: batchSize, options: options)
    content.engine.forward(
      ForwardCall(
        steps: steps, batchSize: batchSize, x: x.baseAddress!, xDistances: xDistances, h: state.h.baseAddress!,
        c: state.cStart, y: y?.baseAddress, yDistances: yDistances, options: options,
        record: record, scratch: scratch))
    record.isFilled = true
    record.version = content.version
  }

  /// The arrays' memory.
  func withPlace<Failure: Error>(
    _ dState: inout StateGradient<Scalar>, _ body: (StatePlace<Scalar>) throws(Failure) -> Void
  ) throws(Failure) {
    try dState.dh.withUnsafeMutableBufferPointer { dh throws(Failure) in
      try dState.dc.withUnsafeMutableBufferPointer { dc throws(Failure) in try body(StatePlace(h: dh, c: dc)) }
    }
  }

  /// The arrays' memory.
  func withPlace<Failure: Error>(
    _ state: inout State<Scalar>, _ body: (StatePlace<Scalar>) throws(Failure) -> Void
  ) throws(Failure) {
    try state.h.withUnsafeMutableBufferPointer { h throws(Failure) in
      try state.c.withUnsafeMutableBufferPointer { c throws(Failure) in try body(StatePlace(h: h, c: c)) }
    }
  }

  // MARK: - Shapes

  private func checkApart(
    _ x: UnsafeBufferPointer<Scalar>, _ y: UnsafeMutableBufferPointer<Scalar>?, _ state: StatePlace<Scalar>
  ) throws(RecurrentError) {
    let regions: [4 of Region] = [
      Region("x", read: UnsafeRawBufferPointer(x)), Region("y", written: y.map { UnsafeRawBufferPointer($0) }),
      Region("state.h", written: UnsafeRawBufferPointer(state.h)),
      Region("state.c", written: UnsafeRawBufferPointer(state.c)),
    ]
    try Recurrent.checkApart(regions.span)
  }

  /// Sizes that are positive and countable; lengths and resets that fit them.
  func checkSizes(steps: Int, batchSize: Int, _ options: BorrowedOptions, records: Bool) throws(RecurrentError) {
    // Without a record a call keeps a chunk, but for what levels hand on.
    let handsOn = shape.layerCount > 1 || shape.isSummed
    let features = records ? shape.rowFloats : max(inputSize, (handsOn ? 3 : 1) * shape.width)
    if !fitMemory(steps, batchSize, features, scalarBytes: MemoryLayout<Scalar>.size) {
      _ = try checkedCount(
        ("steps", steps), ("batchSize", batchSize), (records ? "floatsOfARow" : "features", features),
        scalarBytes: MemoryLayout<Scalar>.size)
    }
    if let lengths = options.lengths {
      try checkCount("lengths", lengths.count, is: batchSize, "batchSize")
      if let bad = lengths.firstIndex(where: { !(0...steps).contains($0) }) {
        throw .size(name: "lengths[\(bad)]", was: lengths[bad], expected: "0 ... \(steps), the steps")
      }
    }
    if let resets = options.resets {
      try checkCount("resets", resets.count, is: steps * batchSize, "\(steps)·\(batchSize)")
    }
  }

  func checkX(
    _ name: String, _ count: Int, _ layout: Layout, steps: Int, batchSize: Int
  ) throws(RecurrentError) -> Distances {
    try checkBuffer(name, count, layout, steps: steps, batchSize: batchSize, size: inputSize)
  }

  func checkY(
    _ name: String, _ count: Int, _ layout: Layout, steps: Int, batchSize: Int
  ) throws(RecurrentError) -> Distances {
    try checkBuffer(name, count, layout, steps: steps, batchSize: batchSize, size: outputSize)
  }

  /// A buffer of the extent of its layout; with distances of the caller's own it may go on behind it.
  private func checkBuffer(
    _ name: String, _ count: Int, _ layout: Layout, steps: Int, batchSize: Int, size: Int
  ) throws(RecurrentError) -> Distances {
    let distances = try Distances(name, layout, steps: steps, batchSize: batchSize, size: size)
    if case .strided = layout {
      if count >= distances.extent { return distances }
      throw .extent(
        name: name, was: count, expected: distances.extent,
        shape: "\(steps - 1)·\(distances.step) + \(batchSize - 1)·\(distances.sequence) + \(size)")
    }
    try checkCount(name, count, is: distances.extent, "\(steps)·\(batchSize)·\(size)")
    return distances
  }

  func checkState(_ name: String, _ state: State<Scalar>, batchSize: Int) throws(RecurrentError) {
    try checkState("\(name).h", state.h.count, "\(name).c", state.c.count, batchSize: batchSize)
  }

  func checkState(_ hName: String, _ h: Int, _ cName: String, _ c: Int, batchSize: Int) throws(RecurrentError) {
    let count = shape.parts * batchSize * hiddenSize
    func expected() -> String {
      shape.parts == 1 ? "\(batchSize)·\(hiddenSize)" : "\(shape.parts)·\(batchSize)·\(hiddenSize)"
    }
    if h != count { throw .count(name: hName, was: h, expected: count, shape: expected()) }
    guard shape.hasCellState || c == 0 else { throw .unexpectedState(name: cName, was: c) }
    if shape.hasCellState, c != count { throw .count(name: cName, was: c, expected: count, shape: expected()) }
  }
}
