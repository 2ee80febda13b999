import Foundation
import Recurrent
import RecurrentTraining
import Testing

/// The flat gradients of a model, its list of parameters, and updates in place.
@Suite struct GradientsTests {
  @Test func theListNamesEveryParameter() throws {
    let model = try Sentiment(words: 9, cell: .gru(), size: 4), list = try ParameterList(model)
    #expect(list.shapes.map(\.name).prefix(3) == ["embedding.weight", "encoder.weight_ih_l0", "encoder.weight_hh_l0"])
    #expect(list.shapes.map(\.name).suffix(2) == ["head.weight", "head.bias"])
    #expect(list.shapes.map(\.shape).prefix(2) == [[9, 4], [12, 4]] && list.shapes.last!.shape == [1])
    #expect(list.shapes.filter(\.hasSparseRows).map(\.name) == ["embedding.weight"])
    #expect(list.count == model.parameterCount && list.count == 9 * 4 + 2 * 12 * 10 + 9)
    let named = model.namedParameters()
    #expect(named.map(\.name) == list.shapes.map(\.name))
    #expect(named[1].values == (try model.encoder.parameters.values("weight_ih_l0")))
    #expect(named.last!.values == model.head.bias)
  }

  @Test func aPartThatIsNotListedIsAnError() throws {
    struct Forgetful: Composite {
      var encoder: GRU<Float>, head: Dense, dropout: Dropout
      static let parts: [Part<Forgetful>] = [Part("encoder", \.encoder)]
    }
    let forgetful = Forgetful(
      encoder: try GRU(inputSize: 2, hiddenSize: 2), head: try Dense(inputSize: 2, outputSize: 1, seed: 1),
      dropout: try Dropout(rate: 0.1))
    let message = """
      the list of parts of Forgetful is ["encoder"], expected a line for each property with parameters: \
      ["encoder", "head"]
      """
    expectError(message) { try Gradients(forgetful) }
    struct Outer: Composite {
      var inner: Forgetful
      static let parts: [Part<Outer>] = [Part("inner", \.inner)]
    }
    expectError("inner: \(message)") { try Gradients(Outer(inner: forgetful)) }
    struct Twice: Composite {
      var a: Dense, b: Dense
      static let parts: [Part<Twice>] = [Part("a", \.a), Part("a", \.b)]
    }
    let dense = forgetful.head
    expectError("parameter 'a.weight' is listed twice, expected a name of its own") {
      try Gradients(Twice(a: dense, b: dense))
    }
    var short = dense
    short.weight = [1]
    expectError("weight has 1 values, expected [1, 2] = 2") { try Gradients(short) }
  }

  @Test func partsShareTheFlatArray() throws {
    let model = try Sentiment(words: 9, cell: .lstm(), size: 4)
    var gradients = try Gradients(model)
    let address = gradients.withMutableValues { UnsafePointer($0.baseAddress) }
    gradients.head.withMutableValues { $0[8] = 5 }
    let inner = gradients.head.withMutableValues { UnsafePointer($0.baseAddress) }
    #expect(inner == address.map { $0 + gradients.list.count - 9 }, "the view is in the same memory")
    #expect(gradients.values.last == 5 && gradients.head.values.last == 5 && gradients.totalNorm == 5)
    #expect(gradients.largest.parameter == "head.bias" && gradients.largest.value == 5)
    try gradients.embedding.markRows([7, 2, 7])
    gradients.embedding.withMutableValues { values in
      values[7 * 4] = 12
      values[3 * 4] = 100  // not marked: it does not count
    }
    #expect(gradients.totalNorm == 13)
    var other = try Gradients(model)
    try other.embedding.markRows([2, 8])
    other.embedding.withMutableValues { values in (values[2 * 4], values[8 * 4 + 3]) = (1, 2) }
    try gradients.add(other)
    #expect(gradients.embedding.values[2 * 4] == 1 && gradients.embedding.values[8 * 4 + 3] == 2)
    gradients.scale(by: 2)
    #expect(gradients.values.last == 10 && gradients.embedding.values[7 * 4] == 24)
    gradients.head.withMutableValues { $0[0] = .nan }
    #expect(gradients.largest.parameter == "head.weight" && gradients.largest.value.isNaN)
    gradients.clear()
    #expect(gradients.totalNorm == 0 && gradients.values.filter { $0 != 0 } == [100])
    let small = try Gradients(try Sentiment(words: 8, cell: .lstm(), size: 4))
    let count = small.list.count
    expectError("gradients has \(count) values, expected the model's parameters = \(count + 4)") {
      try gradients.add(small)
    }
  }

  /// What is done to a part's gradients leaves those of the other parts as they are.
  @Test func viewsAreOfTheirPartAlone() throws {
    let model = try Sentiment(words: 9, cell: .gru(), size: 4)
    var gradients = try Gradients(model)
    gradients.withMutableValues { $0.update(repeating: 1) }
    try gradients.embedding.markRows(Array(0..<9))
    let count = gradients.list.count, head = 9, embedding = 36
    #expect(gradients.head.totalNorm == 3)
    gradients.head.scale(by: 2)
    #expect(
      gradients.values.suffix(head).allSatisfy { $0 == 2 }
        && gradients.values.prefix(count - head).allSatisfy { $0 == 1 })
    gradients.encoder.clear()
    #expect(gradients.totalNorm == Double(embedding + 4 * head).squareRoot())
    gradients.embedding.clear()
    #expect(gradients.totalNorm == 6 && gradients.embedding.largest.value == 0)
    #expect(gradients.head.largest.parameter == "weight" && gradients.largest.parameter == "head.weight")
    var other = try Gradients(model)
    other.withMutableValues { $0.update(repeating: 1) }
    try other.embedding.markRows([3])
    try gradients.embedding.add(other.embedding)
    #expect(gradients.embedding.totalNorm == 2 && gradients.head.totalNorm == 6 && gradients.encoder.totalNorm == 0)
    for row in [9, -1, .max, .min] {
      expectError("row of weight is \(row), expected 0 to 8") { try gradients.embedding.markRows([2, row]) }
    }
    #expect(gradients.embedding.totalNorm == 2)
    expectError("parameter is 1, expected 0 to 0") { try gradients.embedding.markRows([0], ofParameter: 1) }
    var flat = try Gradients(try Embedding(symbols: 4, size: 3, seed: 1))
    let tall = try Gradients(try Embedding(symbols: 6, size: 2, seed: 1))
    expectError(
      "gradients are of weight [6, 2] with sparse rows, expected weight [4, 3] with sparse rows, as in the model"
    ) { try flat.add(tall) }
    let big = try Embedding(symbols: 900, size: 3, seed: 1)
    let tokens = try Tokens([800], steps: 1, batchSize: 1), dx = try Sequences<Float>(steps: 1, batchSize: 1, size: 3)
    expectError("gradients has 12 values, expected 900·3 = 2700") {
      try big.backward(dx, tokens, into: &flat, Workspace())
    }
  }

  @Test func aListOfModulesHasViewsByIndex() throws {
    struct Deep: Composite {
      var layers: [Dense], norm: LayerNorm
      static let parts: [Part<Deep>] = [Part("layers", \.layers), Part("norm", \.norm)]
    }
    let deep = Deep(
      layers: [try Dense(inputSize: 2, outputSize: 3, seed: 1), try Dense(inputSize: 3, outputSize: 1, seed: 2)],
      norm: try LayerNorm(size: 1))
    var gradients = try Gradients(deep)
    #expect(
      gradients.list.shapes.map(\.name) == [
        "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias", "norm.weight", "norm.bias",
      ])
    gradients.layers[1].withMutableValues { $0[3] = 1 }
    #expect(gradients.values[9 + 3] == 1 && gradients.totalNorm == 1)
    gradients.norm.withMutableValues { $0[0] = 2 }
    #expect(gradients.values[13] == 2)
    gradients[part: \.norm].withMutableValues { $0[1] = 3 }
    #expect(gradients.values[14] == 3)
  }

  /// Updates change the parameters where they are: nothing is copied if nobody holds a copy.
  @Test func updatesAreInPlace() throws {
    var model = try Sentiment(words: 9, cell: .gru(), size: 4)
    func places(_ model: Sentiment) -> [UnsafePointer<Float>?] {
      var all: [UnsafePointer<Float>?] = []
      model.readParameters { all.append($0.baseAddress) }
      return all
    }
    let w = Workspace(), text = try Tokens(padding: [[1, 2, 3], [4]]), before = places(model)
    var gradients = try Gradients(model)
    for _ in 0..<3 {
      let (logits, trace) = try model(text, w)
      try model.backward(logits, trace, into: &gradients, w)
      model.updateParameters { for index in $0.indices { $0[index] *= 0.99 } }
    }
    #expect(places(model) == before)
    // A copy keeps its values.
    let copy = model
    model.updateParameters { $0.update(repeating: 0) }
    #expect(copy.namedParameters().allSatisfy { $0.values.contains { $0 != 0 } })
    #expect(model.namedParameters().allSatisfy { $0.values.allSatisfy { $0 == 0 } })
    #expect(try model(text, w).0.values == [0, 0])
  }

  @Test func parametersAreSetByName() throws {
    let model = try Sentiment(words: 9, cell: .gru(), size: 4)
    var other = try Sentiment(words: 9, cell: .gru(), size: 4)
    other.updateParameters { $0.update(repeating: 1) }
    var named = Dictionary(uniqueKeysWithValues: model.namedParameters().map { ($0.name, $0.values) })
    try other.setParameters(named)
    let text = try Tokens(padding: [[1, 2, 3], [4]]), w = Workspace()
    #expect(try other(text, w).0 == model(text, w).0)
    named["head.bias"] = [1, 2]
    expectError("head.bias has 2 values, expected [1] = 1") { try other.setParameters(named) }
    named["head.bias"] = nil
    #expect(throws: RecurrentError.self) { try other.setParameters(named) }
    named["head.bias"] = [0]
    named["tail.bias"] = [0]
    #expect(throws: RecurrentError.self) { try other.setParameters(named) }
    #expect(try other(text, w).0 == model(text, w).0)
  }

  /// Backward adds the same bits to flat gradients as to `Parameters`, with every option of a layer.
  @Test func flatGradientsHaveTheBitsOfParameters() throws {
    let x = try ModuleTests.numbers(steps: 5, batchSize: 4, size: 3, lengths: [5, 2, 3, 1])
    let layer = try LSTM<Float>(inputSize: 3, hiddenSize: 7, layerCount: 2, direction: .bidirectional)
    let (record, output) = try layer.record(x, options: CallOptions(dropout: .off))
    var sums = layer.zeroGradients()
    let result = try layer.backward(consuming: record, x: x, dy: output.y, into: &sums)
    let w = Workspace(), (again, trace) = try layer(x, w)
    #expect(again == output)
    var gradients = try Gradients(layer)
    let dx = try layer.backward(OutputGradient(dy: output.y), trace, into: &gradients, w)
    #expect(Array(gradients.values) == sums.values && dx == result.dx && dx.lengths == x.lengths)

    // The form on spans.
    let record2 = Record<Float>(), scratch = Scratch<Float>()
    var state = try layer.zeroState(batchSize: 4), dState = try layer.zeroStateGradient(batchSize: 4)
    try layer.record(
      x.values.span, steps: 5, batchSize: 4, state: &state, into: record2,
      options: CallOptions(lengths: x.lengths, dropout: .off), scratch: scratch)
    var flat = [Float](repeating: 0, count: sums.values.count), dx2 = x.values
    var gradientSpan = flat.mutableSpan, dxSpan = dx2.mutableSpan
    try layer.backward(
      consuming: record2, x: x.values.span, dy: output.y.values.span, dState: &dState, dx: &dxSpan,
      into: &gradientSpan, scratch: scratch)
    #expect(flat == sums.values && dx2 == dx.values)
    try layer.record(x.values.span, steps: 5, batchSize: 4, state: &state, into: record2, scratch: scratch)
    var short = [Float](repeating: 0, count: 3), shortSpan = short.mutableSpan, dxAgain = dx2.mutableSpan
    #expect(
      throws: RecurrentError.count(
        name: "gradients", was: 3, expected: sums.values.count, shape: "the parameters' count")
    ) {
      try layer.backward(
        consuming: record2, x: x.values.span, dy: output.y.values.span, dState: &dState, dx: &dxAgain,
        into: &shortSpan, scratch: scratch)
    }
    #expect(short == [0, 0, 0])
  }

  @Test func lengthsOfSequencesAreThoseOfTheCall() throws {
    let layer = try GRU<Float>(inputSize: 3, hiddenSize: 4)
    let whole = try ModuleTests.numbers(steps: 5, batchSize: 2, size: 3)
    let ragged = try Sequences(whole.values, steps: 5, batchSize: 2, size: 3, lengths: [5, 2])
    let byOptions = try layer.forward(whole, options: CallOptions(lengths: [5, 2])), byInput = try layer.forward(ragged)
    #expect(byInput == byOptions && byInput.y.lengths == [5, 2])
    expectError("options.lengths is [5, 3], expected x.lengths = [5, 2], or nil") {
      try layer.forward(ragged, options: CallOptions(lengths: [5, 3]))
    }
    expectError("lengths[1] is 6, expected 0 to 5, the steps") {
      try Sequences(whole.values, steps: 5, batchSize: 2, size: 3, lengths: [5, 6])
    }
    expectError("lengths has 1 values, expected batchSize = 2") {
      try Sequences(whole.values, steps: 5, batchSize: 2, size: 3, lengths: [5])
    }
  }
}

extension GradientsTests {
  /// Rows that were not seen have a gradient of zero: an update has the bits of one in which every row was seen.
  @Test func rowsThatWereNotSeenHaveTheBitsOfZeros() throws {
    for size in [1, 3, 8, 17] {
      var sparse = try Embedding(symbols: 70, size: size, seed: 1), dense = sparse
      var sums = try Gradients(sparse), allSums = try Gradients(dense)
      var adam = Adam(learningRate: 0.1), allAdam = adam
      var random = SeededGenerator(seed: 2)
      for update in 0..<6 {
        let tokens = try Tokens((0..<5).map { _ in Int.random(in: 0..<70, using: &random) }, steps: 5, batchSize: 1)
        let dx = try ModuleTests.numbers(steps: 5, batchSize: 1, size: size), w = Workspace()
        sums.clear()
        allSums.clear()
        try sparse.backward(dx, tokens, into: &sums, w)
        try dense.backward(dx, tokens, into: &allSums, w)
        try allSums.markRows(Array(0..<70))
        #expect(sums.totalNorm == allSums.totalNorm, "size \(size), update \(update)")
        try adam.update(&sparse, sums, clipping: .norm(0.5))
        try allAdam.update(&dense, allSums, clipping: .norm(0.5))
        #expect(sparse == dense && adam == allAdam, "size \(size), update \(update)")
      }
    }
  }

  /// The gradients of a batch do not depend on how it is cut, but for rounding; on as many threads they have equal
  /// bits.
  @Test(arguments: [1, 2, 3])
  func threadsAddTheirParts(count: Int) throws {
    let model = try Sentiment(words: 30, cell: .gru(), size: 6)
    let texts = (0..<6).map { text in (0...text).map { ($0 * 7 + text) % 30 } }, labels: [Float] = [1, 0, 0, 1, 1, 0]
    var whole = try Gradients(model)
    let w = Workspace(), (logits, trace) = try model(try Tokens(padding: texts), w)
    let (loss, d) = try BinaryCrossEntropy()(logits, labels)
    try model.backward(d, trace, into: &whole, w)
    let parallel = try DataParallel(model, threads: Threads(count: count))
    var results: [[Float]] = []
    for _ in 0..<2 {
      var gradients = try Gradients(model)
      let sum = try parallel.gradients(of: model, into: &gradients) {
        part, model, gradients, workspace throws(RecurrentError) in
        let range = 6 * part / count..<6 * (part + 1) / count, share = Float(range.count) / 6
        let (logits, trace) = try model(try Tokens(padding: Array(texts[range])), workspace)
        let (loss, d) = try BinaryCrossEntropy()(logits, Array(labels[range]), weight: share)
        try model.backward(d, trace, into: &gradients, workspace)
        return loss * Double(share)
      }
      #expect(abs(sum - loss) < 1e-6)
      results.append(Array(gradients.values))
      for (a, b) in zip(gradients.values, whole.values) { #expect(abs(a - b) < 1e-6) }
    }
    #expect(results[0] == results[1])
    var unusable = try Gradients(model)
    expectError("embedding: symbol of step 0 of sequence 0 is 30, expected 0 to 29") {
      try parallel.gradients(of: model, into: &unusable) { part, model, gradients, workspace throws(RecurrentError) in
        _ = try model(try Tokens(padding: [[part == 0 ? 30 : 1]]), workspace)
        return 0
      }
    }
  }
}
