import Recurrent

/// A layer's sizes and options and those of its calls, with numbers that follow from a seed: one set of arguments for
/// every call that the library has.
///
/// T steps, N sequences in the batch, C inputs, H hidden units.
struct Problem<Scalar: RecurrentScalar>: Sendable {
  var cell: Cell
  var steps: Int  // T
  var batch: Int  // N
  var inputs: Int  // C
  var hidden: Int  // H
  var levels = 1
  var direction = Direction.forward
  var bias = true
  var dropout: Float = 0
  var flushesDenormals = false
  /// Whether x and dy of every second sequence are denormal numbers.
  var hasDenormals = false
  /// [N], T by default.
  var lengths: [Int]?
  /// [T,N], true where a new sequence begins.
  var resets: [Bool]?
  var xPlacing = Placing.timeMajor
  var yPlacing = Placing.timeMajor
  var threads = 1
  var seed: UInt64 = 1

  /// How the rows of x or y lie in memory.
  enum Placing: String, Sendable, CaseIterable {
    case timeMajor = "time-major"
    case batchMajor = "batch-major"
    /// Time-major, with gaps between the rows and between the steps.
    case gapsInTime = "time-major with gaps"
    /// Batch-major, with gaps between the rows and between the sequences.
    case gapsInBatch = "batch-major with gaps"
  }

  /// What the numbers are for: each has its own stream of random numbers, so that they do not depend on each other.
  enum Purpose: UInt64 {
    case parameters, x, dy, h, c, dh, dc, gradients
  }

  // MARK: - Sizes

  /// Features of y.
  var outputSize: Int { direction == .bidirectional ? 2 * hidden : hidden }
  /// Directions · levels.
  var parts: Int { levels * (direction == .forward || direction == .reverse ? 1 : 2) }
  var hasCellState: Bool { if case .lstm = cell { true } else { false } }
  private var stateCount: Int { parts * batch * hidden }

  // MARK: - Numbers

  /// Uniform in [-bound, bound), in steps of bound/2²³. No function of the C library is called, so that the numbers are
  /// the same on any machine.
  func numbers(_ purpose: Purpose, _ count: Int, bound: Scalar = 1) -> [Scalar] {
    var random = SeededGenerator(seed: seed &* 64 &+ purpose.rawValue)
    let unit = bound / Scalar(1 << 23)
    return (0..<count).map { _ in Scalar(Int64(bitPattern: random.next()) >> 40) * unit }
  }

  /// [T,N,C]
  var x: [Scalar] { withDenormals(numbers(.x, steps * batch * inputs), size: inputs) }
  /// [T,N,outputSize]
  var dy: [Scalar] { withDenormals(numbers(.dy, steps * batch * outputSize), size: outputSize) }
  /// [L·D,N,H]
  var initial: State<Scalar> {
    State(h: numbers(.h, stateCount), c: hasCellState ? numbers(.c, stateCount) : [])
  }
  /// [L·D,N,H]
  var dFinal: StateGradient<Scalar> {
    StateGradient(dh: numbers(.dh, stateCount), dc: hasCellState ? numbers(.dc, stateCount) : [])
  }

  private func withDenormals(_ values: [Scalar], size: Int) -> [Scalar] {
    guard hasDenormals else { return values }
    return values.enumerated().map { $1 * ($0 / size % batch % 2 == 0 ? 1 : Scalar.leastNormalMagnitude) }
  }

  // MARK: - Arguments

  func layer(on set: InstructionSet? = nil) throws -> Layer<Scalar> {
    var layer = try Layer<Scalar>(
      cell, inputSize: inputs, hiddenSize: hidden, layerCount: levels, direction: direction, dropout: dropout,
      bias: bias, flushesDenormals: flushesDenormals, initialization: Initialization(seed: seed), instructionSet: set)
    let values = numbers(.parameters, layer.parameters.values.count, bound: 1 / Scalar(hidden).squareRoot())
    var start = 0
    layer.updateEachParameter { _, parameter in
      _ = parameter.update(fromContentsOf: values[start..<start + parameter.count])
      start += parameter.count
    }
    return layer
  }

  var options: CallOptions {
    CallOptions(
      lengths: lengths, resets: resets, xLayout: layout(xPlacing, size: inputs),
      yLayout: layout(yPlacing, size: outputSize), dropout: .seed(seed))
  }

  private func layout(_ placing: Placing, size: Int) -> Layout {
    switch placing {
    case .timeMajor: .timeMajor
    case .batchMajor: .batchMajor
    case .gapsInTime, .gapsInBatch:
      .strided(step: distances(placing, size: size).step, sequence: distances(placing, size: size).sequence)
    }
  }

  private func distances(_ placing: Placing, size: Int) -> (step: Int, sequence: Int) {
    switch placing {
    case .timeMajor: (batch * size, size)
    case .batchMajor: (size, steps * size)
    case .gapsInTime: (batch * (size + 2) + 3, size + 2)
    case .gapsInBatch: (size + 1, steps * (size + 1) + 5)
    }
  }

  /// Memory for [T,N,size] that holds one value everywhere.
  func buffer(_ placing: Placing, size: Int, of value: Scalar) -> [Scalar] {
    let (step, sequence) = distances(placing, size: size)
    return Array(repeating: value, count: (steps - 1) * step + (batch - 1) * sequence + size)
  }

  /// [T,N,size] as a call takes it: NaN in gaps and past the lengths, where nothing may be read.
  func placed(_ values: [Scalar], _ placing: Placing, size: Int) -> [Scalar] {
    var result = buffer(placing, size: size, of: .nan)
    let (step, sequence) = distances(placing, size: size)
    for n in 0..<batch {
      for t in 0..<(lengths?[n] ?? steps) {
        let from = (t * batch + n) * size, to = t * step + n * sequence
        for k in 0..<size { result[to + k] = values[from + k] }
      }
    }
    return result
  }
}

extension Problem: CustomStringConvertible {
  /// The cell, T, N, C and H, and every option that is not the default.
  var description: String {
    var words = ["\(cell)", "T \(steps)", "N \(batch)", "C \(inputs)", "H \(hidden)"]
    if levels > 1 { words.append("\(levels) levels") }
    switch direction {
    case .forward: break
    case .reverse: words.append("reverse")
    case .bidirectional: words.append("bidirectional")
    case .bidirectionalSum: words.append("bidirectional, summed")
    }
    if !bias { words.append("no biases") }
    if dropout > 0 { words.append("dropout \(dropout)") }
    if lengths != nil { words.append("lengths") }
    if resets != nil { words.append("resets") }
    if xPlacing != .timeMajor { words.append("x \(xPlacing.rawValue)") }
    if yPlacing != .timeMajor { words.append("y \(yPlacing.rawValue)") }
    if hasDenormals { words.append("denormal numbers") }
    if flushesDenormals { words.append("flushed") }
    if threads > 1 { words.append("\(threads) threads") }
    return words.joined(separator: ", ")
  }
}

// MARK: - Results

extension Problem {
  /// What all calls of a problem give: buffers as the calls leave them, gaps included.
  struct Results {
    /// y and the final h and c of `forward`; those of `record`; every y of a stream and of its fork, and their states.
    var forward: [[Scalar]] = []
    /// dx, dh0, dc0
    var inputGradients: [[Scalar]] = []
    /// In the parameters' order.
    var parameterGradients: [Scalar] = []
  }

  /// Runs forward, record, backward and, through a forward layer, a stream.
  func results(on set: InstructionSet? = nil, scratch: Scratch<Scalar>) throws -> Results {
    let layer = try layer(on: set), record = Record<Scalar>(), options = options
    var results = Results()

    let x = placed(x, xPlacing, size: inputs), dy = placed(dy, yPlacing, size: outputSize)
    var state = initial, recorded = initial, dState = dFinal
    // A value that no y has, so that a write to a gap is seen.
    var y = buffer(yPlacing, size: outputSize, of: 7), dx = buffer(xPlacing, size: inputs, of: 7)
    // Gradients are added to what is there.
    var gradients = layer.zeroGradients()
    if seed % 4 == 0 {
      gradients.withMutableValues { _ = $0.update(fromContentsOf: numbers(.gradients, $0.count)) }
    }
    try x.withUnsafeBufferPointer { x in
      try y.withUnsafeMutableBufferPointer { y in
        try layer.forward(
          x, steps: steps, batchSize: batch, state: &state, into: y, options: options, scratch: scratch)
      }
      try layer.record(
        x, steps: steps, batchSize: batch, state: &recorded, into: record, options: options, scratch: scratch)
      let recordedY = record.withY { Array($0) }
      results.forward = [y, state.h, state.c, recordedY, recorded.h, recorded.c]
      try dy.withUnsafeBufferPointer { dy in
        try dx.withUnsafeMutableBufferPointer { dx in
          try layer.backward(
            consuming: record, x: x, dy: dy, dState: &dState, dx: dx, into: &gradients, scratch: scratch)
        }
      }
    }
    if direction == .forward { results.forward += try streamed(layer) }
    results.inputGradients = [dx, dState.dh, dState.dc]
    results.parameterGradients = gradients.values
    return results
  }

  /// A stream's life: the whole of x at once, single steps and pieces of it, an empty slot, a fork, a slot that starts
  /// again.
  private func streamed(_ layer: Layer<Scalar>) throws -> [[Scalar]] {
    let stream = try layer.stream(batchSize: batch), x = x, row = batch * inputs
    var results: [[Scalar]] = [], next = 0
    func process(_ stream: RecurrentStream<Scalar>, _ count: Int) throws {
      var frames: [Scalar] = []
      for step in next..<next + count { frames += x[step % steps * row..<(step % steps + 1) * row] }
      next += count
      var y = [Scalar](repeating: 7, count: count * batch * hidden)
      var span = y.mutableSpan
      try stream.process(frames.span, steps: count, into: &span)
      results.append(y)
    }
    try stream.setState(initial)
    try process(stream, steps)
    try process(stream, 1)
    try stream.leave(batch / 2)
    try process(stream, 1)
    let fork = stream.fork()
    try stream.join(batch / 2)
    try process(stream, 2)
    try stream.reset(0)
    try process(stream, 1)
    try process(fork, 1)
    for stream in [stream, fork] { results += [stream.state.h, stream.state.c] }
    return results
  }
}
