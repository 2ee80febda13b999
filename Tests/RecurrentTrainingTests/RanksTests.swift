import Recurrent
import RecurrentTraining
import Testing

/// A model that drops values in all ways: of a batch with sizes that are no multiples of four, and between levels.
struct Classifier: Module, Composite {
  var embedding: Embedding, encoder: GRU<Float>, head: Dense
  var inputDropout: Dropout, headDropout: Dropout
  static let parts: [Part<Classifier>] = [
    Part("embedding", \.embedding), Part("encoder", \.encoder), Part("head", \.head),
  ]

  init(words: Int = 40, units: Int = 7) throws(RecurrentError) {
    embedding = try Embedding(symbols: words, size: 5, deviation: 0.5, seed: 1)
    encoder = try GRU(
      inputSize: 5, hiddenSize: units, layerCount: 2, dropout: 0.4, initialization: Initialization(seed: 2))
    head = try Dense(inputSize: units, outputSize: 1, seed: 3)
    inputDropout = try Dropout(rate: 0.3)
    headDropout = try Dropout(rate: 0.5)
  }

  struct Trace {
    var embedding: Embedding.Trace, input: Dropout.Trace, encoder: LayerTrace, last: LastOutput.Trace,
      dropped: Dropout.Trace, head: Dense.Trace
  }

  func forward(_ text: Tokens, _ w: Workspace) throws(RecurrentError) -> (Sequences<Float>, Trace) {
    let (vectors, embedded) = try embedding(text, w)
    let (x, input) = try inputDropout(vectors, w)
    let (states, encoded) = try encoder(x, w)
    let (last, place) = try LastOutput()(states, w)
    let (kept, dropped) = try headDropout(last, w)
    let (logits, decided) = try head(kept, w)
    return (
      logits,
      Trace(embedding: embedded, input: input, encoder: encoded, last: place, dropped: dropped, head: decided)
    )
  }

  func backward(
    _ d: Sequences<Float>, _ trace: Trace, into g: inout Gradients<Classifier>, _ w: Workspace
  ) throws(RecurrentError) {
    let dKept = try head.backward(d, trace.head, into: &g.head, w)
    let dLast = try headDropout.backward(dKept, trace.dropped, w)
    let dStates = try LastOutput().backward(dLast, trace.last, w)
    let dx = try encoder.backward(dStates, trace.encoder, into: &g.encoder, w)
    try embedding.backward(try inputDropout.backward(dx, trace.input, w), trace.embedding, into: &g.embedding, w)
  }
}

@Suite(.timeLimit(.minutes(2))) struct RanksTests {
  private static let texts = (0..<9).map { text in (0...(text * 5 % 7)).map { ($0 * 11 + text * 3) % 40 } }
  private static let labels: [Float] = [1, 0, 0, 1, 1, 0, 1, 0, 1]

  /// Some updates on batches of 9, 2 and 4 texts.
  ///
  /// - Returns: the losses, the parameters, and the number of dropout masks.
  @Sendable private static func train(_ ranks: Ranks) throws -> (losses: [Double], values: [Float], masks: Int) {
    var model = try Classifier(), optimizer = Adam(learningRate: 0.01), gradients = try Gradients(model)
    let workspace = Workspace(seed: 7)
    var losses: [Double] = []
    try ranks.broadcast(&model)
    for batch in [Array(0..<9), [3, 8], [1, 5, 2, 7], Array((0..<9).reversed())] {
      let current = model
      losses.append(
        try ranks.gradients(of: batch, into: &gradients, workspace) { share, gradients in
          let (logits, trace) = try current(try Tokens(padding: share.map { texts[$0] }), workspace)
          let (loss, d) = try BinaryCrossEntropy()(logits, share.map { labels[$0] })
          try current.backward(d, trace, into: &gradients, workspace)
          return loss
        })
      try optimizer.update(&model, gradients, clipping: .norm(0.5))
    }
    try ranks.check(model)
    return (losses, model.namedParameters().flatMap(\.values), workspace.masks)
  }

  /// Several ranks follow one process up to rounding, dropout included, and have the same bits.
  @Test(arguments: 2...5) func severalFollowOne(count: Int) throws {
    let alone = try Ranks(NoExchange()).run { try Self.train($0) }
    let results = try onRanks(count) { try Self.train($0) }.map { try $0.get() }
    for (rank, result) in results.enumerated() {
      #expect(result.losses == results[0].losses && result.values == results[0].values, "rank \(rank) of \(count)")
      #expect(result.masks == alone.masks, "rank \(rank) of \(count)")
    }
    #expect(largestDifference(results[0].losses, alone.losses) < 1e-5)
    // Adam divides by the gradients' size, so rounding moves a value by more than rounding.
    #expect(largestDifference(results[0].values.map(Double.init), alone.values.map(Double.init)) < 2e-3)
  }

  /// The gradients of one batch, of which some ranks see rows that others do not.
  @Test(arguments: 2...4) func gradientsAreThoseOfTheBatch(count: Int) throws {
    let model = try Classifier()
    @Sendable func gradients(_ ranks: Ranks, weight: @Sendable (Int) -> Double) throws -> Gradients<Classifier> {
      var gradients = try Gradients(model)
      let workspace = Workspace(seed: 3)
      _ = try ranks.gradients(of: Array(0..<9), into: &gradients, workspace, weight: weight) { share, gradients in
        let (logits, trace) = try model(try Tokens(padding: share.map { Self.texts[$0] }), workspace)
        let total = share.reduce(0) { $0 + weight($1) }
        var d = try BinaryCrossEntropy()(logits, share.map { Self.labels[$0] }).gradient
        d.withMutableValues { values in
          for (at, example) in share.enumerated() { values[at] *= Float(weight(example) / total) * Float(share.count) }
        }
        try model.backward(d, trace, into: &gradients, workspace)
        return 0
      }
      return gradients
    }
    for weight in [{ _ in 1 }, { Double($0 % 3 + 1) }] as [@Sendable (Int) -> Double] {
      let whole = try gradients(Ranks(NoExchange()), weight: weight)
      let results = try onRanks(count) { Array(try gradients($0, weight: weight).values) }
      for result in results {
        #expect(largestDifference(try result.get().map(Double.init), whole.values.map(Double.init)) < 1e-6)
      }
    }
  }

  /// One process computes a batch of which a whole share has no weight, so several ranks do.
  @Test func aShareWithoutWeightIsNotComputed() throws {
    let losses = try onRanks(2) { ranks in
      var gradients = try Gradients(try Classifier())
      return try ranks.gradients(of: [0, 3], into: &gradients, Workspace(), weight: { Double($0) }) { share, _ in
        try #require(share == [3])
        return 0.5
      }
    }
    for loss in losses { #expect(try loss.get() == 0.5) }
  }

  @Test func oneRankNeedsNoOther() throws {
    struct Own: Error {}
    var reported: [String] = []
    func run<Result>(_ body: (Ranks) throws -> Result) throws -> Result {
      try Ranks(NoExchange()).run {
        reported.append("\($0)")
      } _: {
        try body($0)
      }
    }
    #expect(try run { ranks in try ranks.sum([1, 2.5]) } == [1, 2.5])
    #expect(throws: Own.self) { try run { _ in throw Own() } }
    #expect(reported == ["Own()"])
    let numbers = try run { ranks in (ranks.rank, ranks.count, ranks.isFirst, ranks.cost.batches) }
    #expect(numbers == (0, 1, true, 0))
  }

  @Test(arguments: 1...4) func sumsAreInTheOrderOfRanks(count: Int) throws {
    let parts = [0.1, 1e17, -1e17, 0.7]
    let expected = parts[..<count].reduce(0, +)
    for result in try onRanks(count, { try $0.sum([parts[$0.rank], Double($0.rank)]) }) {
      #expect(try result.get() == [expected, Double(count * (count - 1) / 2)])
    }
  }

  // MARK: - Dropout

  /// The mask of a share is cut out of the mask of the whole batch, for sizes that are no multiples of four, too.
  @Test(arguments: [1, 3, 4, 7]) func sharesHaveTheMasksOfTheBatch(size: Int) throws {
    let dropout = try Dropout(rate: 0.5), steps = 3, batchSize = 5
    let ones = [Float](repeating: 1, count: steps * batchSize * size)
    let whole = try dropout(
      try Sequences(ones, steps: steps, batchSize: batchSize, size: size), Workspace(seed: 4)
    ).0
    #expect(whole.values.contains(0) && whole.values.contains(2))
    for sequences in [0..<2, 2..<5, 4..<5, 0..<5] {
      let w = Workspace(seed: 4), count = sequences.count
      w.share = BatchShare(sequences: sequences, batchSize: batchSize)
      let x = try Sequences(Array(ones[..<(steps * count * size)]), steps: steps, batchSize: count, size: size)
      let (y, seed) = try dropout(x, w)
      let expected = (0..<steps).flatMap { t in sequences.flatMap { Array(whole[t, $0]) } }
      #expect(y.values == expected, "sequences \(sequences)")
      #expect(try dropout.backward(x, seed, w).values == expected, "sequences \(sequences)")
    }
  }
}
