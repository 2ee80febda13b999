extension RecurrentLayer {
  /// Checks the input and the options of a call on `Sequences`.
  ///
  /// - Returns: the options with the lengths of the input.
  @discardableResult
  package func checkInput(
    _ x: Sequences<Scalar>, _ initial: State<Scalar>?, _ options: CallOptions
  ) throws(RecurrentError) -> CallOptions {
    guard x.size == inputSize else {
      throw .size(name: "x.size", was: x.size, expected: "\(inputSize), the input size")
    }
    for (name, layout) in [("xLayout", options.xLayout), ("yLayout", options.yLayout)] where layout != .timeMajor {
      throw .value(name: "options.\(name)", was: "\(layout)", expected: "timeMajor for Sequences")
    }
    if let initial { try layer.checkState("initial", initial, batchSize: x.batchSize) }
    guard let lengths = x.lengths else { return options }
    if let other = options.lengths, other != lengths {
      throw .value(name: "options.lengths", was: "\(other)", expected: "x.lengths = \(lengths), or nil")
    }
    var options = options
    options.lengths = lengths
    return options
  }
}

/// - Throws: `RecurrentError` if there is not one length for each sequence, or a length is out of its range.
package func checkLengths(_ lengths: Span<Int>, steps: Int, batchSize: Int) throws(RecurrentError) {
  try checkCount("lengths", lengths.count, is: batchSize, "batchSize")
  for sequence in lengths.indices where !(0...steps).contains(lengths[sequence]) {
    throw .size(name: "lengths[\(sequence)]", was: lengths[sequence], expected: "0 to \(steps), the steps")
  }
}

extension Layer {
  /// No buffer of a forward call may overlap another one that is written.
  func checkNoOverlap(
    _ x: UnsafeBufferPointer<Scalar>, _ y: UnsafeMutableBufferPointer<Scalar>?, _ state: StatePlace<Scalar>
  ) throws(RecurrentError) {
    let regions: [4 of Region] = [
      Region("x", read: UnsafeRawBufferPointer(x)), Region("y", written: y.map { UnsafeRawBufferPointer($0) }),
      Region("state.h", written: UnsafeRawBufferPointer(state.h)),
      Region("state.c", written: UnsafeRawBufferPointer(state.c)),
    ]
    try checkApart(regions.span)
  }

  /// Checks that the sizes are positive and not too large, and that lengths and resets fit them.
  func checkSizes(steps: Int, batchSize: Int, _ options: BorrowedOptions, records: Bool) throws(RecurrentError) {
    // Without a record, a call keeps the rows of one chunk, and all rows only of what levels pass to each other.
    let handsOn = shape.layerCount > 1 || shape.isSummed
    let features = records ? shape.rowFloats : max(inputSize, (handsOn ? 3 : 1) * shape.width)
    if !fitMemory(steps, batchSize, features, scalarBytes: MemoryLayout<Scalar>.size) {
      _ = try checkedCount(
        ("steps", steps), ("batchSize", batchSize), (records ? "values of a step" : "features", features),
        scalarBytes: MemoryLayout<Scalar>.size)
    }
    if let lengths = options.lengths { try checkLengths(lengths.span, steps: steps, batchSize: batchSize) }
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

  /// Checks that a buffer has the extent of its layout. If the caller gave distances, it may be longer.
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
