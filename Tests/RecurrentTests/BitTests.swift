import Recurrent
import Testing

/// A sequence has the same bits in any batch, in pieces or whole, with or without a record.
@Suite struct BitTests {
  @Test(arguments: Cell.all, Processor.available)
  func aSequenceIsTheSameInAnyBatch(cell: Cell, set: InstructionSet) throws {
    for (steps, batch, inputs, hidden) in [(5, 13, 3, 17), (3, 30, 40, 33), (2, 7, 600, 5), (2, 4, 3, 520)] {
      let fixture = try Fixture(cell, steps: steps, batch: batch, inputSize: inputs, hiddenSize: hidden, set: set)
      let whole = try fixture.layer.forward(fixture.x, initial: fixture.initial)
      for sequence in [0, 1, batch / 2, batch - 1] {
        let x = (0..<steps).flatMap { Array(fixture.x[$0, sequence]) }
        func part(_ values: [Float]) -> [Float] {
          values.isEmpty ? [] : Array(values[sequence * hidden..<(sequence + 1) * hidden])
        }
        let alone = try fixture.layer.forward(
          try Sequences(x, steps: steps, batchSize: 1, size: inputs),
          initial: State(h: part(fixture.initial.h), c: part(fixture.initial.c)))
        let inBatch = (0..<steps).flatMap { Array(whole.y[$0, sequence]) }
        #expect(
          bits(alone.y.values) == bits(inBatch), "y of \(cell), sequence \(sequence) of \(batch), H \(hidden), \(set)")
        #expect(bits(alone.final.c) == bits(part(whole.final.c)), "c of \(cell), \(set)")
      }
    }
  }

  @Test(arguments: Cell.all, Processor.available)
  func piecesAndRecordsGiveTheSame(cell: Cell, set: InstructionSet) throws {
    let fixture = try Fixture(cell, steps: 40, batch: 9, inputSize: 6, hiddenSize: 20, set: set)
    let whole = try fixture.layer.forward(fixture.x, initial: fixture.initial)
    let recorded = try fixture.layer.record(fixture.x, initial: fixture.initial).output
    #expect(bits(whole.y.values) == bits(recorded.y.values) && bits(whole.final.c) == bits(recorded.final.c))
    var state = fixture.initial, y: [Float] = []
    for piece in [1, 2, 13, 24] {
      let first = y.count / (9 * 20) * 9 * 6
      let x = try Sequences(
        Array(fixture.x.values[first..<first + piece * 9 * 6]), steps: piece, batchSize: 9, size: 6)
      let output = try fixture.layer.forward(x, initial: state)
      state = output.final
      y += output.y.values
    }
    #expect(bits(y) == bits(whole.y.values), "\(cell), \(set)")
    #expect(bits(state.h) == bits(whole.final.h) && bits(state.c) == bits(whole.final.c), "\(cell), \(set)")
  }

  /// Units are divided among the threads; no sum is.
  @Test(arguments: Cell.all, Processor.available)
  func threadsGiveTheSame(cell: Cell, set: InstructionSet) throws {
    for (steps, batch, inputs, hidden) in [(3, 40, 70, 200), (9, 1, 5, 760), (20, 29, 150, 144), (2, 300, 9, 100)] {
      let fixture = try Fixture(cell, steps: steps, batch: batch, inputSize: inputs, hiddenSize: hidden, set: set)
      var results: [[UInt32]] = []
      for count in [1, 2, 3, 7] {
        let scratch = Scratch<Float>(threads: try Threads(count: count)), record = Record<Float>()
        for _ in 0..<2 {
          var state = fixture.initial, recorded = fixture.initial, dState = fixture.dFinal
          var y = [Float](repeating: 0, count: fixture.dy.values.count), dx = fixture.x.values
          var gradients = fixture.layer.zeroGradients()
          try fixture.x.values.withUnsafeBufferPointer { x in
            try y.withUnsafeMutableBufferPointer { y in
              try fixture.layer.forward(x, steps: steps, batchSize: batch, state: &state, into: y, scratch: scratch)
            }
            try fixture.layer.record(
              x, steps: steps, batchSize: batch, state: &recorded, into: record, scratch: scratch)
            try fixture.dy.values.withUnsafeBufferPointer { dy in
              try dx.withUnsafeMutableBufferPointer { dx in
                try fixture.layer.backward(
                  consuming: record, x: x, dy: dy, dState: &dState, dx: dx, into: &gradients, scratch: scratch)
              }
            }
          }
          #expect(record.withY { Array($0) } == y)
          let all =
            y + state.h + state.c + recorded.h + recorded.c + dx + dState.dh + dState.dc + gradients.weightIH
            + gradients.weightHH + gradients.biasIH + gradients.biasHH
          results.append(bits(all))
        }
      }
      for result in results { #expect(result == results[0], "\(cell), N \(batch), H \(hidden), \(set)") }
    }
  }

  /// Sizes on both sides of lanes, panels, tiles and blocks of k; batches of 1 to 40. One sequence alone, the batch, the
  /// batch on two and three threads, with a record, step by step through a stream, in another order between shorter
  /// ones: the same bits.
  @Test(arguments: Cell.all, Processor.available)
  func everyWayGivesTheSame(cell: Cell, set: InstructionSet) throws {
    let sizes = [
      1, 2, 5, 15, 16, 17, 24, 31, 32, 33, 40, 63, 64, 65, 96, 127, 128, 129, 200, 511, 512, 513, 1024, 1100,
    ]
    var random = SeededGenerator(seed: 12)
    let pools = try [2, 3].map { try Threads(count: $0) }
    for batch in 1...40 {
      let hidden = sizes[batch % sizes.count], inputs = sizes.randomElement(using: &random)!
      let steps = hidden > 500 ? 2 : 4
      let fixture = try Fixture(cell, steps: steps, batch: batch, inputSize: inputs, hiddenSize: hidden, set: set)
      let layer = fixture.layer, name = "\(cell), N \(batch), C \(inputs), H \(hidden), \(set)"
      let whole = try layer.forward(fixture.x, initial: fixture.initial)
      let expected = bits(whole.y.values + whole.final.h + whole.final.c)
      func expect(_ what: String, _ output: Output<Float>) {
        #expect(bits(output.y.values + output.final.h + output.final.c) == expected, "\(what), \(name)")
      }
      for pool in pools {
        expect(
          "\(pool.count) threads",
          try layer.forward(fixture.x, initial: fixture.initial, scratch: Scratch(threads: pool)))
      }
      expect("record", try layer.record(fixture.x, initial: fixture.initial).output)

      let stream = try layer.stream(batchSize: batch)
      try stream.setState(fixture.initial)
      var y = [Float](repeating: .nan, count: batch * hidden), all: [Float] = []
      for t in 0..<steps {
        let row = batch * inputs
        var span = y.mutableSpan
        try stream.step(Array(fixture.x.values[t * row..<(t + 1) * row]).span, into: &span)
        all += y
      }
      #expect(bits(all + stream.state.h + stream.state.c) == expected, "stream, \(name)")

      // One of them alone, and once more at the end of a longer batch whose other sequences end before.
      let sequence = Int.random(in: 0..<batch, using: &random), others = Int.random(in: 1...13, using: &random)
      func own(_ state: [Float]) -> [Float] {
        state.isEmpty ? [] : Array(state[sequence * hidden..<(sequence + 1) * hidden])
      }
      let x = (0..<steps).flatMap { Array(fixture.x[$0, sequence]) }
      let ownY = (0..<steps).flatMap { Array(whole.y[$0, sequence]) }
      let initial = State(h: own(fixture.initial.h), c: own(fixture.initial.c))
      let alone = try layer.forward(try Sequences(x, steps: steps, batchSize: 1, size: inputs), initial: initial)
      #expect(bits(alone.y.values) == bits(ownY) && bits(alone.final.c) == bits(own(whole.final.c)), "alone, \(name)")
      var padded: [Float] = []
      for t in 0..<steps {
        padded += [Float](repeating: 0.5, count: others * inputs) + x[t * inputs..<(t + 1) * inputs]
      }
      let zeros = [Float](repeating: 0, count: others * hidden)
      let among = try layer.forward(
        try Sequences(padded, steps: steps, batchSize: others + 1, size: inputs),
        initial: State(h: zeros + initial.h, c: initial.c.isEmpty ? [] : zeros + initial.c),
        options: CallOptions(lengths: (0..<others).map { $0 % steps } + [steps]))
      #expect(bits((0..<steps).flatMap { Array(among.y[$0, others]) }) == bits(ownY), "among others, \(name)")
    }
  }
}
