import Recurrent
import Testing

/// What must change no bit of a layer with rounded weights.
extension RoundedLayerTests {
  @Test(arguments: RoundedCell.all, Processor.available)
  func aSequenceIsTheSameInAnyBatch(cell: RoundedCell, set: InstructionSet) throws {
    for (steps, batch, inputs, hidden) in [(5, 13, 3, 17), (3, 33, 40, 33), (2, 7, 600, 5), (2, 4, 3, 520)] {
      let problem = RoundedLayerTests.problem(
        cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, set: set)
      let instance = try problem.instance()
      let whole = try instance.layer.forward(instance.x, initial: instance.initial)
      for sequence in [0, batch / 2, batch - 1] {
        let alone = try instance.layer.forward(
          try instance.x.rows(of: sequence), initial: instance.state(instance.initial, of: sequence))
        let final = instance.state(whole.final, of: sequence)
        expectSameBits(
          alone.y.values + alone.final.h + alone.final.c,
          try whole.y.rows(of: sequence).values + final.h + final.c, "sequence \(sequence) of \(problem)")
      }
    }
  }

  @Test(arguments: RoundedCell.all, Processor.available)
  func streamsAreTheWhole(cell: RoundedCell, set: InstructionSet) throws {
    for (steps, batch, inputs, hidden, levels) in [(30, 1, 3, 17, 1), (11, 5, 40, 33, 3), (6, 33, 130, 150, 2)] {
      let problem = RoundedLayerTests.problem(
        cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, levels: levels, set: set)
      let instance = try problem.instance()
      let whole = try instance.layer.forward(instance.x, initial: instance.initial)
      for pieces in [Array(repeating: 1, count: steps), [steps], [2, 0, 1, steps - 3]] {
        let stream = try instance.layer.stream(batchSize: batch)
        try stream.setState(instance.initial)
        var y: [Float] = [], done = 0
        for piece in pieces {
          var part = [Float](repeating: .nan, count: piece * batch * hidden)
          var span = part.mutableSpan
          try stream.process(
            Array(instance.frames[done * batch * inputs..<(done + piece) * batch * inputs]).span, steps: piece,
            into: &span)
          y += part
          done += piece
        }
        expectSameBits(y, whole.y.values, "y in pieces of \(pieces), \(problem)")
        expectSameBits(
          stream.state.h + stream.state.c, whole.final.h + whole.final.c, "the state of a stream, \(problem)")
      }
    }
  }

  /// A sequence that joins or leaves a stream gives the same bits as alone.
  @Test(arguments: RoundedCell.all)
  func seatsAreTakenAndLeft(cell: RoundedCell) throws {
    let layer = try Layer<Float>(
      cell.cell, inputSize: 4, hiddenSize: 19, layerCount: 2, weights: cell.weights,
      initialization: Initialization(seed: 1))
    let size = 3, stream = try layer.stream(batchSize: size)
    var alone: [RecurrentStream<Float>?] = try (0..<size).map { _ in try layer.stream() }
    var random = SeededGenerator(seed: 6)
    for step in 0..<60 {
      let seat = Int.random(in: 0..<size, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0:
        try stream.leave(seat)
        alone[seat] = nil
      case 1:
        try stream.join(seat)
        alone[seat] = try layer.stream()
      default: break
      }
      let x: [Float] = numbers(size * 4, seed: UInt64(step))
      var y = [Float](repeating: .nan, count: size * 19)
      var span = y.mutableSpan
      try stream.step(x.span, into: &span)
      for seat in 0..<size {
        var expected = [Float](repeating: 0, count: 19)
        var span = expected.mutableSpan
        try alone[seat]?.step(Array(x[seat * 4..<(seat + 1) * 4]).span, into: &span)
        expectSameBits(Array(y[seat * 19..<(seat + 1) * 19]), expected, "\(cell), step \(step), seat \(seat)")
      }
    }
    let fork = stream.fork(), x: [Float] = numbers(size * 4, seed: 100)
    func step(_ stream: RecurrentStream<Float>) throws -> [Float] {
      var y = [Float](repeating: .nan, count: size * 19)
      var span = y.mutableSpan
      try stream.step(x.span, into: &span)
      return y
    }
    let y = try step(stream), forked = try step(fork)
    expectSameBits(forked, y, "a fork, \(cell)")
  }

  /// The number of threads and the size of the second cache change no bit, in any direction and with several levels.
  @Test(arguments: RoundedCell.all, Direction.allCases)
  func threadsAndCachesChangeNoBit(cell: RoundedCell, direction: Direction) throws {
    for (steps, batch, inputs, hidden, levels) in [(7, 24, 40, 160, 2), (4, 1, 30, 520, 1), (3, 64, 300, 96, 1)] {
      var problem = RoundedLayerTests.problem(
        cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, levels: levels, direction: direction)
      let instance = try problem.instance()
      let one = try instance.layer.forward(instance.x, initial: instance.initial)
      for threads in [2, 3] {
        problem.threads = threads
        let scratch = try problem.scratch()
        for _ in 0..<2 {
          let several = try instance.layer.forward(instance.x, initial: instance.initial, scratch: scratch)
          expectSameBits(
            several.y.values + several.final.h + several.final.c, one.y.values + one.final.h + one.final.c,
            "\(problem)")
        }
      }
      let cut = try instance.layer.cut(forSecondCache: 1 << 16).forward(instance.x, initial: instance.initial)
      expectSameBits(cut.y.values, one.y.values, "\(problem), cut for another cache")
    }
  }

  /// All instruction sets give the same products. Their gate passes agree if they fuse multiply-adds.
  @Test(.enabled(if: Set(Processor.available).isSuperset(of: [.avx2, .avx512])), arguments: RoundedCell.all)
  func wideSetsGiveTheSameBits(cell: RoundedCell) throws {
    for (steps, batch, inputs, hidden) in [(9, 1, 7, 50), (5, 30, 100, 33), (3, 5, 600, 129)] {
      let results = try [InstructionSet.avx2, .avx512].map { set in
        let instance = try RoundedLayerTests.problem(
          cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, set: set
        ).instance()
        return try instance.layer.forward(instance.x, initial: instance.initial)
      }
      expectSameBits(
        results[0].y.values + results[0].final.c, results[1].y.values + results[1].final.c,
        "\(cell), N \(batch), C \(inputs), H \(hidden)")
    }
  }

  // MARK: - Lengths and resets

  @Test(arguments: RoundedCell.all, Direction.allCases)
  func sequencesOfAnyLengthAreAsAlone(cell: RoundedCell, direction: Direction) throws {
    let shapes = [(6, [3, 6, 0, 1, 5], 4, 7, 1), (9, [2, 9, 9, 4, 0, 7, 7, 1, 3, 8, 9, 5, 6, 2], 3, 33, 2)]
    for (steps, lengths, inputs, hidden, levels) in shapes {
      let problem = RoundedLayerTests.problem(
        cell, steps: steps, batch: lengths.count, inputs: inputs, hidden: hidden, levels: levels,
        direction: direction, lengths: lengths)
      let instance = try problem.instance()
      let whole = try instance.layer.forward(instance.x, initial: instance.initial, options: problem.options)
      for sequence in lengths.indices where lengths[sequence] > 0 {
        let own = 0..<lengths[sequence]
        let alone = try instance.layer.forward(
          try instance.x.rows(of: sequence, own), initial: instance.state(instance.initial, of: sequence))
        let final = instance.state(whole.final, of: sequence)
        expectSameBits(
          alone.y.values + alone.final.h + alone.final.c,
          try whole.y.rows(of: sequence, own).values + final.h + final.c, "sequence \(sequence) of \(problem)")
      }
    }
  }

  @Test(arguments: RoundedCell.all)
  func resetsCutSequences(cell: RoundedCell) throws {
    let steps = 9, batch = 14
    var problem = RoundedLayerTests.problem(cell, steps: steps, batch: batch, inputs: 6, hidden: 40)
    var random = SeededGenerator(seed: 4)
    let resets = random.flags(steps * batch, rarity: 4)
    problem.resets = resets
    let instance = try problem.instance()
    let whole = try instance.layer.forward(instance.x, initial: instance.initial, options: problem.options)
    for sequence in 0..<batch {
      var y: [Float] = [], state = instance.state(instance.initial, of: sequence)
      for step in 0..<steps {
        if resets[step * batch + sequence] { state = try instance.layer.zeroState(batchSize: 1) }
        let output = try instance.layer.forward(try instance.x.rows(of: sequence, step..<step + 1), initial: state)
        y += output.y.values
        state = output.final
      }
      expectSameBits(y, try whole.y.rows(of: sequence).values, "sequence \(sequence) of \(problem)")
    }
  }
}
