import Recurrent
import RecurrentTraining
import Testing

extension RanksTests {
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
}
