extension RecurrentLayer {
  /// Backward through time.
  ///
  /// - Parameters:
  ///   - record: the record of a call of `record` with the parameters that the layer has now. It is consumed.
  ///   - x: [T,N,C], the same as in the call of `record`.
  ///   - dy: [T,N,outputSize], the gradient of y; nil means zero.
  ///   - dFinal: the gradient of the final state, [L·D,N,H]; nil means zero.
  ///   - gradients: the parameters' gradients are added to it.
  ///   - scratch: a scratch to use again, or one with threads; a new one by default.
  /// - Returns: the gradients of x and of the initial state.
  /// - Throws: `RecurrentError` if a shape does not fit, or if the record is another layer's or consumed.
  public func backward(
    consuming record: Record<Scalar>, x: Sequences<Scalar>, dy: Sequences<Scalar>?,
    dFinal: StateGradient<Scalar>? = nil, into gradients: inout Parameters<Scalar>, scratch: Scratch<Scalar> = Scratch()
  ) throws(RecurrentError) -> InputGradients<Scalar> {
    try gradients.check(against: layer.shape, "gradients")
    return try gradients.withMutableValues { gradients throws(RecurrentError) in
      try backward(consuming: record, x: x, dy: dy, dFinal: dFinal, into: gradients, scratch: scratch)
    }
  }

  /// The same into flat gradients, which have the count and the order of `parameters.values`.
  package func backward(
    consuming record: Record<Scalar>, x: Sequences<Scalar>, dy: Sequences<Scalar>?, dFinal: StateGradient<Scalar>?,
    into gradients: UnsafeMutableBufferPointer<Scalar>, scratch: Scratch<Scalar>
  ) throws(RecurrentError) -> InputGradients<Scalar> {
    try checkInput(x, nil, record.options)
    try checkShape("x", x, of: record)
    if let dy {
      try checkShape("dy", dy, of: record)
      guard dy.size == outputSize else {
        throw .size(name: "dy.size", was: dy.size, expected: "\(outputSize), the output size")
      }
    }
    if let dFinal {
      try layer.checkState("dFinal.dh", dFinal.dh.count, "dFinal.dc", dFinal.dc.count, batchSize: x.batchSize)
    }
    var dState = if let dFinal { dFinal } else { try zeroStateGradient(batchSize: x.batchSize) }
    var dx = try Sequences<Scalar>(steps: x.steps, batchSize: x.batchSize, size: inputSize, lengths: x.lengths)
    let dyValues = dy?.values ?? []
    try x.values.withUnsafeBufferPointer { x throws(RecurrentError) in
      try dyValues.withUnsafeBufferPointer { dyValues throws(RecurrentError) in
        try dx.withMutableValues { dx throws(RecurrentError) in
          try backward(
            consuming: record, x: x, dy: dy == nil ? nil : dyValues, dState: &dState, dx: dx, into: gradients,
            scratch: scratch)
        }
      }
    }
    return InputGradients(dx: dx, dInitial: dState)
  }

  /// Backward through time, on the caller's buffers. Lengths, resets, layouts and dropout are those of the record.
  ///
  /// - Parameters:
  ///   - record: the record of a call of `record`. It is consumed.
  ///   - x: [T,N,C], the same as in the call of `record`; read.
  ///   - dy: [T,N,outputSize], in y's layout; the gradient of y, read.
  ///   - dState: [L·D,N,H]: the gradient of the final state, which is read; then that of the initial state, which
  ///     overwrites it.
  ///   - dx: [T,N,C], in x's layout; overwritten, must not overlap x or dy.
  ///   - gradients: the parameters' gradients are added to it.
  ///   - scratch: grows at its first use.
  /// - Throws: `RecurrentError` if a shape does not fit, or if the record is another layer's or consumed. Nothing has
  ///   been written then.
  @inlinable
  public func backward(
    consuming record: Record<Scalar>, x: Span<Scalar>, dy: Span<Scalar>, dState: inout StateGradient<Scalar>,
    dx: inout MutableSpan<Scalar>, into gradients: inout Parameters<Scalar>, scratch: Scratch<Scalar>
  ) throws(RecurrentError) {
    try x.withUnsafeBufferPointer { x throws(RecurrentError) in
      try dy.withUnsafeBufferPointer { dy throws(RecurrentError) in
        try dx.withUnsafeMutableBufferPointer { dx throws(RecurrentError) in
          try backward(
            consuming: record, x: x, dy: dy, dState: &dState, dx: dx, into: &gradients, scratch: scratch)
        }
      }
    }
  }

  /// The same without the gradient of x.
  @inlinable
  public func backward(
    consuming record: Record<Scalar>, x: Span<Scalar>, dy: Span<Scalar>, dState: inout StateGradient<Scalar>,
    into gradients: inout Parameters<Scalar>, scratch: Scratch<Scalar>
  ) throws(RecurrentError) {
    try x.withUnsafeBufferPointer { x throws(RecurrentError) in
      try dy.withUnsafeBufferPointer { dy throws(RecurrentError) in
        try backward(
          consuming: record, x: x, dy: dy, dState: &dState, dx: nil, into: &gradients, scratch: scratch)
      }
    }
  }

  /// Backward through time, on the caller's buffers and into the caller's flat gradients.
  ///
  /// - Parameters:
  ///   - gradients: the parameters' gradients are added to it. They have the count and the order of
  ///     `parameters.values`, and must not overlap another buffer.
  ///   - record, x, dy, dState, dx, scratch: as in the form that adds to `Parameters`.
  /// - Throws: `RecurrentError`, as the form that adds to `Parameters` does. Nothing has been written then.
  @inlinable
  public func backward(
    consuming record: Record<Scalar>, x: Span<Scalar>, dy: Span<Scalar>, dState: inout StateGradient<Scalar>,
    dx: inout MutableSpan<Scalar>, into gradients: inout MutableSpan<Scalar>, scratch: Scratch<Scalar>
  ) throws(RecurrentError) {
    try x.withUnsafeBufferPointer { x throws(RecurrentError) in
      try dy.withUnsafeBufferPointer { dy throws(RecurrentError) in
        try dx.withUnsafeMutableBufferPointer { dx throws(RecurrentError) in
          try gradients.withUnsafeMutableBufferPointer { gradients throws(RecurrentError) in
            try backward(consuming: record, x: x, dy: dy, dState: &dState, dx: dx, into: gradients, scratch: scratch)
          }
        }
      }
    }
  }

  /// `backward` on pointers, for memory of which no span can be made. If `dy` is nil, the gradient of y is zero. If
  /// `dx` is nil, the gradient of x is not computed.
  @inlinable
  public func backward(
    consuming record: Record<Scalar>, x: UnsafeBufferPointer<Scalar>, dy: UnsafeBufferPointer<Scalar>?,
    dState: inout StateGradient<Scalar>, dx: UnsafeMutableBufferPointer<Scalar>?,
    into gradients: UnsafeMutableBufferPointer<Scalar>, scratch: Scratch<Scalar>
  ) throws(RecurrentError) {
    try layer.runBackward(record, x, dy, &dState, dx, gradients, scratch)
  }

  /// The same into `Parameters`.
  @inlinable
  public func backward(
    consuming record: Record<Scalar>, x: UnsafeBufferPointer<Scalar>, dy: UnsafeBufferPointer<Scalar>?,
    dState: inout StateGradient<Scalar>, dx: UnsafeMutableBufferPointer<Scalar>?,
    into gradients: inout Parameters<Scalar>, scratch: Scratch<Scalar>
  ) throws(RecurrentError) {
    try layer.runBackward(record, x, dy, &dState, dx, &gradients, scratch)
  }
}

extension RecurrentLayer {
  private func checkShape(
    _ name: String, _ sequences: Sequences<Scalar>, of record: Record<Scalar>
  ) throws(RecurrentError) {
    // A later check reports an empty record.
    guard record.isFilled else { return }
    if sequences.steps != record.steps {
      throw .size(name: "\(name).steps", was: sequences.steps, expected: "\(record.steps), as the record's")
    }
    if sequences.batchSize != record.batchSize {
      throw .size(name: "\(name).batchSize", was: sequences.batchSize, expected: "\(record.batchSize), as the record's")
    }
  }
}

// MARK: - Binding buffers

extension Layer {
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  @usableFromInline
  func runBackward(
    _ record: Record<Scalar>, _ x: UnsafeBufferPointer<Scalar>, _ dy: UnsafeBufferPointer<Scalar>?,
    _ dState: inout StateGradient<Scalar>, _ dx: UnsafeMutableBufferPointer<Scalar>?,
    _ gradients: inout Parameters<Scalar>, _ scratch: Scratch<Scalar>
  ) throws(RecurrentError) {
    try gradients.check(against: shape, "gradients")
    try gradients.withMutableValues { gradients throws(RecurrentError) in
      try runBackward(record, x, dy, &dState, dx, gradients, scratch)
    }
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  @usableFromInline
  func runBackward(
    _ record: Record<Scalar>, _ x: UnsafeBufferPointer<Scalar>, _ dy: UnsafeBufferPointer<Scalar>?,
    _ dState: inout StateGradient<Scalar>, _ dx: UnsafeMutableBufferPointer<Scalar>?,
    _ gradients: UnsafeMutableBufferPointer<Scalar>, _ scratch: Scratch<Scalar>
  ) throws(RecurrentError) {
    try withPlace(&dState) { dState throws(RecurrentError) in
      try runBackward(record, x, dy, dState, dx, gradients, scratch) { () throws(RecurrentError) in
        // x and dy may be the same array, because both are only read.
        let regions: [6 of Region] = [
          Region("x", read: UnsafeRawBufferPointer(x)), Region("dy", read: dy.map { UnsafeRawBufferPointer($0) }),
          Region("dx", written: dx.map { UnsafeRawBufferPointer($0) }),
          Region("dState.dh", written: UnsafeRawBufferPointer(dState.h)),
          Region("dState.dc", written: UnsafeRawBufferPointer(dState.c)),
          Region("gradients", written: UnsafeRawBufferPointer(gradients)),
        ]
        try checkApart(regions.span)
      }
    }
  }

  /// - Parameter apart: checks that no two buffers overlap. It is called when their counts have been checked.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  package func runBackward(
    _ record: Record<Scalar>, _ x: UnsafeBufferPointer<Scalar>, _ dy: UnsafeBufferPointer<Scalar>?,
    _ dState: StatePlace<Scalar>, _ dx: UnsafeMutableBufferPointer<Scalar>?,
    _ gradients: UnsafeMutableBufferPointer<Scalar>, _ scratch: Scratch<Scalar>,
    apart: () throws(RecurrentError) -> Void
  ) throws(RecurrentError) {
    try weightFormat.checkTraining()
    guard record.isFilled else { throw .record(.empty) }
    guard record.fits(self) else {
      throw .record(.otherLayer(was: record.origin, expected: "\(shape) on \(instructionSet.rawValue)"))
    }
    guard record.version == content.version else { throw .record(.otherParameters) }
    let steps = record.steps, batchSize = record.batchSize, options = record.options
    let xDistances = try checkX("x", x.count, options.xLayout, steps: steps, batchSize: batchSize)
    let yDistances = try Distances("y", options.yLayout, steps: steps, batchSize: batchSize, size: outputSize)
    if let dy { _ = try checkY("dy", dy.count, options.yLayout, steps: steps, batchSize: batchSize) }
    try checkState("dState.dh", dState.h.count, "dState.dc", dState.c.count, batchSize: batchSize)
    if let dx { _ = try checkX("dx", dx.count, options.xLayout, steps: steps, batchSize: batchSize) }
    try checkCount("gradients", gradients.count, is: shape.parameterCount, "the parameters' count")
    try apart()
    record.isFilled = false
    content.parameters.values.withUnsafeBufferPointer { parameters in
      content.engine.backward(
        BackwardCall(
          record: record, x: x.baseAddress!, xDistances: xDistances, dy: dy?.baseAddress, yDistances: yDistances,
          dh: dState.h.baseAddress!, dc: dState.cStart, dx: dx?.baseAddress,
          parameters: parameters.baseAddress!, gradients: gradients.baseAddress!, scratch: scratch))
    }
  }
}
