import Recurrent
import RecurrentTraining

/// One thing to measure: a cell in a mode on a shape.
struct Case {
  enum Mode: String, CaseIterable {
    /// T steps without a record.
    case forward
    /// `record` and `backward` with every gradient.
    case training
    /// One step of a stream, or of T = 1 from a given state.
    case step
    /// The kernels of such a step of one sequence, called directly.
    case kernels
    /// `forward` and `training` of a layer that runs in both directions.
    case bidirectional
    case bidirectionalTraining = "bidirectional-training"
    /// `forward` and `training` of sequences of 1 to T steps, evenly; their rate is that of the steps that exist.
    case lengths
    case lengthsTraining = "lengths-training"
    /// A step of a stream whose state has decayed to denormal numbers; the same flushed to zero.
    case decay
    case decayFlushed = "decay-flushed"
    /// One update of a whole classifier: embedding of 10,000 symbols, the cell on T steps, a dense unit with σ on its
    /// last output, binary cross-entropy, Adam over every parameter.
    case classifier
  }

  static let symbols = 10_000

  let cell: Cell
  let mode: Mode
  let steps: Int
  let batch: Int
  let inputs: Int
  let hidden: Int

  var name: String { "\(cell.name)/\(mode.rawValue)/n\(batch)_t\(steps)_c\(inputs)_h\(hidden)" }

  /// Whether other libraries have something like it.
  var hasPeers: Bool {
    ["lstm", "gru", "rnn"].contains(cell.name) && [.forward, .training, .step, .classifier].contains(mode)
  }
  var isBidirectional: Bool { mode == .bidirectional || mode == .bidirectionalTraining }
  /// [N] where not all sequences have T steps: spread evenly, in no order.
  var lengths: [Int]? {
    guard mode == .lengths || mode == .lengthsTraining else { return nil }
    return (0..<batch).map { 1 + ($0 * 37 % batch) * (steps - 1) / max(1, batch - 1) }
  }

  /// Of the products only: 2·G·H·(C + H) a row, backward twice that.
  var flops: Double {
    let rows = lengths?.reduce(0, +) ?? batch * steps
    let isTraining = [.training, .lengthsTraining, .bidirectionalTraining, .classifier].contains(mode)
    let depth = inputs + (cell.multipliesByMatrix ? hidden : 0)
    return 2.0 * Double(cell.gates * hidden) * Double(depth) * Double(rows) * (isTraining ? 3 : 1)
      * (isBidirectional ? 2 : 1)
  }

  static let cells: [Cell] = [
    .lstm(), .gru(), .rnn(), .indRNN(),
  ]

  static let all: [Case] = cells.flatMap { cell -> [Case] in
    // T, N, C = H
    func cases(_ modes: [Mode], _ shapes: (Int, Int, Int)...) -> [Case] {
      shapes.flatMap { steps, batch, size in
        modes.map { Case(cell: cell, mode: $0, steps: steps, batch: batch, inputs: size, hidden: size) }
      }
    }
    var all = cases([.forward, .training], (50, 64, 512), (100, 32, 256), (25, 128, 1024))
    all += cases([.forward], (10, 64, 2048), (100, 1, 64))
    all += cases([.step], (1, 1, 16), (1, 1, 32), (1, 1, 64), (1, 1, 128), (1, 1, 512), (1, 64, 512))
    all += cases([.kernels], (1, 1, 16), (1, 1, 32), (1, 1, 64))
    all.append(Case(cell: cell, mode: .classifier, steps: 100, batch: 32, inputs: 32, hidden: 5))
    all += cases([.bidirectional, .bidirectionalTraining], (50, 64, 256))
    all += cases([.lengths, .lengthsTraining], (100, 64, 256), (100, 64, 512))
    return all + cases([.decay, .decayFlushed], (1, 1, 64))
  }
}

extension Case {
  /// The usual cases, and those of the grid that are not among them.
  static func all(withGrid: Bool) -> [Case] {
    guard withGrid else { return all }
    let names = Set(all.map(\.name))
    return all + grid.filter { !names.contains($0.name) }
  }

  /// N, H and cells in every combination, C = H.
  private static let grid: [Case] = cells.flatMap { cell in
    [Mode.forward, .training].flatMap { mode in
      [1, 4, 16, 64].flatMap { batch in
        [8, 16, 32, 64, 128, 256, 512, 1024].map { hidden in
          Case(cell: cell, mode: mode, steps: hidden < 512 ? 100 : 25, batch: batch, inputs: hidden, hidden: hidden)
        }
      }
    }
  }
}

/// A case with its layer and buffers, ready to run again and again without allocating.
final class Runner {
  private let shape: Case
  private let layer: Layer<Float>
  private let x: UnsafeMutableBufferPointer<Float>
  private let dx: UnsafeMutableBufferPointer<Float>
  private let y: UnsafeMutableBufferPointer<Float>
  private let dy: UnsafeMutableBufferPointer<Float>
  private var state: State<Float>
  private var dState: StateGradient<Float>
  private var gradients: Parameters<Float>
  private let record = Record<Float>()
  private let scratch: Scratch<Float>
  private let stream: RecurrentStream<Float>?
  private let kernels: KernelStep?
  private let options: CallOptions
  private var classifier: (trainer: ClassifierTrainer, symbols: [Int], labels: [Float])?

  init(_ shape: Case, threads: Threads?) throws {
    self.shape = shape
    scratch = Scratch(threads: threads)
    var layer = try Layer<Float>(
      shape.cell, inputSize: shape.inputs, hiddenSize: shape.hidden,
      direction: shape.isBidirectional ? .bidirectional : .forward, flushesDenormals: shape.mode == .decayFlushed,
      initialization: Initialization(seed: 1))
    if shape.mode == .decay || shape.mode == .decayFlushed { layer = try Runner.decaying(layer) }
    self.layer = layer
    options = CallOptions(lengths: shape.lengths)
    // A stream runs on one thread.
    let usesThreads = (threads?.count ?? 1) > 1
    stream = shape.isBidirectional || usesThreads ? nil : try layer.stream(batchSize: shape.batch)
    kernels = shape.mode == .kernels ? try KernelStep(layer) : nil
    let rows = shape.steps * shape.batch
    x = .allocate(capacity: rows * shape.inputs)
    dx = .allocate(capacity: rows * shape.inputs)
    y = .allocate(capacity: rows * layer.outputSize)
    dy = .allocate(capacity: rows * layer.outputSize)
    var random = SeededGenerator(seed: 2)
    for buffer in [x, dx, y, dy] {
      buffer.initialize(repeating: 0)
      for index in buffer.indices { buffer[index] = Float.random(in: -1...1, using: &random) }
    }
    if shape.mode == .classifier {
      let model = try SequenceClassifier(
        shape.cell, symbols: Case.symbols, embeddingSize: shape.inputs, hiddenSize: shape.hidden)
      classifier = (
        ClassifierTrainer(model), (0..<rows).map { _ in Int.random(in: 0..<Case.symbols, using: &random) },
        (0..<shape.batch).map { _ in Float(Int.random(in: 0...1, using: &random)) }
      )
    }
    state = try layer.zeroState(batchSize: shape.batch)
    dState = try layer.zeroStateGradient(batchSize: shape.batch)
    if shape.mode == .decay || shape.mode == .decayFlushed {
      let least = [Float](repeating: 4 * .leastNonzeroMagnitude, count: state.h.count)
      try stream?.setState(State(h: least, c: state.c.isEmpty ? [] : least))
    }
    gradients = layer.zeroGradients()
  }

  deinit { for buffer in [x, dx, y, dy] { buffer.deallocate() } }

  /// The layer with parameters of which nothing but a tenth of the state is lost a step, so that it decays to the least
  /// denormal numbers and stays there: their rounding is larger than a tenth.
  private static func decaying(_ layer: Layer<Float>) throws -> Layer<Float> {
    var layer = layer
    var parameters = layer.zeroGradients()
    let size = layer.hiddenSize
    func bias(gate: Int) throws {
      var values = [Float](repeating: 0, count: layer.cell.gates * size)
      for unit in 0..<size { values[gate * size + unit] = 2.2 }  // σ(2.2) = 0.9
      try parameters.set("bias_ih_l0", to: values)
    }
    switch layer.cell {
    case .lstm, .gru: try bias(gate: 1)
    case .indRNN: try parameters.set("weight_hh_l0", to: Array(repeating: 0.9, count: size))
    case .rnn:
      var values = [Float](repeating: 0, count: size * size)
      for unit in 0..<size { values[unit * size + unit] = 0.9 }
      try parameters.set("weight_hh_l0", to: values)
    }
    try layer.setParameters(parameters)
    return layer
  }

  func run(_ repetitions: Int) throws {
    for _ in 0..<repetitions {
      switch shape.mode {
      case .step, .decay, .decayFlushed:
        // Unwrapped in place: a name for it would count a reference, a tenth of the smallest step.
        if stream == nil { try forward() }
        try stream?.process(UnsafeBufferPointer(x), steps: shape.steps, into: y)
      case .kernels: kernels?.run()
      case .forward, .lengths, .bidirectional:
        try forward()
      case .classifier:
        guard let classifier else { return }
        _ = try classifier.trainer.update(
          classifier.symbols, labels: classifier.labels, steps: shape.steps, batchSize: shape.batch)
      case .training, .lengthsTraining, .bidirectionalTraining:
        try layer.record(
          UnsafeBufferPointer(x), steps: shape.steps, batchSize: shape.batch, state: &state, into: record,
          options: options, scratch: scratch)
        try layer.backward(
          consuming: record, x: UnsafeBufferPointer(x), dy: UnsafeBufferPointer(dy), dState: &dState, dx: dx,
          into: &gradients, scratch: scratch)
      }
    }
  }

  private func forward() throws {
    try layer.forward(
      UnsafeBufferPointer(x), steps: shape.steps, batchSize: shape.batch, state: &state, into: y, options: options,
      scratch: scratch)
  }
}
