import Recurrent
import Testing

/// With lengths and resets, each piece of a sequence in a batch gives what it gives alone.
@Suite struct RaggedTests {
  private static func problem<Scalar>(
    _ cell: Cell, _ direction: Direction, steps: Int, lengths: [Int], resets: Bool, inputs: Int, hidden: Int,
    levels: Int, set: InstructionSet? = nil
  ) -> Problem<Scalar> {
    var problem = Problem<Scalar>(
      cell, steps: steps, batch: lengths.count, inputs: inputs, hidden: hidden, levels: levels, direction: direction,
      lengths: lengths, set: set, seed: 8)
    var random = SeededGenerator(seed: 9)
    if resets { problem.resets = random.flags(steps * lengths.count, rarity: 4) }
    return problem
  }

  private static let shapes: [(steps: Int, lengths: [Int], inputs: Int, hidden: Int, levels: Int)] = [
    (6, [3, 6, 0, 1, 5], 4, 7, 1), (9, [2, 9, 9, 4, 0, 7, 7, 1, 3, 8, 9, 5, 6, 2], 3, 33, 2),
    (5, [1, 1, 0], 2, 16, 1), (4, [0, 0], 2, 5, 2), (7, [5, 2, 7], 150, 140, 1), (3, [3], 3, 8, 2),
    (3, (0..<70).map { 1 + $0 % 3 }, 3, 9, 1),  // several gate passes in a step
  ]

  /// One call for each sequence alone gives the same bits of y, states and their gradients; the parameters' gradients
  /// add up to those of the batch.
  @Test(arguments: Cell.all, Direction.allCases)
  func sequencesOfAnyLengthAreAsAlone(cell: Cell, direction: Direction) throws {
    for kernels in Kernels.all { try sequencesOfAnyLengthAreAsAlone(kernels.scalar, cell, direction, kernels.set) }
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  private func sequencesOfAnyLengthAreAsAlone<Scalar: RecurrentScalar>(
    _: Scalar.Type, _ cell: Cell, _ direction: Direction, _ set: InstructionSet
  ) throws {
    for shape in RaggedTests.shapes {
      let problem: Problem<Scalar> = RaggedTests.problem(
        cell, direction, steps: shape.steps, lengths: shape.lengths, resets: false, inputs: shape.inputs,
        hidden: shape.hidden, levels: shape.levels, set: set)
      try compare(try problem.instance()) { sequence in [0..<shape.lengths[sequence]] }
    }
  }

  /// Each piece between two resets gives what it gives alone. All levels see the same pieces, so one level is enough
  /// here.
  @Test(arguments: Cell.all, [Direction.forward, .reverse])
  func resetsCutSequences(cell: Cell, direction: Direction) throws {
    for kernels in Kernels.all { try resetsCutSequences(kernels.scalar, cell, direction, kernels.set) }
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  private func resetsCutSequences<Scalar: RecurrentScalar>(
    _: Scalar.Type, _ cell: Cell, _ direction: Direction, _ set: InstructionSet
  ) throws {
    for (withLengths, shape) in RaggedTests.shapes.enumerated() {
      let lengths = withLengths % 2 == 0 ? shape.lengths : shape.lengths.map { _ in shape.steps }
      let problem: Problem<Scalar> = RaggedTests.problem(
        cell, direction, steps: shape.steps, lengths: lengths, resets: true, inputs: shape.inputs,
        hidden: shape.hidden, levels: 1, set: set)
      let resets = try #require(problem.resets)
      try compare(try problem.instance()) { sequence in
        var pieces: [Range<Int>] = [], start = 0
        // Forward, a reset at step 0 cuts off the initial state. In reverse nothing comes from before step 0.
        for t in 0..<lengths[sequence] where resets[t * problem.batch + sequence] && (t > 0 || direction == .forward) {
          pieces.append(start..<t)
          start = t
        }
        return pieces + [start..<lengths[sequence]]
      }
    }
  }

  private func compare<Scalar: RecurrentScalar>(
    _ instance: Problem<Scalar>.Instance, pieces: (_ sequence: Int) -> [Range<Int>]
  ) throws {
    let layer = instance.layer, problem = instance.problem, options = problem.options
    let name = "\(problem), lengths \(problem.lengths ?? [])"
    let forward = try layer.forward(instance.x, initial: instance.initial, options: options)
    let (record, output) = try layer.record(instance.x, initial: instance.initial, options: options)
    expectSameBits(forward.y.values, output.y.values, "y of forward and record, \(name)")
    #expect(forward.final == output.final, "\(name)")
    var gradients = layer.zeroGradients(), sums = layer.zeroGradients()
    let back = try layer.backward(
      consuming: record, x: instance.x, dy: instance.dy, dFinal: instance.dFinal, into: &gradients)
    let isReverse = layer.direction == .reverse
    for sequence in 0..<problem.batch {
      var y: [Scalar] = [], dx: [Scalar] = []
      // The walk takes the initial state into its first piece and leaves the final state at its last.
      let all = pieces(sequence)
      let first = isReverse ? all.count - 1 : 0, last = isReverse ? 0 : all.count - 1
      let zero = try layer.zeroState(batchSize: 1)
      var final = zero, dInitial = zero
      for (index, piece) in all.enumerated() {
        let initial = index == first ? instance.state(instance.initial, of: sequence) : zero
        let dFinal = index == last ? instance.state(State(instance.dFinal), of: sequence) : zero
        if piece.isEmpty {
          if index == last { final = initial }
          if index == first { dInitial = dFinal }
          continue
        }
        let x = try instance.x.rows(of: sequence, piece), dy = try instance.dy.rows(of: sequence, piece)
        let (record, output) = try layer.record(x, initial: initial)
        let back = try layer.backward(consuming: record, x: x, dy: dy, dFinal: StateGradient(dFinal), into: &sums)
        y += output.y.values
        dx += back.dx.values
        if index == last { final = output.final }
        if index == first { dInitial = State(back.dInitial) }
      }
      let padding = problem.steps - (all.last?.upperBound ?? 0)
      y += Array(repeating: 0, count: padding * layer.outputSize)
      dx += Array(repeating: 0, count: padding * layer.inputSize)
      func expect(_ what: String, _ ours: [Scalar], _ alone: [Scalar]) {
        expectSameBits(ours, alone, "\(what) of sequence \(sequence), \(name)")
      }
      expect("y", try output.y.rows(of: sequence).values, y)
      expect("dx", try back.dx.rows(of: sequence).values, dx)
      let ours = instance.state(output.final, of: sequence)
      let ourGradient = instance.state(State(back.dInitial), of: sequence)
      expect("the final state", ours.h + ours.c, final.h + final.c)
      expect("the initial state's gradient", ourGradient.h + ourGradient.c, dInitial.h + dInitial.c)
    }
    #expect(
      relativeError(gradients.values, sums.values.map { Double($0) }) < tolerance("y", of: Scalar.self),
      "the parameters' gradients, \(name)")
  }

  @Test(arguments: Cell.all)
  func raggedBatchesAreTheSameOnThreads(cell: Cell) throws {
    var problem: Problem<Float> = RaggedTests.problem(
      cell, .bidirectional, steps: 9, lengths: (0..<40).map { $0 * 7 % 10 }, resets: true, inputs: 30, hidden: 130,
      levels: 2)
    let instance = try problem.instance(), expected = try instance.results()
    for count in [1, 2, 3] {
      problem.threads = count
      expectSame(try instance.results(scratch: try problem.scratch()), expected, "\(problem)")
    }
  }

  // MARK: - Layouts

  /// Batch-major and strided buffers give the same bits as time-major ones, and the gaps between their rows are not
  /// touched.
  @Test(arguments: Cell.all, Direction.allCases)
  func layoutsAreOnlyPlaces(cell: Cell, direction: Direction) throws {
    for lengths in [nil, [4, 0, 6, 2, 5]] {
      var problem: Problem<Float> = RaggedTests.problem(
        cell, direction, steps: 6, lengths: lengths ?? Array(repeating: 6, count: 5), resets: lengths != nil, inputs: 3,
        hidden: 9, levels: 2)
      let plain = try problem.instance().results()
      for (x, y) in [
        (Problem<Float>.Placing.batchMajor, Problem<Float>.Placing.batchMajor), (.gapsInTime, .timeMajor),
        (.gapsInBatch, .gapsInTime), (.stridedInTime, .stridedInBatch), (.timeMajor, .gapsInBatch),
      ] {
        (problem.xPlacing, problem.yPlacing) = (x, y)
        var results = try problem.instance().results()
        // Takes the rows out of a buffer, whose gaps must still hold 7.
        func gather(_ values: inout [Float], _ placing: Problem<Float>.Placing, _ size: Int, _ name: String) {
          let (rows, gaps) = problem.gathered(values, placing, size: size)
          #expect(gaps.allSatisfy { $0 == 7 }, "between the rows of \(name), \(problem)")
          values = rows
        }
        gather(&results.forward[0].values, y, problem.outputSize, "y")
        gather(&results.inputGradients[0].values, x, problem.inputs, "dx")
        expectSame(results, plain, "\(problem), lengths \(lengths ?? [])")
      }
    }
  }

  // MARK: - Bad input

  @Test func wrongLengthsResetsAndLayoutsAreErrors() throws {
    let layer = try LSTM<Float>(inputSize: 2, hiddenSize: 3)
    let x = try Sequences<Float>(steps: 4, batchSize: 2, size: 2)
    let wrongCalls: [(CallOptions, RecurrentError)] = [
      (CallOptions(lengths: [5, 1]), .size(name: "lengths[0]", was: 5, expected: "0 to 4, the steps")),
      (CallOptions(lengths: [1, -1]), .size(name: "lengths[1]", was: -1, expected: "0 to 4, the steps")),
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
