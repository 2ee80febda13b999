import Recurrent
import Testing

/// Compares layers with weights in bf16 with layers of full weights whose operands the test rounds, bit by bit.
@Suite struct BFloat16LayerTests {
  /// The cells whose gates read h' only through U. A full layer can then have the rounded h' as its state.
  private static let cells = Cell.all.filter {
    "\($0)".hasPrefix("LSTM") || "\($0)".hasPrefix("RNN") || !$0.multipliesByMatrix
  }

  /// The results of `forward`, from single steps of full layers with rounded matrices, x and h'.
  private func byHand(_ problem: Problem<Float>) throws -> [Float] {
    var full = problem
    full.weights = .full
    var instance = try full.instance()
    instance.layer.updateEachParameter { name, values in
      if name.hasPrefix("weight_ih") || name.hasPrefix("weight_hh") && problem.cell.multipliesByMatrix {
        for index in values.indices { values[index] = values[index].roundedToBFloat16 }
      }
    }
    let (steps, batch, hidden) = (problem.steps, problem.batch, problem.hidden)
    var input = (0..<steps).map { t in (0..<batch).map { Array(instance.x[t, $0]) } }
    for level in 0..<problem.levels {
      var outputs: [[[[Float]]]] = []
      for direction in 0..<problem.directions {
        let part = level * problem.directions + direction
        let layer = try instance.sublayer(part..<part + 1, .forward)
        let isReversed = problem.direction == .reverse || direction == 1
        var h = Array(repeating: Array(repeating: [Float](repeating: 0, count: hidden), count: batch), count: steps)
        for n in 0..<batch {
          let own = (part * batch + n) * hidden, length = problem.lengths?[n] ?? steps
          var state = State<Float>(
            h: Array(instance.initial.h[own..<own + hidden]),
            c: instance.initial.c.isEmpty ? [] : Array(instance.initial.c[own..<own + hidden]))
          for t in isReversed ? Array((0..<length).reversed()) : Array(0..<length) {
            let x = try Sequences(
              input[t][n].map(\.roundedToBFloat16), steps: 1, batchSize: 1, size: input[t][n].count)
            if problem.cell.multipliesByMatrix { state.h = state.h.map(\.roundedToBFloat16) }
            state = try layer.forward(x, initial: state).final
            h[t][n] = state.h
          }
        }
        outputs.append(h)
      }
      input = (0..<steps).map { t in
        (0..<batch).map { n in
          problem.direction == .bidirectionalSum
            ? zip(outputs[0][t][n], outputs[1][t][n]).map { $0 + $1 } : outputs.flatMap { $0[t][n] }
        }
      }
    }
    return input.flatMap { $0.flatMap { $0 } }
  }

  /// The products in bf16 of these sets are those of floats.
  @Test(arguments: cells, Processor.setsOfFloats)
  func layersRoundWhatTheyMultiply(cell: Cell, set: InstructionSet) throws {
    for (steps, batch, inputs, hidden) in [
      (4, 1, 3, 5), (4, 1, 3, 72), (3, 1, 2, 24), (3, 1, 25, 41), (3, 3, 40, 33), (2, 26, 70, 150), (3, 1, 600, 64),
      (2, 13, 5, 520),
    ] {
      var problem = Problem<Float>(
        cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, set: set)
      problem.weights = .bfloat16
      let instance = try problem.instance(), expected = try byHand(problem)
      expectSameBits(
        try instance.layer.forward(instance.x, initial: instance.initial).y.values, expected, "\(problem)")
      for piece in [1, steps] {
        let stream = try instance.layer.stream(batchSize: batch)
        try stream.setState(instance.initial)
        var y: [Float] = []
        for t in stride(from: 0, to: steps, by: piece) {
          let rows = t * batch..<(t + piece) * batch
          let frames = instance.frames.span.extracting(rows.lowerBound * inputs..<rows.upperBound * inputs)
          var part = [Float](repeating: .nan, count: rows.count * hidden)
          var span = part.mutableSpan
          try stream.process(frames, steps: piece, into: &span)
          y += part
        }
        expectSameBits(y, expected, "a stream of \(problem), \(piece) steps at a time")
      }
    }
  }

  @Test(arguments: cells, Direction.allCases)
  func everyDirectionLevelAndLength(cell: Cell, direction: Direction) throws {
    for (lengths, threads) in [(nil, 1), (nil, 2), ([3, 1, 0, 2, 3], 1), ([0, 2, 1, 3, 2], 2)] as [([Int]?, Int)] {
      var problem = Problem<Float>(
        cell, steps: 3, batch: 5, inputs: 9, hidden: 40, levels: 2, direction: direction, lengths: lengths,
        threads: threads, set: Processor.setsOfFloats.last)
      problem.weights = .bfloat16
      let instance = try problem.instance()
      let output = try instance.layer.forward(
        instance.x, initial: instance.initial, options: problem.options, scratch: try problem.scratch())
      expectSameBits(output.y.values, try byHand(problem), "\(problem)")
    }
  }
}
