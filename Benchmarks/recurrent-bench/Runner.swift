import Recurrent
import RecurrentTraining
import ToolSupport

extension Case {
  /// Makes the case ready; the body runs it as often as it is told.
  func prepare(_ threads: Threads?) throws -> (_ repetitions: Int) throws -> Void {
    if let once = try modelUpdate(threads) ?? beamSearch() ?? attentionCall(threads) {
      return { repetitions in
        for _ in 0..<repetitions { try once() }
      }
    }
    guard let cell else {
      throw ToolError("\(name) has no cell, expected one: only attentions in forward and training have none")
    }
    return switch scalar {
    case .f32: try Runner<Float>(self, cell, threads: threads).run
    case .f64: try Runner<Double>(self, cell, threads: threads).run
    }
  }
}

/// A case of a layer with its buffers, ready to run again and again without allocating.
final class Runner<Scalar: Element> {
  private let shape: Case
  private let layer: Layer<Scalar>
  private let x: UnsafeMutableBufferPointer<Scalar>
  private let dx: UnsafeMutableBufferPointer<Scalar>
  private let y: UnsafeMutableBufferPointer<Scalar>
  private let dy: UnsafeMutableBufferPointer<Scalar>
  private var state: State<Scalar>
  private var dState: StateGradient<Scalar>
  private var gradients: Parameters<Scalar>
  private let record = Record<Scalar>()
  private let scratch: Scratch<Scalar>
  private let stream: RecurrentStream<Scalar>?
  private let kernels: KernelStep<Scalar>?
  private let options: CallOptions

  init(_ shape: Case, _ cell: Cell, threads: Threads?) throws {
    self.shape = shape
    scratch = Scratch(threads: threads)
    var layer = try Layer<Scalar>(
      cell, inputSize: shape.inputs, hiddenSize: shape.hidden,
      direction: shape.isBidirectional ? .bidirectional : .forward, weights: shape.weights,
      flushesDenormals: shape.mode == .decayFlushed,
      initialization: Initialization(seed: 1))
    if shape.mode == .decay || shape.mode == .decayFlushed { layer = try Runner.decaying(layer) }
    if shape.secondCache != Processor.secondCache { layer = try layer.cut(forSecondCache: shape.secondCache) }
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
      for index in buffer.indices { buffer[index] = Scalar(Float.random(in: -1...1, using: &random)) }
    }
    state = try layer.zeroState(batchSize: shape.batch)
    dState = try layer.zeroStateGradient(batchSize: shape.batch)
    if shape.mode == .decay || shape.mode == .decayFlushed {
      let least = [Scalar](repeating: 4 * .leastNonzeroMagnitude, count: state.h.count)
      try stream?.setState(State(h: least, c: state.c.isEmpty ? [] : least))
    }
    gradients = layer.zeroGradients()
  }

  deinit { for buffer in [x, dx, y, dy] { buffer.deallocate() } }

  /// The layer with parameters of which nothing but a tenth of the state is lost a step, so that it decays to the least
  /// denormal numbers and stays there: their rounding is larger than a tenth.
  private static func decaying(_ layer: Layer<Scalar>) throws -> Layer<Scalar> {
    var layer = layer
    var parameters = layer.zeroGradients()
    let size = layer.hiddenSize
    func bias(gate: Int) throws {
      var values = [Scalar](repeating: 0, count: layer.cell.gates * size)
      for unit in 0..<size { values[gate * size + unit] = 2.2 }  // σ(2.2) = 0.9
      try parameters.set("bias_ih_l0", to: values)
    }
    switch layer.cell {
    case .lstm, .gru: try bias(gate: 1)
    case .indRNN: try parameters.set("weight_hh_l0", to: Array(repeating: 0.9, count: size))
    case .rnn:
      var values = [Scalar](repeating: 0, count: size * size)
      for unit in 0..<size { values[unit * size + unit] = 0.9 }
      try parameters.set("weight_hh_l0", to: values)
    }
    try layer.setParameters(parameters)
    return layer
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
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
      case .classifier, .pooledClassifier, .text, .brackets, .adding, .forecast, .beam:
        throw ToolError("\(shape.name) is not of a layer alone")
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
