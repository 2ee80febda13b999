import Recurrent

/// Sound on its way through a model, block by block. Like `RecurrentStream`, it belongs to one thread at a time and
/// allocates nothing while it runs.
public final class NeuralAmpStream {
  private let stream: RecurrentStream<Float>
  private let headWeight: [Float]
  private let headBias: Float
  private let initialState: State<Float>
  private let h: UnsafeMutableBufferPointer<Float>  // [piece,H]

  /// Steps at once, of blocks of any length: h of all of them stays in the nearest cache.
  private static let piece = 64

  init(_ model: NeuralAmpModel) throws(RecurrentError) {
    stream = try model.lstm.stream(batchSize: 1)
    headWeight = model.headWeight
    headBias = model.headBias
    initialState = model.initialState
    h = .allocate(capacity: NeuralAmpStream.piece * model.lstm.hiddenSize)
    h.initialize(repeating: 0)
    try reset()
  }

  deinit { h.deallocate() }

  /// Starts again from the model's initial state.
  public func reset() throws(RecurrentError) { try stream.setState(initialState) }

  /// Runs some samples through the model. Blocks of any length give the same bits.
  ///
  /// - Parameters:
  ///   - x: [T], read.
  ///   - y: [T], overwritten.
  /// - Throws: `RecurrentError.count` if they are not of one count; nothing has changed then.
  public func process(_ x: Span<Float>, into y: inout MutableSpan<Float>) throws(RecurrentError) {
    try x.withUnsafeBufferPointer { x throws(RecurrentError) in
      try y.withUnsafeMutableBufferPointer { y throws(RecurrentError) in try process(x, into: y) }
    }
  }

  /// `process` on pointers, for memory of which no span can be made. x and y may be the same.
  public func process(
    _ x: UnsafeBufferPointer<Float>, into y: UnsafeMutableBufferPointer<Float>
  ) throws(RecurrentError) {
    try checkCount("y", y.count, is: x.count, "the count of x")
    let size = headWeight.count
    var done = 0
    while done < x.count {
      let steps = min(NeuralAmpStream.piece, x.count - done), piece = done..<done + steps
      let units = UnsafeMutableBufferPointer(rebasing: h[..<(steps * size)])
      try stream.process(UnsafeBufferPointer(rebasing: x[piece]), steps: steps, into: units)
      let sums = UnsafeMutableBufferPointer(rebasing: y[piece])
      sums.update(repeating: headBias)
      // The loop over units is the outer one: the additions of one step wait for each other, those of different steps
      // do not.
      for unit in 0..<size {
        let weight = headWeight[unit]
        for step in 0..<steps { sums[step] += weight * units[step * size + unit] }
      }
      done += steps
    }
  }
}
