import Recurrent
import RecurrentTraining
import Synchronization
import Testing

/// Ranks that are threads of this process, so that the tests need no MPI.
private final class ThreadExchange: Exchange, @unchecked Sendable {
  /// What the ranks give each other.
  final class Table: Sendable {
    let words: Mutex<[[UInt64]]>, floats: Mutex<[[Float]]>, bytes = Mutex<[UInt8]>([])

    init(_ count: Int) {
      words = Mutex(Array(repeating: [], count: count))
      floats = Mutex(Array(repeating: [], count: count))
    }
  }

  let rank: Int, count: Int
  private let share: Share, table: Table

  init(_ share: Share, _ table: Table) {
    (rank, count) = (share.index, share.count)
    self.share = share
    self.table = table
  }

  func unite(_ words: inout [UInt64]) {
    table.words.withLock { $0[rank] = words }
    share.barrier()
    let all = table.words.withLock { $0 }
    share.barrier()
    for others in all {
      #expect(others.count == words.count)
      for index in words.indices { words[index] |= others[index] }
    }
  }

  func sum(_ values: UnsafeMutableBufferPointer<Float>) {
    table.floats.withLock { $0[rank] = Array(values) }
    share.barrier()
    let all = table.floats.withLock { $0 }
    share.barrier()
    for others in all { #expect(others.count == values.count) }
    for index in values.indices { values[index] = all.reduce(0) { $0 + $1[index] } }
  }

  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int) {
    if self.rank == rank { table.bytes.withLock { $0 = Array(bytes) } }
    share.barrier()
    let all = table.bytes.withLock { $0 }
    share.barrier()
    #expect(all.count == bytes.count)
    bytes.copyBytes(from: all)
  }

  func finish() { share.barrier() }
}

/// What each rank runs.
private struct RankWork: SharedWork {
  let body: @Sendable (Share) -> Void

  func run(_ share: Share) { body(share) }
}

/// Runs a program on ranks that are threads.
///
/// - Returns: what it returned or threw on each rank, in the order of the ranks.
private func onRanks<Value: Sendable>(
  _ count: Int, _ program: @escaping @Sendable (Ranks) throws -> Value
) throws -> [Result<Value, any Error>] {
  let table = ThreadExchange.Table(count), results = Mutex<[Int: Result<Value, any Error>]>([:])
  let work = RankWork { share in
    let result = Result { try Ranks(ThreadExchange(share, table)).run(program) }
    results.withLock { $0[share.index] = result }
  }
  try Threads(count: count).run(work)
  return results.withLock { all in (0..<count).map { all[$0]! } }
}

/// A model that drops values in all ways: of a batch with sizes that are no multiples of four, and between levels.
private struct Classifier: Module, Composite {
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

  // MARK: - Disagreement

  /// All ranks must throw the same.
  private func expectAll<Value: Sendable>(
    _ message: String, sourceLocation: SourceLocation = #_sourceLocation,
    _ program: @escaping @Sendable (Ranks) throws -> Value
  ) throws {
    for result in try onRanks(3, program) {
      expectError(message, sourceLocation: sourceLocation) { try result.get() }
    }
  }

  @Test func shapesThatDifferAreNamed() throws {
    try expectAll(
      "rank 2: parameter 2 is encoder.weight_ih_l0 [24, 5], expected encoder.weight_ih_l0 [21, 5], as on rank 0"
    ) { ranks in
      var model = try Classifier(units: ranks.rank == 2 ? 8 : 7)
      try ranks.broadcast(&model)
    }
    // Gradients of other shapes are found, too, where no model was broadcast.
    try expectAll(
      "rank 1: parameter 1 is embedding.weight [41, 5] with sparse rows, expected embedding.weight [40, 5] with sparse "
        + "rows, as on rank 0"
    ) { ranks in
      var gradients = try Gradients(try Classifier(words: ranks.rank == 1 ? 41 : 40))
      return try ranks.gradients(of: [1, 2, 3], into: &gradients, Workspace()) { _, _ in 0 }
    }
  }

  @Test func valuesThatDifferAreNamed() throws {
    try expectAll("rank 1: epochs is 3, expected 2, as on rank 0") { ranks in
      try ranks.check(["rate": "0.1", "epochs": ranks.rank == 0 ? "2" : "3"])
    }
    try expectAll("rank 2: seeds is missing, expected 5, as on rank 0") { ranks in
      try ranks.check(ranks.rank == 2 ? ["epochs": "2"] : ["epochs": "2", "seeds": "5"])
    }
    try expectAll("rank 2: seeds is 5, expected none: rank 0 has no such value") { ranks in
      try ranks.check(ranks.rank == 2 ? ["epochs": "2", "seeds": "5"] : ["epochs": "2"])
    }
    try expectAll("rank 1: value 1 is epoch, expected epochs, as on rank 0") { ranks in
      try ranks.check([ranks.rank == 1 ? "epoch" : "epochs": "2"])
    }
    for result in try onRanks(2, { try $0.check(try Dense(inputSize: 2, outputSize: 2, seed: UInt64($0.rank))) }) {
      let error = #expect(throws: RecurrentError.self) { try result.get() }
      #expect(error?.description.hasPrefix("rank 1: the fingerprint of weight is ") == true)
    }
    let equal = try onRanks(3) { ranks in
      var model = try Dense(inputSize: 2, outputSize: 2, seed: UInt64(ranks.rank))
      try ranks.broadcast(&model)
      try ranks.check(model)
      return model.namedParameters().flatMap(\.values)
    }
    let first = try Dense(inputSize: 2, outputSize: 2, seed: 0).namedParameters().flatMap(\.values)
    for result in equal { #expect(try result.get() == first) }
  }

  @Test func otherBatchesAndCallsAreErrors() throws {
    @Sendable func call(_ ranks: Ranks, _ batch: [Int]) throws -> Double {
      var gradients = try Gradients(try Classifier())
      return try ranks.gradients(of: batch, into: &gradients, Workspace()) { _, _ in 0 }
    }
    try expectAll("rank 1: the batch is [0, 2], expected [0, 1], as on rank 0") { ranks in
      try call(ranks, ranks.rank == 1 ? [0, 2] : [0, 1])
    }
    try expectAll("rank 1: its call is sum, expected gradients, as on rank 0") { ranks in
      if ranks.rank == 1 { _ = try ranks.sum([1]) } else { _ = try call(ranks, [1]) }
    }
    // Both calls compare shapes first.
    try expectAll("rank 1: its call is broadcast, expected check, as on rank 0") { ranks in
      var model = try Dense(inputSize: 2, outputSize: 2, seed: 1)
      if ranks.rank == 1 { try ranks.broadcast(&model) } else { try ranks.check(model) }
    }
    try expectAll("rank 1: the seed of the workspace is 5, expected 4, as on rank 0") { ranks in
      var gradients = try Gradients(try Classifier())
      return try ranks.gradients(of: [0, 1], into: &gradients, Workspace(seed: ranks.rank == 1 ? 5 : 4)) { _, _ in 0 }
    }
    try expectAll("rank 1: the weights is [1.0, 2.0], expected [1.0, 1.0], as on rank 0") { ranks in
      var gradients = try Gradients(try Classifier())
      return try ranks.gradients(
        of: [0, 1], into: &gradients, Workspace(), weight: { ranks.rank == 1 && $0 == 1 ? 2 : 1 }
      ) { _, _ in 0 }
    }
    try expectAll("rank 1: adds 2 numbers, expected 1, as rank 0 does") { ranks in
      try ranks.sum(ranks.rank == 1 ? [1, 2] : [1])
    }
    // A rank that has no more batches than others do.
    try expectAll("rank 2: its call is the end of `run`, expected gradients, as on rank 0") { ranks in
      ranks.rank == 2 ? 0 : try call(ranks, [1])
    }
    try expectAll("rank 0: the weight of a batch of 0 is 0.0, expected a finite number above 0") { try call($0, []) }
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

  @Test func aModelWithTooFewValuesIsAnError() throws {
    var dense = try Dense(inputSize: 2, outputSize: 2, seed: 1)
    dense.bias.removeLast()
    let broken = dense
    try expectAll("rank 0: bias has 1 values, expected [2] = 2") { try $0.check(broken) }
    var checkpoint = Checkpoint()
    #expect(throws: RecurrentError.self) { try checkpoint.store(broken) }
  }

  // MARK: - Failures

  @Test func aRankThatFailsEndsAll() throws {
    struct Own: Error, CustomStringConvertible { let description = "what only this rank has" }
    let failing: @Sendable (Ranks) throws -> Void = { ranks in
      let model = try Classifier()
      var gradients = try Gradients(model)
      _ = try ranks.gradients(of: Array(0..<6), into: &gradients, Workspace()) { share, _ in
        _ = try model(try Tokens(padding: [[share.contains(2) ? 99 : 1]]), Workspace())
        return 0
      }
    }
    try expectAll("rank 1: embedding: symbol of step 0 of sequence 0 is 99, expected 0 to 39", failing)
    // Outside of a call, while the others wait in one.
    try expectAll("rank 1: what only this rank has") { ranks in
      if ranks.rank == 1 { throw Own() }
      return try ranks.sum([1])
    }
    try expectAll("rank 0: what only this rank has") { _ in throw Own() }
    // Who catches it gets it again.
    try expectAll("rank 1: embedding: symbol of step 0 of sequence 0 is 99, expected 0 to 39") { ranks in
      try? failing(ranks)
      return try ranks.sum([1])
    }
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
