import CTestSupport
import Foundation
import Recurrent
import RecurrentTraining
import Testing

/// Decoders that write over a stream: greedy, by beams, and in scheduled sampling.
@Suite struct SequenceDecodingTests {
  typealias Options = EncoderDecoderTests.Options
  static let models = EncoderDecoderTests.goldens + EncoderDecoderTests.others
  static func source(_ numbers: [Int] = [0, 1, 2]) throws -> Tokens {
    try Tokens(padding: numbers.map { EncoderDecoderTests.sources[$0] })
  }

  /// Step by step, on any row of a source, the logits and the weights have the bits of a call on the whole.
  @Test(arguments: models) func streamsAreTheWhole(options: Options) throws {
    let model = try options.model(), (input, _) = try EncoderDecoderTests.batch(), symbols = input.symbols
    let (logits, trace) = try model(input, Workspace(isTraining: false))
    for beams in [1, 3, 17] {
      let stream = try model.stream(input.source, beams: beams)
      for step in 0..<symbols.steps {
        let row = (0..<3 * beams).map { symbols.symbols[step * 3 + $0 / beams] }
        try stream.step(row.span)
        for row in 0..<3 * beams where step < symbols.lengths![row / beams] {
          let same = stream.withLogits(row: row) { Array($0) == Array(logits[step, row / beams]) }
          #expect(same, "step \(step), row \(row) of \(beams), \(options.name)")
          #expect(stream.weights(row: row) == (try trace.decoder.weights(sequence: row / beams)?[step]))
        }
      }
    }
  }

  /// A window moves on with the steps. Once it has left the memory, nothing has a weight.
  @Test func windowsMoveWithTheStream() throws {
    let options = EncoderDecoderTests.Options(
      name: "around", encoder: .gru(), decoder: .lstm(), units: 6, levels: (1, 1), direction: .forward,
      attention: "around")
    let model = try options.model(), source = try SequenceDecodingTests.source([0])
    let symbols = [0, 2, 3, 4, 1], logits = try model(.init(source, Tokens(padding: [symbols])), Workspace()).0
    let stream = try model.stream(source)
    for (step, symbol) in symbols.enumerated() {
      try stream.step([symbol].span)
      #expect(stream.withLogits(row: 0) { Array($0) == Array(logits[step, 0]) }, "step \(step)")
    }
    for _ in 5..<8 { try stream.step([2].span) }
    #expect(stream.weights(row: 0) == [0, 0, 0, 0, 0])
    #expect(stream.withLogits(row: 0) { $0.allSatisfy(\.isFinite) })
  }

  /// log P of a target by a call on the whole.
  private static func logProbability(_ model: EncoderDecoderTests.Model, _ source: Int, _ symbols: [Int]) throws
    -> Double
  {
    let read = [0] + symbols.dropLast()
    let logits = try model(
      .init(try self.source([source]), Tokens(padding: [read])), Workspace(isTraining: false)
    ).0
    return symbols.enumerated().reduce(0.0) { sum, symbol in
      let row = logits[symbol.offset, 0].map(Double.init), largest = row.max()!
      return sum + row[symbol.element] - largest - log(row.reduce(0) { $0 + exp($1 - largest) })
    }
  }

  /// A beam that has room for everything finds what a list of all targets has, in the same order.
  @Test(arguments: [0, 0.7, 1.0]) func wideBeamsAreExhaustive(lengthPower: Double) throws {
    let end = 4, longest = 3
    var all: [[Int]] = [[]], targets: [[Int]] = []
    for _ in 0..<longest {
      targets += all.map { $0 + [end] }
      all = all.flatMap { text in (0..<end).map { text + [$0] } }
    }
    targets += all
    let decoder = SequenceDecoder(start: 0, end: end, longest: longest, lengthPower: lengthPower)
    for options in [EncoderDecoderTests.goldens[2], EncoderDecoderTests.goldens[4]] {
      let model = try options.model(seed: 4)
      let found = try decoder.beam(model.stream(SequenceDecodingTests.source(), beams: targets.count))
      for source in 0..<3 {
        let expected = try targets.map { target in
          let logProbability = try SequenceDecodingTests.logProbability(model, source, target)
          return (target, logProbability, logProbability / pow(Double(target.count), lengthPower))
        }.sorted { $0.2 > $1.2 }
        #expect(found[source].count == targets.count)
        #expect(abs(found[source].reduce(0) { $0 + exp($1.logProbability) } - 1) < 1e-5)
        for (reading, (target, logProbability, score)) in zip(found[source], expected) {
          #expect(reading.symbols == target.filter { $0 != end } && reading.isComplete == (target.last == end))
          #expect(abs(reading.logProbability - logProbability) < 1e-5 && abs(reading.score - score) < 1e-5)
        }
      }
    }
  }

  /// A beam of one row is greedy. A wider one is what a plain search by calls on the whole finds.
  @Test(arguments: models) func beamsAreTheirSearch(options: Options) throws {
    for seed in 1..<6 as Range<UInt64> {
      let model = try options.model(seed: seed)
      let decoder = SequenceDecoder(start: 0, end: 1, longest: 6)
      let greedy = try decoder.greedy(model.stream(SequenceDecodingTests.source()))
      let one = try decoder.beam(model.stream(SequenceDecodingTests.source()))
      #expect(one.map { $0.map(\.symbols) } == greedy.map { [$0] })
      let three = try decoder.beam(model.stream(SequenceDecodingTests.source(), beams: 3))
      for source in 0..<3 {
        #expect(three[source].count == 3 && three[source].map(\.score) == three[source].map(\.score).sorted(by: >))
        // The sequences of the beam, and those that have ended.
        var followed: [(symbols: [Int], score: Double)] = [([], 0)], ended: [(symbols: [Int], score: Double)] = []
        for _ in 0..<6 {
          var all: [(symbols: [Int], score: Double)] = []
          for (symbols, _) in followed {
            for symbol in 0..<5 {
              let longer = symbols + [symbol]
              all.append((longer, try SequenceDecodingTests.logProbability(model, source, longer)))
            }
          }
          let best = all.sorted { $0.score > $1.score }.prefix(3 - ended.count)
          ended += best.filter { $0.symbols.last == 1 }
          followed = best.filter { $0.symbols.last != 1 }
        }
        let expected = (ended + followed).sorted {
          $0.score / Double($0.symbols.count) > $1.score / Double($1.symbols.count)
        }
        #expect(three[source].map(\.symbols) == expected.map { $0.symbols.filter { $0 != 1 } })
        // Alone, a source gives the same bits.
        let alone = try decoder.beam(model.stream(SequenceDecodingTests.source([source]), beams: 3))
        #expect(alone[0] == three[source])
      }
    }
  }

  @Test(.enabled(if: counts_allocations()), arguments: models) func stepsAllocateNothing(options: Options) throws {
    let model = try options.model()
    let search = try BeamSearch(
      model.stream(SequenceDecodingTests.source(), beams: 4), SequenceDecoder(start: 0, end: 1, longest: 40))
    _ = try search.step()  // memory grows here only
    let before = allocations_of_this_thread()
    var steps = 0
    while try search.step() { steps += 1 }
    let count = allocations_of_this_thread() - before
    #expect(count == 0 && steps > 0, "\(count) allocations in \(steps) steps, \(options.name)")
    let stream = try model.stream(SequenceDecodingTests.source()), symbols = [1, 2, 3], order = [0, 1, 2]
    try stream.step(symbols.span)
    let start = allocations_of_this_thread()
    for _ in 0..<10 {
      try stream.step(symbols.span)
      try stream.reorder(order.span)
      _ = try stream.mostProbable(row: 1)
    }
    #expect(allocations_of_this_thread() == start, "\(options.name)")
  }

  /// The symbols that replace the targets' are the model's own choice after what it has read, and nothing else changes.
  @Test(arguments: models) func sampledSymbolsAreTheModels(options: Options) throws {
    let model = try options.model(seed: 2), (input, _) = try EncoderDecoderTests.batch()
    var random = SeededGenerator(seed: 1)
    let none = try model.sampled(input, probability: 0, using: &random)
    #expect(none == input.symbols)
    for (probability, seed) in [(1.0, UInt64(1)), (0.5, 1), (0.5, 2)] {
      var random = SeededGenerator(seed: seed), same = random, decisions = same
      let mixed = try model.sampled(input, probability: probability, using: &random)
      #expect(mixed == (try model.sampled(input, probability: probability, using: &same)))
      #expect(mixed.lengths == input.symbols.lengths)
      let logits = try model(.init(input.source, mixed), Workspace(isTraining: false)).0
      for step in 0..<mixed.steps {
        for sequence in 0..<3 {
          let symbol = mixed.symbols[step * 3 + sequence]
          let isOwn = step > 0 && Double.random(in: 0..<1, using: &decisions) < probability
          guard step < mixed.lengths![sequence] else { continue }
          guard isOwn else {
            #expect(symbol == input.symbols.symbols[step * 3 + sequence])
            continue
          }
          let row = Array(logits[step - 1, sequence])
          #expect(symbol == row.firstIndex(of: row.max()!))
        }
      }
    }
    expectError("probability is 1.5, expected 0 to 1") {
      try model.sampled(input, probability: 1.5, using: &random)
    }
    expectError("the batch of the symbols has 2 values, expected the number of sources = 3") {
      try model.sampled(
        .init(input.source, Tokens(padding: [[0], [0]])), probability: 1, using: &random)
    }
  }

  /// The program of the page "Read one sequence, write another": words that are written backwards.
  @Test func wordsAreReversed() throws {
    let words = ["stream", "level", "gate", "state", "unit", "record", "panel", "tile", "step", "cell"]
    let sources = words.map { $0.utf8.map { Int($0) - 97 } }, start = 26, end = 27
    let reader = try LSTM<Float>(
      inputSize: 16, hiddenSize: 32, direction: .bidirectional, initialization: Initialization(seed: 1))
    let writer = try LSTM<Float>(inputSize: 16, hiddenSize: 64, initialization: Initialization(seed: 2))
    var model = EncoderDecoder(
      encoder: try chain {
        Link("embedding", try Embedding(symbols: 26, size: 16, seed: 1))
        Link("layer", reader)
      }, bridge: try StateBridge(from: reader, to: writer, seed: 2),
      decoder: try RecurrentDecoder(
        Embedding(symbols: 28, size: 16, seed: 3), writer,
        attention: .general(GeneralAttention(querySize: 64, keySize: 64, seed: 4)), memorySize: 64, seed: 5))
    var batches = try ShuffledBatches(count: words.count, batchSize: 5)
    var optimizer = Adam(learningRate: 5e-3), gradients = try Gradients(model)
    let workspace = Workspace()
    for _ in 1...60 {
      while let batch = batches.next() {
        let target = try TeacherForcing(batch.map { sources[$0].reversed() }, start: start, end: end)
        let (logits, trace) = try model(.init(Tokens(padding: batch.map { sources[$0] }), target.inputs), workspace)
        let (_, d) = try SoftmaxCrossEntropy()(logits, target.targets)
        gradients.clear()
        try model.backward(d, trace, into: &gradients, workspace)
        try optimizer.update(&model, gradients, clipping: .norm(1))
      }
    }
    let search = SequenceDecoder(start: start, end: end, longest: 10), all = try Tokens(padding: sources)
    #expect(try search.greedy(model.stream(all)) == sources.map { $0.reversed() })
    let readings = try search.beam(model.stream(all, beams: 4))
    #expect(readings.map { $0[0].symbols } == sources.map { $0.reversed() })
    #expect(readings.allSatisfy { $0[0].isComplete && $0[0].logProbability > -1 })
  }

  /// The largest length is no number of steps to count through.
  @Test func greedyEndsWithItsTexts() throws {
    var model = try EncoderDecoderTests.goldens[2].model()
    model.decoder.head.bias[1] = 1e4
    let decoder = SequenceDecoder(start: 0, end: 1, longest: .max)
    #expect(try decoder.greedy(model.stream(SequenceDecodingTests.source())) == [[], [], []])
  }
}
