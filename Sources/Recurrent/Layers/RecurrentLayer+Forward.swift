extension RecurrentLayer {
  /// Runs sequences through the layer.
  ///
  /// - Parameters:
  ///   - x: [T,N,C]
  ///   - initial: h and c [L·D,N,H] before the first step; zero by default.
  ///   - options: lengths, by default those of x, and resets. The layouts must be time-major.
  ///   - scratch: a scratch to use again, or one with threads; a new one by default.
  /// - Returns: y [T,N,outputSize] and the state after the last step.
  /// - Throws: `RecurrentError` if a shape does not fit the layer.
  public func forward(
    _ x: Sequences<Scalar>, initial: State<Scalar>? = nil, options: CallOptions = CallOptions(),
    scratch: Scratch<Scalar> = Scratch()
  ) throws(RecurrentError) -> Output<Scalar> {
    let options = try checkInput(x, initial, options)
    var state = if let initial { initial } else { try zeroState(batchSize: x.batchSize) }
    var y = try Sequences<Scalar>(
      steps: x.steps, batchSize: x.batchSize, size: outputSize, lengths: options.lengths)
    try x.values.withUnsafeBufferPointer { x0 throws(RecurrentError) in
      try y.withMutableValues { y0 throws(RecurrentError) in
        try forward(
          x0, steps: x.steps, batchSize: x.batchSize, state: &state, into: y0, options: options, scratch: scratch)
      }
    }
    return Output(y: y, final: state, hiddenSize: hiddenSize)
  }

  /// Runs sequences through the layer, on the caller's buffers.
  ///
  /// - Parameters:
  ///   - x: [T,N,C], or as the options say; read.
  ///   - steps: T, at least 1.
  ///   - batchSize: N, at least 1.
  ///   - state: [L·D,N,H]: h and c before the first step, which are read; then those after the last step, which
  ///     overwrite them.
  ///   - y: [T,N,outputSize], or as the options say; overwritten, must not overlap x.
  ///   - options: lengths, resets, layouts.
  ///   - scratch: grows at its first use.
  /// - Throws: `RecurrentError` if a shape does not fit. Nothing has been written then.
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

  /// `forward` on pointers, for memory of which no span can be made.
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
  ///   - x: [T,N,C]; `backward` needs it again.
  ///   - initial: h and c [L·D,N,H] before the first step; zero by default.
  ///   - options: lengths, by default those of x, resets and dropout. The layouts must be time-major.
  ///   - record: a record to use again; a new one by default.
  ///   - scratch: a scratch to use again, or one with threads; a new one by default.
  /// - Returns: the record and the outputs. Without dropout, the outputs have the same bits as those of `forward`.
  /// - Throws: `RecurrentError` if a shape does not fit the layer, or if its weights are not full.
  public func record(
    _ x: Sequences<Scalar>, initial: State<Scalar>? = nil, into record: Record<Scalar> = Record(),
    options: CallOptions = CallOptions(), scratch: Scratch<Scalar> = Scratch()
  ) throws(RecurrentError) -> (record: Record<Scalar>, output: Output<Scalar>) {
    let options = try checkInput(x, initial, options)
    var state = if let initial { initial } else { try zeroState(batchSize: x.batchSize) }
    try x.values.withUnsafeBufferPointer { x0 throws(RecurrentError) in
      try layer.runRecord(x0, x.steps, x.batchSize, &state, record, options, scratch)
    }
    let y = try Sequences(
      record.withY { Array($0) }, steps: x.steps, batchSize: x.batchSize, size: outputSize, lengths: options.lengths)
    return (record, Output(y: y, final: state, hiddenSize: hiddenSize))
  }

  /// Runs sequences through the layer and keeps what `backward` needs, on the caller's buffers.
  ///
  /// - Parameters:
  ///   - x: [T,N,C], or as the options say; read. `backward` needs it again.
  ///   - steps: T, at least 1.
  ///   - batchSize: N, at least 1.
  ///   - state: [L·D,N,H]: h and c before the first step, which are read; then those after the last step, which
  ///     overwrite them.
  ///   - record: overwritten. Its `withY` gives y.
  ///   - options: lengths, resets, layouts, dropout.
  ///   - scratch: grows at its first use.
  /// - Throws: `RecurrentError` if a shape does not fit, or if the weights are not full. Nothing has been written then.
  @inlinable
  public func record(
    _ x: Span<Scalar>, steps: Int, batchSize: Int, state: inout State<Scalar>, into record: Record<Scalar>,
    options: CallOptions = CallOptions(), scratch: Scratch<Scalar>
  ) throws(RecurrentError) {
    try x.withUnsafeBufferPointer { x throws(RecurrentError) in
      try layer.runRecord(x, steps, batchSize, &state, record, options, scratch)
    }
  }

  /// `record` on pointers, for memory of which no span can be made.
  @inlinable
  public func record(
    _ x: UnsafeBufferPointer<Scalar>, steps: Int, batchSize: Int, state: inout State<Scalar>,
    into record: Record<Scalar>, options: CallOptions = CallOptions(), scratch: Scratch<Scalar>
  ) throws(RecurrentError) {
    try layer.runRecord(x, steps, batchSize, &state, record, options, scratch)
  }
}

// MARK: - Binding buffers

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
          try checkNoOverlap(x, y, state)
        }
      }
    }
  }

  /// - Parameter apart: checks that no two buffers overlap. It is called when their counts have been checked.
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
          try checkNoOverlap(x, nil, state)
        }
      }
    }
  }

  /// The record keeps y, time-major. If `y` is not nil, the output is also copied there, in the layout of the options.
  ///
  /// - Parameter apart: checks that no two buffers overlap. It is called when their counts have been checked.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  package func runRecord(
    _ x: UnsafeBufferPointer<Scalar>, _ steps: Int, _ batchSize: Int, _ state: StatePlace<Scalar>,
    _ y: UnsafeMutableBufferPointer<Scalar>?, _ record: Record<Scalar>, _ options: BorrowedOptions,
    _ scratch: Scratch<Scalar>, apart: () throws(RecurrentError) -> Void
  ) throws(RecurrentError) {
    try weightFormat.checkTraining()
    try checkSizes(steps: steps, batchSize: batchSize, options, records: true)
    let xDistances = try checkX("x", x.count, options.xLayout, steps: steps, batchSize: batchSize)
    // This also checks the layout for `backward`.
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
}
