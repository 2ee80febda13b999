import Recurrent
import RecurrentTraining
import Testing

@Suite struct HierarchyTests {
  private static func encoder(_ direction: Direction = .bidirectional) throws -> HierarchicalEncoder {
    let words = try Layer<Float>(
      .gru(), inputSize: 3, hiddenSize: 4, direction: direction, initialization: Initialization(seed: 2))
    let sentences = try Layer<Float>(
      .lstm(), inputSize: words.outputSize, hiddenSize: 5, direction: direction, initialization: Initialization(seed: 3)
    )
    return try HierarchicalEncoder(
      embedding: Embedding(symbols: 6, size: 3, seed: 1), words: words, sentences: sentences)
  }

  /// Sentences and words of different lengths, an empty word and an empty sentence.
  private static let sentences = [[[1, 2, 3], [4]], [], [[5, 5], [], [1, 2, 3, 4, 5]], [[2]]]

  @Test func rowsBecomeSteps() throws {
    let rows = try Sequences((0..<12).map(Float.init), steps: 1, batchSize: 6, size: 2), counts = [2, 0, 3, 1]
    let (y, trace) = try Grouping()(RowGroups(rows, counts: counts), Workspace())
    #expect(y.lengths == counts && y.steps == 3 && y.batchSize == 4)
    #expect(Array(y[0, 0]) == [0, 1] && Array(y[1, 0]) == [2, 3] && Array(y[2, 0]) == [0, 0])
    #expect(Array(y[0, 1]) == [0, 0])
    #expect(Array(y[0, 2]) == [4, 5] && Array(y[2, 2]) == [8, 9] && Array(y[0, 3]) == [10, 11])
    // Backward is the way back, and reads nothing behind the lengths.
    var dy = y
    dy.withMutableValues { dy in
      for index in dy.indices where index / 8 >= counts[index / 2 % 4] { dy[index] = .nan }
    }
    let dRows = try Grouping().backward(dy, trace)
    #expect(dRows.values == rows.values && dRows.steps == 1)
    let none = try Grouping()(RowGroups(Sequences(steps: 1, batchSize: 1, size: 2), counts: [0, 1]), Workspace()).0
    #expect(none.lengths == [0, 1])
  }

  @Test func backwardIsThatOfTheLosses() throws {
    for direction in [Direction.forward, .bidirectional] {
      var model = try chain {
        Link("encoder", try HierarchyTests.encoder(direction))
        Link("last", LastOutput())
        Link("head", try Dense(inputSize: direction == .forward ? 5 : 10, outputSize: 2, seed: 4))
      }
      let check = try checkGradients(&model, NestedTokens(padding: HierarchyTests.sentences), samples: 40) {
        logits throws(RecurrentError) in try SoftmaxCrossEntropy()(logits, [0, 1, 1, 0])
      }
      #expect(check.relativeError < 0.01, "\(direction): \(check)")
      // A label for each word.
      var tagger = try chain {
        Link("encoder", try HierarchyTests.encoder(direction))
        Link("outputs", EveryOutput())
        Link("head", try Dense(inputSize: direction == .forward ? 5 : 10, outputSize: 2, seed: 4))
      }
      let tags = try checkGradients(&tagger, NestedTokens(padding: HierarchyTests.sentences), samples: 40) {
        logits throws(RecurrentError) in try SoftmaxCrossEntropy()(logits, [0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 1, 0])
      }
      #expect(tags.relativeError < 0.01, "\(direction): \(tags)")
    }
  }

  /// Other words and sentences beside it change no bit of a sentence.
  @Test func eachSentenceIsReadByItself() throws {
    let encoder = try HierarchyTests.encoder()
    let (all, _) = try encoder(NestedTokens(padding: HierarchyTests.sentences), Workspace())
    #expect(all.y.lengths == [2, 0, 3, 1])
    for (sequence, sentence) in HierarchyTests.sentences.enumerated() where !sentence.isEmpty {
      let (alone, _) = try encoder(NestedTokens(padding: [sentence]), Workspace())
      for step in sentence.indices { #expect(Array(alone.y[step, 0]) == Array(all.y[step, sequence])) }
    }
    // It is what its parts give: the words' last outputs, which the second layer reads.
    let word = try Tokens(padding: [[5, 5]])
    let (states, _) = try encoder.words(encoder.embedding(word, Workspace()).0, Workspace())
    let one = try encoder.sentences(LastOutput()(states, Workspace()).0, Workspace()).0
    let same = try encoder(NestedTokens(words: word, counts: [1]), Workspace()).0
    #expect(one.y.values == same.y.values)
  }

  /// A sentence is right if its first word is written like its last one: this takes both levels.
  @Test func wordsAreComparedByTheirLetters() throws {
    var random = SeededGenerator(seed: 5)
    func word() -> [Int] {
      (0..<Int.random(in: 2...3, using: &random)).map { _ in Int.random(in: 0...1, using: &random) }
    }
    func examples(_ count: Int) throws -> (NestedTokens, [Float]) {
      var sentences: [[[Int]]] = [], labels: [Float] = []
      for index in 0..<count {
        let first = word()
        var last = index % 2 == 0 ? first : word()
        while index % 2 == 1, last == first { last = word() }
        sentences.append([first] + (0..<index % 3).map { _ in word() } + [last])
        labels.append(index % 2 == 0 ? 1 : 0)
      }
      return (try NestedTokens(padding: sentences), labels)
    }
    var model = try chain {
      Link(
        "encoder",
        try HierarchicalEncoder(
          embedding: Embedding(symbols: 2, size: 4, seed: 1),
          words: Layer(.gru(), inputSize: 4, hiddenSize: 12, initialization: Initialization(seed: 2)),
          sentences: Layer(.gru(), inputSize: 12, hiddenSize: 24, initialization: Initialization(seed: 3))))
      Link("last", LastOutput())
      Link("head", try Dense(inputSize: 24, outputSize: 1, seed: 4))
    }
    var optimizer = Adam(learningRate: 5e-3), gradients = try Gradients(model)
    let workspace = Workspace()
    for _ in 0..<600 {
      let (text, labels) = try examples(64)
      let (logits, trace) = try model(text, workspace)
      let (_, d) = try BinaryCrossEntropy()(logits, labels)
      gradients.clear()
      try model.backward(d, trace, into: &gradients, workspace)
      try optimizer.update(&model, gradients, clipping: .norm(1))
    }
    let (text, labels) = try examples(400)
    let right = try binaryAccuracy(model(text, workspace).0, labels)
    #expect(right > 0.95, "\(right)")
  }

  @Test func badInputIsNamed() throws {
    let rows = try Sequences<Float>(steps: 1, batchSize: 3, size: 2)
    expectError("the sum of the counts is 2, expected 3, the rows") { try RowGroups(rows, counts: [1, 1]) }
    expectError("the count of group 1 is 3, expected 0 to 2, what is left of 3 rows") {
      try RowGroups(rows, counts: [1, 3])
    }
    expectError("the count of group 0 is -1, expected 0 to 3, what is left of 3 rows") {
      try RowGroups(rows, counts: [-1, 4])
    }
    expectError("the number of groups is 0, expected at least 1") { try RowGroups(rows, counts: []) }
    expectError("the steps of the rows is 2, expected 1") {
      try RowGroups(Sequences(steps: 2, batchSize: 3, size: 2), counts: [3])
    }
    expectError("the sum of the counts is 1, expected 2, the words") {
      try NestedTokens(words: Tokens(padding: [[1], [2]]), counts: [1])
    }
    expectError("texts is empty, expected at least one text") { try NestedTokens(padding: [[], []]) }
    let (_, trace) = try Grouping()(RowGroups(rows, counts: [2, 1]), Workspace())
    #expect(throws: RecurrentError.self) { try Grouping().backward(rows, trace) }
    expectError(
      "the direction of the layer of words is bidirectionalSum, "
        + "expected another one: the sum of both directions has no last output"
    ) {
      try HierarchicalEncoder(
        embedding: Embedding(symbols: 2, size: 3, seed: 1),
        words: Layer(.gru(), inputSize: 3, hiddenSize: 4, direction: .bidirectionalSum),
        sentences: Layer(.gru(), inputSize: 4, hiddenSize: 2))
    }
    expectError("the input size of the layer of sentences is 5, expected 4") {
      try HierarchicalEncoder(
        embedding: Embedding(symbols: 2, size: 3, seed: 1), words: Layer(.gru(), inputSize: 3, hiddenSize: 4),
        sentences: Layer(.gru(), inputSize: 5, hiddenSize: 4))
    }
    let encoder = try HierarchyTests.encoder()
    expectError("embedding: symbol of step 0 of sequence 1 is 6, expected 0 to 5") {
      try encoder(NestedTokens(padding: [[[1], [6]]]), Workspace())
    }
  }
}
