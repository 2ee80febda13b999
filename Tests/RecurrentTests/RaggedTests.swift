import Recurrent
import Testing

/// Lengths and resets: a sequence of a batch is what it is alone, piece by piece.
@Suite struct RaggedTests {
  private struct Batch {
    let layer: Layer<Float>
    let steps: Int, batch: Int
    let x: Sequences<Float>, dy: Sequences<Float>
    let initial: State<Float>, dFinal: StateGradient<Float>
    let options: CallOptions

    /// Between the ends of sequences, x and dy are NaN.
    init(
      _ cell: Cell, _ direction: Direction, steps: Int, lengths: [Int], resets: Bool, inputs: Int, hidden: Int,
      levels: Int, set: InstructionSet
    ) throws {
      layer = try Layer(
        cell, inputSize: inputs, hiddenSize: hidden, layerCount: levels, direction: direction,
        initialization: Initialization(seed: 8), instructionSet: set)
      self.steps = steps
      batch = lengths.count
      var random = SeededGenerator(seed: 9)
      func draw(_ count: Int) -> [Float] { (0..<count).map { _ in Float.random(in: -1...1, using: &random) } }
      func padded(_ size: Int) throws -> Sequences<Float> {
        var values = draw(steps * lengths.count * size)
        for index in values.indices where index / (lengths.count * size) >= lengths[index / size % lengths.count] {
          values[index] = .nan
        }
        return try Sequences(values, steps: steps, batchSize: lengths.count, size: size)
      }
      x = try padded(inputs)
      dy = try padded(layer.outputSize)
      let states = layer.stateCount * batch * hidden
      initial = State(h: draw(states), c: cell.hasCellState ? draw(states) : [])
      dFinal = StateGradient(dh: draw(states), dc: cell.hasCellState ? draw(states) : [])
      options = CallOptions(
        lengths: lengths,
        resets: resets ? (0..<steps * lengths.count).map { _ in Int.random(in: 0..<4, using: &random) == 0 } : nil)
    }

    func state(_ all: State<Float>, of sequence: Int) -> State<Float> {
      func part(_ values: [Float]) -> [Float] {
        var rows: [Float] = []
        for part in 0..<(values.isEmpty ? 0 : layer.stateCount) {
          let first = (part * batch + sequence) * layer.hiddenSize
          rows += values[first..<first + layer.hiddenSize]
        }
        return rows
      }
      return State(h: part(all.h), c: part(all.c))
    }

    func rows(_ sequences: Sequences<Float>, of sequence: Int, _ steps: Range<Int>) throws -> Sequences<Float> {
      try Sequences(
        steps.flatMap { Array(sequences[$0, sequence]) }, steps: steps.count, batchSize: 1, size: sequences.size)
    }
  }

  private static let shapes: [(steps: Int, lengths: [Int], inputs: Int, hidden: Int, levels: Int)] = [
    (6, [3, 6, 0, 1, 5], 4, 7, 1), (9, [2, 9, 9, 4, 0, 7, 7, 1, 3, 8, 9, 5, 6, 2], 3, 33, 2),
    (5, [1, 1, 0], 2, 16, 1), (4, [0, 0], 2, 5, 2), (7, [5, 2, 7], 150, 140, 1), (3, [3], 3, 8, 2),
  ]

  /// Alone, one call for each length: y, states and gradients have the same bits; parameters' gradients add up.
  @Test(arguments: Cell.all, Direction.allCases)
  func sequencesOfAnyLengthAreAsAlone(cell: Cell, direction: Direction) throws {
    for set in Processor.available {
      for shape in RaggedTests.shapes {
        let batch = try Batch(
          cell, direction, steps: shape.steps, lengths: shape.lengths, resets: false, inputs: shape.inputs,
          hidden: shape.hidden, levels: shape.levels, set: set)
        let name = "\(cell), \(direction), lengths \(shape.lengths), H \(shape.hidden), \(set)"
        try compare(batch, name) { sequence in [0..<shape.lengths[sequence]] }
      }
    }
  }

  /// With resets: each piece between two of them alone. Levels see the same pieces, so one level shows all of it.
  @Test(arguments: Cell.all, [Direction.forward, .reverse])
  func resetsCutSequences(cell: Cell, direction: Direction) throws {
    for set in Processor.available {
      for (withLengths, shape) in RaggedTests.shapes.enumerated() {
        let lengths = withLengths % 2 == 0 ? shape.lengths : shape.lengths.map { _ in shape.steps }
        let batch = try Batch(
          cell, direction, steps: shape.steps, lengths: lengths, resets: true, inputs: shape.inputs,
          hidden: shape.hidden, levels: 1, set: set)
        let resets = try #require(batch.options.resets)
        let name = "\(cell), \(direction), lengths \(lengths), H \(shape.hidden), \(set)"
        try compare(batch, name) { sequence in
          var pieces: [Range<Int>] = [], start = 0
          // A reset before the first step cuts the initial state off; in reverse nothing comes from there.
          for t in 0..<lengths[sequence] where resets[t * batch.batch + sequence] && (t > 0 || direction == .forward) {
            pieces.append(start..<t)
            start = t
          }
          return pieces + [start..<lengths[sequence]]
        }
      }
    }
  }

  private func compare(_ batch: Batch, _ name: String, pieces: (_ sequence: Int) -> [Range<Int>]) throws {
    let layer = batch.layer
    let forward = try layer.forward(batch.x, initial: batch.initial, options: batch.options)
    let (record, output) = try layer.record(batch.x, initial: batch.initial, options: batch.options)
    #expect(bits(forward.y.values) == bits(output.y.values) && forward.final == output.final, "\(name)")
    var gradients = layer.zeroGradients(), sums = layer.zeroGradients()
    let back = try layer.backward(
      consuming: record, x: batch.x, dy: batch.dy, dFinal: batch.dFinal, into: &gradients)
    let isReverse = layer.direction == .reverse
    for sequence in 0..<batch.batch {
      var y: [Float] = [], dx: [Float] = []
      // The walk starts from the initial state at its first piece and leaves the final one at its last.
      let all = pieces(sequence)
      let first = isReverse ? all.count - 1 : 0, last = isReverse ? 0 : all.count - 1
      let zero = try layer.zeroState(batchSize: 1)
      var final = zero, dInitial = zero
      for (index, piece) in all.enumerated() {
        let initial = index == first ? batch.state(batch.initial, of: sequence) : zero
        let dFinal = index == last ? batch.state(State(batch.dFinal), of: sequence) : zero
        if piece.isEmpty {
          if index == last { final = initial }
          if index == first { dInitial = dFinal }
          continue
        }
        let x = try batch.rows(batch.x, of: sequence, piece), dy = try batch.rows(batch.dy, of: sequence, piece)
        let (record, output) = try layer.record(x, initial: initial)
        let back = try layer.backward(consuming: record, x: x, dy: dy, dFinal: StateGradient(dFinal), into: &sums)
        y += output.y.values
        dx += back.dx.values
        if index == last { final = output.final }
        if index == first { dInitial = State(back.dInitial) }
      }
      let padding = batch.steps - (all.last?.upperBound ?? 0)
      y += Array(repeating: 0, count: padding * layer.outputSize)
      dx += Array(repeating: 0, count: padding * layer.inputSize)
      func expect(_ what: String, _ ours: [Float], _ alone: [Float]) {
        #expect(bits(ours) == bits(alone), "\(what) of sequence \(sequence), \(name)")
      }
      expect("y", try batch.rows(output.y, of: sequence, 0..<batch.steps).values, y)
      expect("dx", try batch.rows(back.dx, of: sequence, 0..<batch.steps).values, dx)
      let ours = batch.state(output.final, of: sequence), ourGradient = batch.state(State(back.dInitial), of: sequence)
      expect("the final state", ours.h + ours.c, final.h + final.c)
      expect("the initial state's gradient", ourGradient.h + ourGradient.c, dInitial.h + dInitial.c)
    }
    #expect(
      relativeError(gradients.values, sums.values.map(Double.init)) < 1e-5, "the parameters' gradients, \(name)")
  }

  @Test(arguments: Cell.all)
  func raggedBatchesAreTheSameOnThreads(cell: Cell) throws {
    let batch = try Batch(
      cell, .bidirectional, steps: 9, lengths: (0..<40).map { $0 * 7 % 10 }, resets: true, inputs: 30, hidden: 130,
      levels: 2, set: try Processor.active)
    var results: [[UInt32]] = []
    for count in [1, 2, 3] {
      let scratch = Scratch<Float>(threads: try Threads(count: count))
      let (record, output) = try batch.layer.record(
        batch.x, initial: batch.initial, options: batch.options, scratch: scratch)
      var gradients = batch.layer.zeroGradients()
      let back = try batch.layer.backward(
        consuming: record, x: batch.x, dy: batch.dy, dFinal: batch.dFinal, into: &gradients, scratch: scratch)
      results.append(bits(output.y.values + output.final.h + back.dx.values + back.dInitial.dh + gradients.values))
    }
    #expect(results[0] == results[1] && results[0] == results[2], "\(cell)")
  }

  // MARK: - Layouts

  /// Batch-major and strided buffers give what time-major ones do, and nothing between their rows is touched.
  @Test(arguments: Cell.all, Direction.allCases)
  func layoutsAreOnlyPlaces(cell: Cell, direction: Direction) throws {
    for lengths in [nil, [4, 0, 6, 2, 5]] {
      let batch = try Batch(
        cell, direction, steps: 6, lengths: lengths ?? Array(repeating: 6, count: 5), resets: lengths != nil, inputs: 3,
        hidden: 9, levels: 2, set: try Processor.active)
      let layer = batch.layer, outputs = layer.outputSize
      let plain = try results(
        batch, .timeMajor, .timeMajor, x: batch.x.values, dy: batch.dy.values, xCount: 6 * 5 * 3,
        yCount: 6 * 5 * outputs)
      for (xLayout, yLayout) in [
        (Layout.batchMajor, Layout.batchMajor), (.strided(step: 40, sequence: 7), .timeMajor),
        (.strided(step: 5, sequence: 33), .strided(step: 5 * outputs + 9, sequence: outputs + 1)),
        (.strided(step: 15, sequence: 3), .strided(step: outputs, sequence: 6 * outputs)),
      ] {
        let x = try Distances("x", xLayout, steps: 6, batchSize: 5, size: 3)
        let y = try Distances("y", yLayout, steps: 6, batchSize: 5, size: outputs)
        let moved = try results(
          batch, xLayout, yLayout, x: spread(batch.x, x), dy: spread(batch.dy, y), xCount: x.extent, yCount: y.extent)
        let name = "\(cell), \(direction), \(xLayout), \(yLayout), lengths \(lengths ?? [])"
        #expect(bits(gather(moved.y, y, like: batch.dy)) == bits(plain.y), "y of \(name)")
        #expect(bits(gather(moved.dx, x, like: batch.x)) == bits(plain.dx), "dx of \(name)")
        #expect(bits(moved.rest) == bits(plain.rest), "\(name)")
        #expect(moved.y.filter { $0 == 77 }.count == y.extent - 30 * outputs, "between the rows of y, \(name)")
        #expect(moved.dx.filter { $0 == 77 }.count == x.extent - 90, "between the rows of dx, \(name)")
      }
    }
  }

  private func results(
    _ batch: Batch, _ xLayout: Layout, _ yLayout: Layout, x: [Float], dy: [Float], xCount: Int, yCount: Int
  ) throws -> (y: [Float], dx: [Float], rest: [Float]) {
    var options = batch.options
    (options.xLayout, options.yLayout) = (xLayout, yLayout)
    var y = [Float](repeating: 77, count: yCount), dx = [Float](repeating: 77, count: xCount)
    var state = batch.initial, recorded = batch.initial, dState = batch.dFinal
    var gradients = batch.layer.zeroGradients()
    let record = Record<Float>(), scratch = Scratch<Float>()
    var ySpan = y.mutableSpan
    try batch.layer.forward(
      x.span, steps: 6, batchSize: 5, state: &state, into: &ySpan, options: options, scratch: scratch)
    try batch.layer.record(
      x.span, steps: 6, batchSize: 5, state: &recorded, into: record, options: options, scratch: scratch)
    var dxSpan = dx.mutableSpan
    try batch.layer.backward(
      consuming: record, x: x.span, dy: dy.span, dState: &dState, dx: &dxSpan, into: &gradients, scratch: scratch)
    return (
      y, dx,
      state.h + state.c + recorded.h + recorded.c + dState.dh + dState.dc + gradients.values
        + record.withY { Array($0) }
    )
  }

  private func spread(_ sequences: Sequences<Float>, _ distances: Distances) -> [Float] {
    var values = [Float](repeating: .nan, count: distances.extent)
    for t in 0..<sequences.steps {
      for n in 0..<sequences.batchSize {
        for (i, value) in sequences[t, n].enumerated() {
          values[t * distances.step + n * distances.sequence + i] = value
        }
      }
    }
    return values
  }

  private func gather(_ values: [Float], _ distances: Distances, like sequences: Sequences<Float>) -> [Float] {
    var rows: [Float] = []
    for t in 0..<sequences.steps {
      for n in 0..<sequences.batchSize {
        let first = t * distances.step + n * distances.sequence
        rows += values[first..<first + sequences.size]
      }
    }
    return rows
  }

  // MARK: - Bad input

  @Test func wrongLengthsResetsAndLayoutsAreErrors() throws {
    let layer = try LSTM<Float>(inputSize: 2, hiddenSize: 3)
    let x = try Sequences<Float>(steps: 4, batchSize: 2, size: 2)
    let wrongCalls: [(CallOptions, RecurrentError)] = [
      (CallOptions(lengths: [5, 1]), .size(name: "lengths[0]", was: 5, expected: "0 ... 4, the steps")),
      (CallOptions(lengths: [1, -1]), .size(name: "lengths[1]", was: -1, expected: "0 ... 4, the steps")),
      (CallOptions(lengths: [1]), .count(name: "lengths", was: 1, expected: 2, shape: "batchSize")),
      (CallOptions(lengths: [1, 2, 3]), .count(name: "lengths", was: 3, expected: 2, shape: "batchSize")),
      (CallOptions(lengths: []), .count(name: "lengths", was: 0, expected: 2, shape: "batchSize")),
      (CallOptions(resets: [true]), .count(name: "resets", was: 1, expected: 8, shape: "4·2")),
      (
        CallOptions(xLayout: .batchMajor),
        .value(name: "options.xLayout", was: "batchMajor", expected: "timeMajor for Sequences")
      ),
      (
        CallOptions(yLayout: .batchMajor),
        .value(name: "options.yLayout", was: "batchMajor", expected: "timeMajor for Sequences")
      ),
    ]
    for (options, error) in wrongCalls {
      #expect(throws: error) { try layer.forward(x, options: options) }
      #expect(throws: error) { try layer.record(x, options: options) }
    }
    let rows = RecurrentError.LayoutProblem.overlappingRows(of: 2)
    for (step, sequence, problem) in [
      (0, 2, RecurrentError.LayoutProblem.notPositive), (3, 2, rows), (4, 1, rows), (-4, 2, .notPositive),
      (.max, 2, .tooLarge), (4, .max, .tooLarge), (2, 7, rows), (5, 2, nil),
    ] {
      let layout = Layout.strided(step: step, sequence: sequence)
      let error =
        problem.map { RecurrentError.layout(name: "x", step: step, sequence: sequence, problem: $0) }
        ?? .extent(name: "x", was: 16, expected: 19, shape: "3·5 + 1·2 + 2")
      var state = try layer.zeroState(batchSize: 2)
      var y = [Float](repeating: 7, count: 24)
      var span = y.mutableSpan
      #expect(throws: error, "\(layout)") {
        try layer.forward(
          x.values.span, steps: 4, batchSize: 2, state: &state, into: &span, options: CallOptions(xLayout: layout),
          scratch: Scratch())
      }
      #expect(y == Array(repeating: 7, count: 24))
    }
  }
}
