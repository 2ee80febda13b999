import Recurrent
import RecurrentTraining

/// One thing to measure: a cell in a mode on a shape.
struct Case {
  enum Mode: String, CaseIterable {
    /// T steps without a record.
    case forward
    /// `record` and `backward` with every gradient.
    case training
    /// One step of T = 1 from a given state.
    case step
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

  /// Of the products alone: 2·G·H·(C + H)·N a step, backward twice that.
  var flops: Double {
    2.0 * Double(cell.gates * hidden) * Double(inputs + hidden) * Double(batch * steps)
      * (mode == .forward || mode == .step ? 1 : 3)
  }

  static let cells: [Cell] = [
    .lstm(linearOutput: false), .gru(resetBefore: false, zTakesNew: false), .rnn(relu: false),
  ]

  static let all: [Case] = cells.flatMap { cell in
    [
      Case(cell: cell, mode: .forward, steps: 50, batch: 64, inputs: 512, hidden: 512),
      Case(cell: cell, mode: .training, steps: 50, batch: 64, inputs: 512, hidden: 512),
      Case(cell: cell, mode: .forward, steps: 100, batch: 32, inputs: 256, hidden: 256),
      Case(cell: cell, mode: .training, steps: 100, batch: 32, inputs: 256, hidden: 256),
      Case(cell: cell, mode: .forward, steps: 25, batch: 128, inputs: 1024, hidden: 1024),
      Case(cell: cell, mode: .training, steps: 25, batch: 128, inputs: 1024, hidden: 1024),
      Case(cell: cell, mode: .forward, steps: 10, batch: 64, inputs: 2048, hidden: 2048),
      Case(cell: cell, mode: .forward, steps: 100, batch: 1, inputs: 64, hidden: 64),
    ]
      + [16, 32, 64, 128, 512].map { Case(cell: cell, mode: .step, steps: 1, batch: 1, inputs: $0, hidden: $0) } + [
        Case(cell: cell, mode: .step, steps: 1, batch: 64, inputs: 512, hidden: 512),
        Case(cell: cell, mode: .classifier, steps: 100, batch: 32, inputs: 32, hidden: 5),
      ]
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
  private var dState: State<Float>
  private var gradients: Parameters<Float>
  private let record = Record<Float>()
  private let scratch: Scratch<Float>
  private let stream: RecurrentStream<Float>
  private var classifier: (trainer: ClassifierTrainer, symbols: [Int], labels: [Float])?

  init(_ shape: Case, threads: Threads?) throws {
    self.shape = shape
    scratch = Scratch(threads: threads)
    layer = try Layer(
      shape.cell, inputSize: shape.inputs, hiddenSize: shape.hidden, initialization: Initialization(seed: 1))
    stream = try layer.stream(batchSize: shape.batch)
    let rows = shape.steps * shape.batch
    x = .allocate(capacity: rows * shape.inputs)
    dx = .allocate(capacity: rows * shape.inputs)
    y = .allocate(capacity: rows * shape.hidden)
    dy = .allocate(capacity: rows * shape.hidden)
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
    dState = state
    gradients = layer.zeroGradients()
  }

  deinit { for buffer in [x, dx, y, dy] { buffer.deallocate() } }

  func run(_ repetitions: Int) throws {
    for _ in 0..<repetitions {
      switch shape.mode {
      case .step:
        try stream.process(UnsafeBufferPointer(x), steps: shape.steps, into: y)
      case .forward:
        try layer.forward(
          UnsafeBufferPointer(x), steps: shape.steps, batchSize: shape.batch, state: &state, into: y, scratch: scratch)
      case .classifier:
        guard let classifier else { return }
        _ = try classifier.trainer.update(
          classifier.symbols, labels: classifier.labels, steps: shape.steps, batchSize: shape.batch)
      case .training:
        try layer.record(
          UnsafeBufferPointer(x), steps: shape.steps, batchSize: shape.batch, state: &state, into: record,
          scratch: scratch)
        try layer.backward(
          consuming: record, x: UnsafeBufferPointer(x), dy: UnsafeBufferPointer(dy), dState: &dState, dx: dx,
          into: &gradients, scratch: scratch)
      }
    }
  }
}
