import CRecurrentKernels
import Recurrent
import Testing

/// Dropout between levels: a mask depends on the seed and on the place of a number alone.
@Suite struct DropoutTests {
  /// The known answers of Philox's authors (Random123, kat_vectors: philox4x32 10).
  @Test func philoxGivesTheKnownAnswers() {
    let answers: [(counter: [UInt32], key: [UInt32], bits: [UInt32])] = [
      ([0, 0, 0, 0], [0, 0], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
      (
        [.max, .max, .max, .max], [.max, .max], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
      ),
      (
        [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0],
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
      ),
    ]
    for answer in answers {
      var bits: [UInt32] = [0, 0, 0, 0]
      philox_4x32_10(answer.counter, answer.key, &bits)
      #expect(bits == answer.bits)
    }
  }

  @Test func everyInstructionSetDropsTheSame() {
    for count in [1, 3, 4, 5, 63, 64, 65, 200] {
      var row = dropout_row()
      (row.seed, row.sequence, row.step, row.layer) = (0x1234_5678_9abc_def0, 1 << 40 | 7, 9, 2)
      (row.threshold, row.scale) = (UInt32(0.3 * 0x1p32), 1 / 0.7)
      let source = (0..<count).map { Float($0 + 1) }
      let results = Processor.available.map { set in
        var target = [Float](repeating: .nan, count: count)
        drop_units_f32(set.floatSet, &target, source, count, &row)
        return target
      }
      for result in results { #expect(result == results[0]) }
      // The definition, one counter at a time.
      for unit in 0..<count {
        var bits: [UInt32] = [0, 0, 0, 0]
        philox_4x32_10([UInt32(unit / 4), 9, 7, 2 + 256 << 16], [0x9abc_def0, 0x1234_5678], &bits)
        #expect(results[0][unit] == (bits[unit % 4] < row.threshold ? 0 : Float(row.scale) * source[unit]))
      }
    }
  }

  /// A row can be dropped piece by piece, from any unit on.
  @Test func piecesHaveTheMaskOfTheRow() {
    var row = dropout_row()
    (row.seed, row.step, row.threshold, row.scale) = (3, 1, UInt32(0.5 * 0x1p32), 2)
    let source = (0..<300).map { Float($0 + 1) }
    for set in Processor.available {
      row.first = 0
      var whole = source
      drop_units_f32(set.floatSet, &whole, source, source.count, &row)
      for first in [0, 1, 2, 3, 4, 63, 64, 129] {
        for count in [1, 2, 61, 64, 65, 130] {
          row.first = first
          var piece = [Float](repeating: .nan, count: count + 8)
          drop_units_f32(set.floatSet, &piece, Array(source[first...]), count, &row)
          #expect(Array(piece[..<count]) == Array(whole[first..<first + count]), "\(set), \(first), \(count)")
          #expect(piece[count...].allSatisfy { $0.isNaN }, "\(set), \(first), \(count)")
        }
      }
    }
  }

  /// Compares with two single levels and masks that the test applies between them, forward and backward.
  @Test(arguments: Cell.all, [Direction.forward, .bidirectional, .bidirectionalSum])
  func masksStandBetweenLevels(cell: Cell, direction: Direction) throws {
    let problem = Problem<Float>(
      cell, steps: 5, batch: 4, inputs: 3, hidden: 10, levels: 2, direction: direction, dropout: 0.4)
    let instance = try problem.instance(), layer = instance.layer, x = instance.x, dy = instance.dy
    let options = CallOptions(dropout: .seeded(DropoutSeed(5, firstSequence: 3, firstStep: 2)))
    let (record, output) = try layer.record(x, options: options)
    var gradients = layer.zeroGradients()
    let back = try layer.backward(consuming: record, x: x, dy: dy, into: &gradients)
    #expect(try layer.forward(x, options: options) != output, "forward never drops, \(problem)")

    // Each level as a layer of its own.
    let levels = try (0..<2).map { level in
      try instance.sublayer(level * problem.directions..<(level + 1) * problem.directions, direction)
    }
    func masked(_ sequences: Sequences<Float>) throws -> Sequences<Float> {
      var values: [Float] = []
      for t in 0..<problem.steps {
        for n in 0..<problem.batch {
          var row = dropout_row()
          (row.seed, row.sequence, row.step, row.layer) = (5, UInt64(3 + n), UInt32(2 + t), 0)
          (row.threshold, row.scale) = (UInt32(Double(Float(0.4)) * 0x1p32), 1 / (1 - 0.4))
          var target = [Float](repeating: 0, count: sequences.size)
          drop_units_f32(instruction_set.portable, &target, Array(sequences[t, n]), target.count, &row)
          values += target
        }
      }
      return try Sequences(values, steps: problem.steps, batchSize: problem.batch, size: sequences.size)
    }
    let (record0, output0) = try levels[0].record(x)
    let between = try masked(output0.y)
    let zeros = between.values.filter { $0 == 0 }.count
    let ofItself = output0.y.values.filter { $0 == 0 }.count  // zeros of a ReLU
    #expect(zeros - ofItself > (between.values.count - ofItself) / 4)
    #expect(zeros - ofItself < (between.values.count - ofItself) * 6 / 10)
    let (record1, output1) = try levels[1].record(between)
    expectSameBits(output.y.values, output1.y.values, "y of \(problem)")
    var gradients0 = levels[0].zeroGradients(), gradients1 = levels[1].zeroGradients()
    let back1 = try levels[1].backward(consuming: record1, x: between, dy: dy, into: &gradients1)
    let back0 = try levels[0].backward(consuming: record0, x: x, dy: try masked(back1.dx), into: &gradients0)
    expectSameBits(back.dx.values, back0.dx.values, "dx of \(problem)")
    expectSameBits(
      gradients.values, gradients0.values + gradients1.values, "the parameters' gradients of \(problem)")
  }

  /// With one seed, a sequence gets the same masks in any batch, whole or in pieces, on any number of threads.
  @Test func masksFollowTheData() throws {
    let layer = try LSTM<Float>(inputSize: 3, hiddenSize: 20, layerCount: 3, dropout: 0.5)
    let x = try Sequences<Float>(numbers(8 * 6 * 3, seed: 2), steps: 8, batchSize: 6, size: 3)
    func run(
      _ sequences: Range<Int>, _ steps: Range<Int>, lengths: [Int]? = nil, initial: State<Float>? = nil,
      threads: Int = 1
    ) throws -> Output<Float> {
      let values = steps.flatMap { t in sequences.flatMap { Array(x[t, $0]) } }
      return try layer.record(
        try Sequences(values, steps: steps.count, batchSize: sequences.count, size: 3), initial: initial,
        options: CallOptions(
          lengths: lengths,
          dropout: .seeded(
            DropoutSeed(11, firstSequence: sequences.lowerBound, firstStep: steps.lowerBound))),
        scratch: Scratch(threads: try Threads(count: threads))
      ).output
    }
    let whole = try run(0..<6, 0..<8)
    #expect(try run(0..<6, 0..<8, threads: 2) == whole)
    #expect(try run(0..<6, 0..<8) == whole)
    let parts = [try run(0..<2, 0..<8), try run(2..<6, 0..<8)]
    for t in 0..<8 {
      for n in 0..<6 { #expect(whole.y[t, n] == (n < 2 ? parts[0].y[t, n] : parts[1].y[t, n - 2])) }
    }
    let first = try run(0..<6, 0..<3), second = try run(0..<6, 3..<8, initial: first.final)
    expectSameBits(first.y.values + second.y.values, whole.y.values, "y in two pieces")
    let ragged = try run(0..<6, 0..<8, lengths: [3, 8, 0, 5, 8, 1])
    for (n, length) in [3, 8, 0, 5, 8, 1].enumerated() {
      for t in 0..<length { #expect(ragged.y[t, n] == whole.y[t, n]) }
    }
  }

  /// `record` drops units unless it is told not to, and returns its seed; `forward` never drops.
  @Test(arguments: Cell.all) func recordDrawsItsSeed(cell: Cell) throws {
    let layer = try Layer<Float>(cell, inputSize: 3, hiddenSize: 20, layerCount: 2, dropout: 0.5)
    let x = try Sequences<Float>(numbers(5 * 4 * 3, seed: 2), steps: 5, batchSize: 4, size: 3)
    let forward = try layer.forward(x)
    let (record, drawn) = try layer.record(x)
    let seed = try #require(record.dropoutSeed)
    #expect(drawn != forward && seed.firstSequence == 0 && seed.firstStep == 0)
    #expect(try layer.record(x).output != drawn, "another seed each time")
    let (again, same) = try layer.record(x, options: CallOptions(dropout: .seeded(seed)))
    #expect(same == drawn && again.dropoutSeed == seed)
    var gradients = layer.zeroGradients(), ofAgain = gradients
    let back = try layer.backward(consuming: record, x: x, dy: forward.y, into: &gradients)
    #expect(try layer.backward(consuming: again, x: x, dy: forward.y, into: &ofAgain) == back && ofAgain == gradients)
    // A record that is used again forgets its earlier seed.
    let (off, whole) = try layer.record(x, into: record, options: CallOptions(dropout: .off))
    expectSameBits(whole.y.values, forward.y.values, "y without dropout of \(cell)")
    #expect(whole.final == forward.final && off.dropoutSeed == nil)
    #expect(try layer.record(x, options: CallOptions(dropout: .seed(7))).record.dropoutSeed == DropoutSeed(7))
    #expect(try layer.forward(x, options: CallOptions(dropout: .seed(7))) == forward)
  }

  /// Without a dropout rate, or with one level, nothing is dropped and no seed is drawn.
  @Test func nothingIsDrawnWhereNothingIsDropped() throws {
    let x = try Sequences<Float>(numbers(5 * 4 * 3, seed: 2), steps: 5, batchSize: 4, size: 3)
    for (levels, rate) in [(2, Float(0)), (1, 0.5)] {
      let layer = try GRU<Float>(inputSize: 3, hiddenSize: 20, layerCount: levels, dropout: rate)
      for choice in [RecordDropout.drawn, .seed(1), .off] {
        let (record, output) = try layer.record(x, options: CallOptions(dropout: choice))
        #expect(try record.dropoutSeed == nil && output == layer.forward(x), "\(levels) levels, rate \(rate)")
      }
    }
  }

  @Test func dropoutOfOneDropsEverything() throws {
    let layer = try RNN<Float>(inputSize: 2, hiddenSize: 4, layerCount: 2, dropout: 1, bias: false)
    let x = try Sequences<Float>(numbers(12, seed: 1), steps: 3, batchSize: 2, size: 2)
    let (record, output) = try layer.record(x, options: CallOptions(dropout: .seed(1)))
    #expect(output.y.values.allSatisfy { $0 == 0 })
    var gradients = layer.zeroGradients()
    let back = try layer.backward(consuming: record, x: x, dy: output.y, into: &gradients)
    #expect(back.dx.values.allSatisfy { $0 == 0 })
  }
}
