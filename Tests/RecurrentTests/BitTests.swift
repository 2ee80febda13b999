import Recurrent
import Testing

/// A sequence gives the same bits in any batch, in pieces or whole, with or without a record.
@Suite struct BitTests {
  @Test(arguments: Cell.all, Kernels.all)
  func aSequenceIsTheSameInAnyBatch(cell: Cell, kernels: Kernels) throws {
    try aSequenceIsTheSameInAnyBatch(kernels.scalar, cell, kernels.set)
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  private func aSequenceIsTheSameInAnyBatch<Scalar: RecurrentScalar>(
    _: Scalar.Type, _ cell: Cell, _ set: InstructionSet
  ) throws {
    // In the last three, an LSTM and a GRU have several gate passes in a step; in the one before the last, an RNN too.
    let shapes = [
      (5, 13, 3, 17), (3, 30, 40, 33), (2, 7, 600, 5), (2, 4, 3, 520), (2, 140, 3, 20), (1, 300, 2, 9), (2, 70, 2, 520),
    ]
    for (steps, batch, inputs, hidden) in shapes {
      let problem = Problem<Scalar>(cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, set: set)
      let instance = try problem.instance()
      let whole = try instance.layer.forward(instance.x, initial: instance.initial)
      for sequence in [0, 1, batch / 2, batch - 1] {
        try expectAlone(instance, sequence, whole)
      }
    }
  }

  /// Runs one sequence in a batch of its own and expects the bits that it has in the whole batch.
  private func expectAlone<Scalar>(
    _ instance: Problem<Scalar>.Instance, _ sequence: Int, _ whole: Output<Scalar>
  ) throws {
    let alone = try instance.layer.forward(
      try instance.x.rows(of: sequence), initial: instance.state(instance.initial, of: sequence))
    let final = instance.state(whole.final, of: sequence), name = "sequence \(sequence) of \(instance.problem)"
    expectSameBits(alone.y.values, try whole.y.rows(of: sequence).values, "y of \(name)")
    expectSameBits(alone.final.h + alone.final.c, final.h + final.c, "the final state of \(name)")
  }

  @Test(arguments: Cell.all, Kernels.all)
  func piecesAndRecordsGiveTheSame(cell: Cell, kernels: Kernels) throws {
    try piecesAndRecordsGiveTheSame(kernels.scalar, cell, kernels.set)
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  private func piecesAndRecordsGiveTheSame<Scalar: RecurrentScalar>(_: Scalar.Type, _ cell: Cell, _ set: InstructionSet)
    throws
  {
    let problem = Problem<Scalar>(cell, steps: 40, batch: 9, inputs: 6, hidden: 20, set: set)
    let instance = try problem.instance()
    let whole = try instance.layer.forward(instance.x, initial: instance.initial)
    let recorded = try instance.layer.record(instance.x, initial: instance.initial).output
    expectSameBits(recorded.y.values, whole.y.values, "recorded y of \(problem)")
    expectSameBits(recorded.final.c, whole.final.c, "recorded c of \(problem)")
    var state = instance.initial, y: [Scalar] = [], done = 0
    for piece in [1, 2, 13, 24] {
      let output = try instance.layer.forward(try instance.x.steps(done..<done + piece), initial: state)
      state = output.final
      y += output.y.values
      done += piece
    }
    expectSameBits(y, whole.y.values, "y in pieces of \(problem)")
    expectSameBits(state.h + state.c, whole.final.h + whole.final.c, "the state after pieces of \(problem)")
  }

  /// Threads divide the units but never a sum, so their number changes no bit.
  @Test(arguments: Cell.all, Kernels.all)
  func threadsGiveTheSame(cell: Cell, kernels: Kernels) throws {
    try threadsGiveTheSame(kernels.scalar, cell, kernels.set)
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  private func threadsGiveTheSame<Scalar: RecurrentScalar>(_: Scalar.Type, _ cell: Cell, _ set: InstructionSet) throws {
    for (steps, batch, inputs, hidden) in [(3, 40, 70, 200), (9, 1, 5, 760), (20, 29, 150, 144), (2, 300, 9, 100)] {
      var problem = Problem<Scalar>(cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, set: set)
      let instance = try problem.instance(), expected = try instance.results()
      for count in [1, 2, 3, 7] {
        problem.threads = count
        let scratch = try problem.scratch(), record = Record<Scalar>()
        for _ in 0..<2 {
          let results = try instance.results(scratch: scratch, record: record)
          expectSame(results, expected, "\(problem)")
          expectSameBits(record.withY { Array($0) }, expected.forward[0].values, "the record's y of \(problem)")
        }
      }
    }
  }

  /// All ways to compute a sequence give the same bits: alone, in a batch, on two and three threads, with a record,
  /// step by step through a stream, and in another order among shorter sequences. The sizes lie on both sides of lanes,
  /// panels, tiles and blocks of k; the batches have 1 to 40 sequences.
  @Test(arguments: Cell.all, Kernels.all)
  func everyWayGivesTheSame(cell: Cell, kernels: Kernels) throws {
    try everyWayGivesTheSame(kernels.scalar, cell, kernels.set)
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  private func everyWayGivesTheSame<Scalar: RecurrentScalar>(_: Scalar.Type, _ cell: Cell, _ set: InstructionSet) throws
  {
    let sizes = [
      1, 2, 5, 15, 16, 17, 24, 31, 32, 33, 40, 63, 64, 65, 96, 127, 128, 129, 200, 511, 512, 513, 1024, 1100,
    ]
    var random = SeededGenerator(seed: 12)
    let pools = try [2, 3].map { try Threads(count: $0) }
    for batch in 1...40 {
      let hidden = sizes[batch % sizes.count], inputs = sizes.randomElement(using: &random)!
      let steps = hidden > 500 ? 2 : 4
      let problem = Problem<Scalar>(cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, set: set)
      let instance = try problem.instance(), layer = instance.layer
      let whole = try layer.forward(instance.x, initial: instance.initial)
      func expect(_ what: String, _ output: Output<Scalar>) {
        expectSameBits(output.y.values, whole.y.values, "y with \(what), \(problem)")
        expectSameBits(
          output.final.h + output.final.c, whole.final.h + whole.final.c, "the state with \(what), \(problem)")
      }
      for pool in pools {
        expect(
          "\(pool.count) threads",
          try layer.forward(instance.x, initial: instance.initial, scratch: Scratch(threads: pool)))
      }
      expect("a record", try layer.record(instance.x, initial: instance.initial).output)

      let stream = try layer.stream(batchSize: batch)
      try stream.setState(instance.initial)
      var y = [Scalar](repeating: .nan, count: batch * hidden), all: [Scalar] = []
      for t in 0..<steps {
        let frame = try instance.x.steps(t..<t + 1).values
        var span = y.mutableSpan
        try stream.step(frame.span, into: &span)
        all += y
      }
      expectSameBits(all, whole.y.values, "y of a stream, \(problem)")
      expectSameBits(
        stream.state.h + stream.state.c, whole.final.h + whole.final.c, "the state of a stream, \(problem)")

      // Runs one of the sequences alone, and then at the end of a longer batch whose other sequences end earlier.
      let sequence = Int.random(in: 0..<batch, using: &random), others = Int.random(in: 1...13, using: &random)
      try expectAlone(instance, sequence, whole)
      let x = try instance.x.rows(of: sequence), initial = instance.state(instance.initial, of: sequence)
      var padded: [Scalar] = []
      for t in 0..<steps { padded += [Scalar](repeating: 0.5, count: others * inputs) + x[t, 0] }
      let zeros = [Scalar](repeating: 0, count: others * hidden)
      let among = try layer.forward(
        try Sequences(padded, steps: steps, batchSize: others + 1, size: inputs),
        initial: State(h: zeros + initial.h, c: initial.c.isEmpty ? [] : zeros + initial.c),
        options: CallOptions(lengths: (0..<others).map { $0 % steps } + [steps]))
      expectSameBits(
        try among.y.rows(of: others).values, try whole.y.rows(of: sequence).values, "among others, \(problem)")
    }
  }

  /// Calls on `Sequences`, spans and pointers give the same bits, also without the gradients that nobody passes or asks
  /// for.
  @Test(arguments: Cell.all)
  func everyFormOfACallGivesTheSame(cell: Cell) throws {
    let problem = Problem<Float>(cell, steps: 4, batch: 5, inputs: 6, hidden: 33, levels: 2)
    let instance = try problem.instance(), layer = instance.layer, x = instance.x.values, dy = instance.dy.values
    let expected = try instance.tensors(), pointers = try instance.results()
    expectSameBits(pointers.forward[0].values, expected["y"] ?? [], "y of pointers, \(problem)")
    expectSameBits(pointers.inputGradients[0].values, expected["dx"] ?? [], "dx of pointers, \(problem)")

    var y = [Float](repeating: .nan, count: dy.count), dx = [Float](repeating: .nan, count: x.count)
    var state = instance.initial, recorded = instance.initial, dState = instance.dFinal
    var gradients = layer.zeroGradients(), withoutDx = gradients
    let scratch = Scratch<Float>(), record = Record<Float>()
    var ySpan = y.mutableSpan
    try layer.forward(x.span, steps: 4, batchSize: 5, state: &state, into: &ySpan, scratch: scratch)
    expectSameBits(y, expected["y"] ?? [], "y of spans, \(problem)")
    #expect(state.h == expected["hn"] && state.c == expected["cn"] ?? [], "\(problem)")
    try layer.record(x.span, steps: 4, batchSize: 5, state: &recorded, into: record, scratch: scratch)
    #expect(recorded == state, "\(problem)")
    var dxSpan = dx.mutableSpan
    try layer.backward(
      consuming: record, x: x.span, dy: dy.span, dState: &dState, dx: &dxSpan, into: &gradients, scratch: scratch)
    expectSameBits(dx, expected["dx"] ?? [], "dx of spans, \(problem)")
    #expect(dState.dh == expected["dh0"] && dState.dc == expected["dc0"] ?? [], "\(problem)")
    expectSameBits(gradients.values, pointers.parameterGradients, "the parameters' gradients of spans, \(problem)")

    (recorded, dState) = (instance.initial, instance.dFinal)
    try layer.record(x.span, steps: 4, batchSize: 5, state: &recorded, into: record, scratch: scratch)
    try layer.backward(
      consuming: record, x: x.span, dy: dy.span, dState: &dState, into: &withoutDx, scratch: scratch)
    expectSameBits(withoutDx.values, gradients.values, "the parameters' gradients without dx, \(problem)")
    #expect(dState.dh == expected["dh0"], "\(problem)")

    // No dy means a dy of zeros.
    var none = layer.zeroGradients(), zeros = none
    let nothing = try layer.backward(
      consuming: try layer.record(instance.x).record, x: instance.x, dy: nil, dFinal: instance.dFinal, into: &none)
    let zero = try layer.backward(
      consuming: try layer.record(instance.x).record, x: instance.x,
      dy: try Sequences(steps: 4, batchSize: 5, size: 33), dFinal: instance.dFinal, into: &zeros)
    #expect(nothing == zero && none == zeros, "no dy, \(problem)")
    var first = layer.zeroGradients(), second = first
    let absent = try layer.backward(
      consuming: try layer.record(instance.x).record, x: instance.x, dy: instance.dy, into: &first)
    let given = try layer.backward(
      consuming: try layer.record(instance.x).record, x: instance.x, dy: instance.dy,
      dFinal: try layer.zeroStateGradient(batchSize: 5), into: &second)
    #expect(absent == given && first == second, "no final gradient, \(problem)")
  }
}
