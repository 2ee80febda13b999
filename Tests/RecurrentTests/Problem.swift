import Recurrent

/// Everything that a result depends on: the sizes and options of a layer and of its calls, and the instruction set. The
/// numbers depend on the seed only.
struct Problem<Scalar: RecurrentScalar>: Sendable {
  var cell: Cell
  var steps: Int  // T
  var batch: Int  // N
  var inputs: Int  // C
  var hidden: Int  // H
  var levels = 1
  var direction = Direction.forward
  var bias = true
  var weights = WeightFormat.full
  var dropout: Float = 0
  /// Of `record`; nil means the problem's seed.
  var recordDropout: RecordDropout?
  var flushesDenormals = false
  /// Whether x, dy and every second sequence's gradient of the final state hold denormal numbers.
  var hasDenormals = false
  /// [N]; nil means T for each.
  var lengths: [Int]?
  /// [T,N]; true where a new sequence begins.
  var resets: [Bool]?
  var xPlacing = Placing.timeMajor
  var yPlacing = Placing.timeMajor
  var threads = 1
  /// The active set if it is nil.
  var set: InstructionSet?
  var seed: UInt64 = 1

  init(
    _ cell: Cell, steps: Int = 1, batch: Int = 1, inputs: Int, hidden: Int, levels: Int = 1,
    direction: Direction = .forward, bias: Bool = true, dropout: Float = 0, lengths: [Int]? = nil, threads: Int = 1,
    set: InstructionSet? = nil, seed: UInt64 = 1
  ) {
    (self.cell, self.steps, self.batch, self.inputs, self.hidden) = (cell, steps, batch, inputs, hidden)
    (self.levels, self.direction, self.bias, self.dropout) = (levels, direction, bias, dropout)
    (self.lengths, self.threads, self.set, self.seed) = (lengths, threads, set, seed)
  }

  /// The number of features of y.
  var outputSize: Int { direction == .bidirectional ? 2 * hidden : hidden }
  /// The number of directions of a level.
  var directions: Int { direction == .forward || direction == .reverse ? 1 : 2 }
  /// Levels · directions: each part has a state.
  var parts: Int { levels * directions }

  /// A scratch with as many threads as the problem asks for.
  func scratch() throws -> Scratch<Scalar> { Scratch(threads: threads == 1 ? nil : try Threads(count: threads)) }

  var options: CallOptions {
    CallOptions(
      lengths: lengths, resets: resets, xLayout: layout(xPlacing, size: inputs),
      yLayout: layout(yPlacing, size: outputSize), dropout: recordDropout ?? .seed(seed))
  }
}

extension Problem: CustomStringConvertible {
  /// The name, with the instruction set.
  var description: String {
    "\(name), on \((set ?? (try? Processor.active)).map(\.rawValue) ?? "no instruction set")"
  }

  /// The cell, T, N, C, H, and every option that differs from its default.
  var name: String {
    var words = ["\(cell)", "T \(steps)", "N \(batch)", "C \(inputs)", "H \(hidden)"]
    if levels > 1 { words.append("\(levels) levels") }
    switch direction {
    case .forward: break
    case .reverse: words.append("reverse")
    case .bidirectional: words.append("bidirectional")
    case .bidirectionalSum: words.append("bidirectional, summed")
    }
    if !bias { words.append("no biases") }
    if weights != .full { words.append("weights in \(weights.rawValue)") }
    if dropout > 0 { words.append("dropout \(dropout)") }
    if lengths != nil { words.append("lengths") }
    if resets != nil { words.append("resets") }
    if xPlacing != .timeMajor { words.append("x \(xPlacing.rawValue)") }
    if yPlacing != .timeMajor { words.append("y \(yPlacing.rawValue)") }
    if hasDenormals { words.append("denormal numbers") }
    if flushesDenormals { words.append("flushed") }
    if threads > 1 { words.append("\(threads) threads") }
    if Scalar.self != Float.self { words.append("\(Scalar.self)") }
    return words.joined(separator: ", ")
  }
}

// MARK: - Places in memory

extension Problem {
  /// How the rows of x or y are placed in memory.
  enum Placing: String, Sendable, CaseIterable {
    case timeMajor = "time-major"
    case batchMajor = "batch-major"
    /// The distances are those of time-major rows, but are given as numbers.
    case stridedInTime = "time-major by strides"
    /// The distances are those of batch-major rows, but are given as numbers.
    case stridedInBatch = "batch-major by strides"
    /// Time-major, with gaps between the rows and between the steps.
    case gapsInTime = "time-major with gaps"
    /// Batch-major, with gaps between the rows and between the sequences.
    case gapsInBatch = "batch-major with gaps"
  }

  private func layout(_ placing: Placing, size: Int) -> Layout {
    switch placing {
    case .timeMajor: .timeMajor
    case .batchMajor: .batchMajor
    case .stridedInTime, .stridedInBatch, .gapsInTime, .gapsInBatch:
      .strided(step: distances(placing, size: size).step, sequence: distances(placing, size: size).sequence)
    }
  }

  private func distances(_ placing: Placing, size: Int) -> (step: Int, sequence: Int) {
    switch placing {
    case .timeMajor, .stridedInTime: (batch * size, size)
    case .batchMajor, .stridedInBatch: (size, steps * size)
    case .gapsInTime: (batch * (size + 2) + 3, size + 2)
    case .gapsInBatch: (size + 1, steps * (size + 1) + 5)
    }
  }

  /// Memory for [T,N,size] that holds one value everywhere.
  func buffer(_ placing: Placing, size: Int, of value: Scalar) -> [Scalar] {
    let (step, sequence) = distances(placing, size: size)
    return Array(repeating: value, count: (steps - 1) * step + (batch - 1) * sequence + size)
  }

  /// [T,N,size] as a call takes it. The gaps hold NaN, because nothing may read them.
  func placed(_ values: [Scalar], _ placing: Placing, size: Int) -> [Scalar] {
    guard placing != .timeMajor else { return values }
    var result = buffer(placing, size: size, of: .nan)
    forEachRow(placing, size: size) { row, place in
      result.replaceSubrange(place..<place + size, with: values[row..<row + size])
    }
    return result
  }

  /// [T,N,size] from a buffer, and the contents of its gaps.
  func gathered(_ buffer: [Scalar], _ placing: Placing, size: Int) -> (values: [Scalar], gaps: [Scalar]) {
    var values = [Scalar](repeating: 0, count: steps * batch * size), isGap = buffer.map { _ in true }
    forEachRow(placing, size: size) { row, place in
      values.replaceSubrange(row..<row + size, with: buffer[place..<place + size])
      for index in place..<place + size { isGap[index] = false }
    }
    return (values, buffer.indices.filter { isGap[$0] }.map { buffer[$0] })
  }

  private func forEachRow(_ placing: Placing, size: Int, _ body: (_ row: Int, _ place: Int) -> Void) {
    let (step, sequence) = distances(placing, size: size)
    for t in 0..<steps { for n in 0..<batch { body((t * batch + n) * size, t * step + n * sequence) } }
  }
}

// MARK: - Scalars

/// The scalar and the instruction set of a test; `all` has every pair that the library and this processor support.
struct Kernels: Sendable, CustomStringConvertible {
  let scalar: any RecurrentScalar.Type
  let set: InstructionSet

  /// A new scalar must be added here, and to the `@specialized` of the generic tests so that they run fast.
  static let all = Processor.setsOfFloats.flatMap { set in
    [Kernels(scalar: Float.self, set: set), Kernels(scalar: Double.self, set: set)]
  }

  var description: String { "\(scalar) on \(set.rawValue)" }
}
