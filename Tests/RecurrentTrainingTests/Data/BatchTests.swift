import Recurrent
import RecurrentTraining
import Testing

@Suite struct BatchTests {
  // MARK: - Tokens

  @Test func textsArePaddedOnTheRight() throws {
    let tokens = try Tokens(padding: [[1, 2, 3], [], [4]])
    #expect(tokens.symbols == [1, 0, 4, 2, 0, 0, 3, 0, 0] && tokens.steps == 3 && tokens.batchSize == 3)
    #expect(tokens.lengths == [3, 0, 1])
    #expect(try Tokens([1, 0, 4, 2, 0, 0, 3, 0, 0], steps: 3, batchSize: 3, lengths: [3, 0, 1]) == tokens)

    let cut = try Tokens(padding: [[1, 2, 3], [], [4]], with: -1, longest: 2)
    #expect(cut.symbols == [1, -1, 4, 2, -1, -1] && cut.steps == 2 && cut.lengths == [2, 0, 1])
    #expect(try Tokens(padding: [[1]], longest: 5).steps == 1)
    let empty = try Tokens(padding: [[], []], with: 7)
    #expect(empty.symbols == [7, 7] && empty.steps == 1 && empty.lengths == [0, 0])
    expectError("texts is empty, expected at least one text") { try Tokens(padding: []) }
    expectError("longest is 0, expected at least 1") { try Tokens(padding: [[1]], longest: 0) }
  }

  @Test func countsAndLengthsAreChecked() throws {
    #expect(try Tokens([1, 2], steps: 1, batchSize: 2).lengths == nil)
    expectError("symbols has 3 values, expected steps·batchSize = 4") { try Tokens([1, 2, 3], steps: 2, batchSize: 2) }
    expectError("steps is 0, expected at least 1") { try Tokens([], steps: 0, batchSize: 2) }
    expectError("batchSize is -1, expected at least 1") { try Tokens([], steps: 1, batchSize: -1) }
    expectError("lengths has 1 values, expected batchSize = 2") {
      try Tokens([1, 2], steps: 1, batchSize: 2, lengths: [1])
    }
    for length in [-1, 2] {
      expectError("lengths[1] is \(length), expected 0 to 1") {
        try Tokens([1, 2], steps: 1, batchSize: 2, lengths: [1, length])
      }
    }
    #expect(throws: RecurrentError.self) { try Tokens([], steps: .max, batchSize: .max) }
  }

  // MARK: - Shuffled batches

  private static func epoch(_ batches: inout ShuffledBatches) -> [[Int]] {
    var epoch: [[Int]] = []
    while let batch = batches.next() { epoch.append(batch) }
    return epoch
  }

  private static let lengths = (0..<103).map { ($0 * 37) % 50 }

  private static func kinds(seed: UInt64) throws -> [ShuffledBatches] {
    [
      try ShuffledBatches(count: 103, batchSize: 8, seed: seed),
      try ShuffledBatches(lengths: lengths, batchSize: 8, window: 3, seed: seed),
    ]
  }

  @Test func everyEpochHasEachExampleOnce() throws {
    for (kind, batches) in try BatchTests.kinds(seed: 1).enumerated() {
      var batches = batches
      let epochs = (0..<3).map { _ in BatchTests.epoch(&batches) }
      for epoch in epochs {
        #expect(epoch.flatMap(\.self).sorted() == Array(0..<103), "kind \(kind)")
        #expect(epoch.map(\.count).sorted() == [7] + Array(repeating: 8, count: 12) && batches.count == 13)
      }
      #expect(Set(epochs).count == 3 && batches.place == .init(epoch: 3, position: 0))
      var same = try BatchTests.kinds(seed: 1)[kind], other = try BatchTests.kinds(seed: 2)[kind]
      #expect(BatchTests.epoch(&same) == epochs[0] && BatchTests.epoch(&other) != epochs[0])
    }
  }

  /// The same order on every machine, and in every version that reads old checkpoints.
  @Test func theOrderIsThatOfItsSeed() throws {
    var batches = try ShuffledBatches(count: 7, batchSize: 3, seed: 1)
    #expect(BatchTests.epoch(&batches) == [[0, 6, 2], [4, 1, 5], [3]])
    #expect(BatchTests.epoch(&batches) == [[6, 5, 0], [4, 2, 3], [1]])
    var sorted = try ShuffledBatches(lengths: [5, 1, 4, 1, 5, 9, 2], batchSize: 2, window: 2, seed: 1)
    #expect(BatchTests.epoch(&sorted) == [[0, 4], [6, 2], [1, 3], [5]])
  }

  @Test func batchesByLengthAreSortedInWindows() throws {
    var whole = try ShuffledBatches(lengths: BatchTests.lengths, batchSize: 8, window: .max)
    // One window: the batches are consecutive pieces of the sorted lengths.
    let spans = BatchTests.epoch(&whole).map { $0.map { BatchTests.lengths[$0] } }.sorted { $0[0] < $1[0] }
    #expect(spans.flatMap(\.self) == BatchTests.lengths.sorted())

    func padding(_ batches: ShuffledBatches) -> Int {
      var batches = batches
      return BatchTests.epoch(&batches).reduce(0) { sum, batch in
        let lengths = batch.map { BatchTests.lengths[$0] }
        return sum + lengths.max()! * batch.count - lengths.reduce(0, +)
      }
    }
    let (plain, byLength) = (try BatchTests.kinds(seed: 1)[0], try BatchTests.kinds(seed: 1)[1])
    #expect(2 * padding(byLength) < padding(plain))
    // Batches of one window are sorted, so that each is in order; their order is random.
    var batches = byLength
    let epoch = BatchTests.epoch(&batches)
    #expect(
      epoch.allSatisfy { $0.map { BatchTests.lengths[$0] }.elementsEqual($0.map { BatchTests.lengths[$0] }.sorted()) })
    let firsts = epoch.map { BatchTests.lengths[$0[0]] }
    #expect(firsts != firsts.sorted())
  }

  @Test func aPlaceThatWasSavedGoesOn() throws {
    for kind in 0..<2 {
      for stop in [0, 1, 12, 13, 14, 15, 27, 30] {
        var first = try BatchTests.kinds(seed: 9)[kind]
        for _ in 0..<stop { _ = first.next() }
        var second = try BatchTests.kinds(seed: 9)[kind]
        try second.move(to: first.place)
        #expect(second.place == first.place)
        for _ in 0..<40 { #expect(first.next() == second.next(), "kind \(kind), stopped after \(stop)") }
      }
    }
    var batches = try BatchTests.kinds(seed: 1)[0]
    for (place, message) in [
      (ShuffledBatches.Place(epoch: -1, position: 0), "epoch is -1, expected 0 or more"),
      (.init(epoch: .max, position: 0), "epoch is \(Int.max), expected 0 or more"),
      (.init(epoch: 0, position: 14), "position is 14, expected 0 to 13"),
      (.init(epoch: 0, position: -1), "position is -1, expected 0 to 13"),
    ] {
      expectError(message) { try batches.move(to: place) }
      #expect(batches.place == .init(epoch: 0, position: 0))
    }
    try batches.move(to: .init(epoch: .max - 1, position: 13))
    #expect(batches.next() == nil && batches.next()?.count == 8)
  }

  @Test func sizesAreChecked() throws {
    expectError("examples is 0, expected at least 1") { try ShuffledBatches(count: 0, batchSize: 1) }
    expectError("examples is 0, expected at least 1") { try ShuffledBatches(lengths: [], batchSize: 1) }
    expectError("batchSize is 0, expected at least 1") { try ShuffledBatches(count: 1, batchSize: 0) }
    expectError("window is 0, expected at least 1") { try ShuffledBatches(lengths: [1], batchSize: 1, window: 0) }
    #expect(throws: RecurrentError.self) { try ShuffledBatches(count: .max, batchSize: 1) }
    var one = try ShuffledBatches(count: 3, batchSize: .max)
    #expect(BatchTests.epoch(&one).map { $0.sorted() } == [[0, 1, 2]])
  }

  @Test func aGeneratorsStateCanBeSaved() {
    var first = SeededGenerator(seed: 7)
    for _ in 0..<5 { _ = first.nextNormal() }
    var second = SeededGenerator(seed: first.state)
    #expect(first == second)
    #expect((0..<5).map { _ in first.next() } == (0..<5).map { _ in second.next() })
    second.state = first.state
    #expect(first.next() == second.next())
  }
}
