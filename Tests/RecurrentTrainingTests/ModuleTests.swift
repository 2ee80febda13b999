import Foundation
import Recurrent
import RecurrentTraining
import Testing

/// Every module of the library: its backward against differences of losses, its shapes, its errors.
@Suite struct ModuleTests {
  /// A loss with a different gradient at each value: Σ (k+1)·sin-like weights · y.
  static func weighted(_ y: Sequences<Float>) throws(RecurrentError) -> (loss: Double, gradient: Sequences<Float>) {
    var gradient = y, loss = 0.0
    gradient.withMutableValues { values in
      for index in values.indices {
        let weight = Float((index * 7 + 3) % 11 - 5) / 5
        loss += Double(weight) * Double(values[index])
        values[index] = weight
      }
    }
    return (loss, gradient)
  }

  static func numbers(steps: Int, batchSize: Int, size: Int, lengths: [Int]? = nil) throws -> Sequences<Float> {
    var random = SeededGenerator(seed: 4)
    return try Sequences(
      (0..<steps * batchSize * size).map { _ in Float.random(in: -1...1, using: &random) }, steps: steps,
      batchSize: batchSize, size: size, lengths: lengths)
  }

  static func expectRight<M: Module>(
    _ module: M, _ input: M.Input, step: Float = 1e-2,
    loss: (M.Output) throws(RecurrentError) -> (loss: Double, gradient: M.Output.Gradient),
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    var copy = module
    let check = try checkGradients(&copy, input, step: step, loss: loss)
    #expect(check.relativeError < 5e-3, "\(M.self): \(check)", sourceLocation: sourceLocation)
    #expect(check.backward != 0 || check.parameter != "none", sourceLocation: sourceLocation)
  }

  @Test func backwardIsTheDifferenceOfLosses() throws {
    let x = try ModuleTests.numbers(steps: 4, batchSize: 3, size: 5, lengths: [4, 1, 3])
    let whole = try ModuleTests.numbers(steps: 4, batchSize: 3, size: 5)
    for x in [x, whole] {
      try ModuleTests.expectRight(try Dense(inputSize: 5, outputSize: 3, seed: 1), x, loss: ModuleTests.weighted)
      try ModuleTests.expectRight(try LayerNorm(size: 5), x, loss: ModuleTests.weighted)
      try ModuleTests.expectRight(try Dropout(rate: 0.5), x, loss: ModuleTests.weighted)
      try ModuleTests.expectRight(TimePooling(.mean), x, loss: ModuleTests.weighted)
      try ModuleTests.expectRight(TimePooling(.max), x, loss: ModuleTests.weighted)
      try ModuleTests.expectRight(TimePooling(.meanAndMax), x, loss: ModuleTests.weighted)
      try ModuleTests.expectRight(Softmax(), x, loss: ModuleTests.weighted)
      try ModuleTests.expectRight(Sigmoid(), x, loss: ModuleTests.weighted)
    }
    let tokens = try Tokens(padding: [[1, 2, 1], [3], [0, 2]])
    try ModuleTests.expectRight(try Embedding(symbols: 4, size: 6, seed: 1), tokens) { y throws(RecurrentError) in
      // A model cannot depend on the vectors of the padding.
      var (_, gradient) = try ModuleTests.weighted(y)
      var loss = 0.0
      gradient.withMutableValues { values in
        for index in values.indices {
          let row = index / 6, isPadding = row / 3 >= tokens.lengths![row % 3]
          if isPadding { values[index] = 0 }
          loss += Double(values[index]) * Double(y.values[index])
        }
      }
      return (loss, gradient)
    }
  }

  /// The probabilities in double precision, of small and of huge logits, in widths that fill a vector or do not.
  @Test func probabilitiesAreThoseOfDoubles() throws {
    let w = Workspace()
    for size in [1, 5, 16, 33] {
      for spread: Float in [1, 30, 1e4, 1e30] {
        var x = try ModuleTests.numbers(steps: 3, batchSize: 2, size: size, lengths: [3, 1])
        x.withMutableValues { values in for index in values.indices { values[index] *= spread } }
        let (shares, shareTrace) = try Softmax()(x, w), (answers, answerTrace) = try Sigmoid()(x, w)
        #expect(shares.lengths == x.lengths && answers.lengths == x.lengths)
        let (_, dy) = try ModuleTests.weighted(x)
        let dShares = try Softmax().backward(dy, shareTrace, w), dAnswers = try Sigmoid().backward(dy, answerTrace, w)
        for row in 0..<6 {
          let range = row * size..<(row + 1) * size, isPadding = row % 2 == 1 && row > 1
          let logits = x.values[range].map(Double.init), largest = logits.max()!
          let powers = logits.map { exp($0 - largest) }, sum = powers.reduce(0, +)
          let mean = zip(powers, dy.values[range]).reduce(0) { $0 + $1.0 / sum * Double($1.1) }
          for (index, place) in range.enumerated() {
            let share = powers[index] / sum, answer = 1 / (1 + exp(-logits[index])), d = Double(dy.values[place])
            for (name, was, expected) in [
              ("softmax", shares, share), ("sigmoid", answers, answer), ("softmax's dx", dShares, share * (d - mean)),
              ("sigmoid's dx", dAnswers, d * answer * (1 - answer)),
            ] {
              let distance = abs(Double(was.values[place]) - (isPadding ? 0 : expected))
              // A float of 30 has an error of 2e-6, which exp turns into that of its result.
              #expect(distance < 2e-6, "\(name) of \(size) logits within \(spread), row \(row), \(index)")
              #expect(!isPadding || distance == 0, "\(name), padding")
            }
          }
        }
      }
    }
    let huge = try Sequences<Float>([.infinity, 0, -.infinity, .nan], steps: 1, batchSize: 1, size: 4)
    #expect(try Sigmoid()(huge, w).0.values.prefix(3) == [1, 0.5, 0])
    #expect(try Sigmoid()(huge, w).0.values[3].isNaN && Softmax()(huge, w).0.values.allSatisfy(\.isNaN))
  }

  /// A model that ends in probabilities, and one that has them inside.
  @Test func probabilitiesAreLinksOfAChain() throws {
    let x = try ModuleTests.numbers(steps: 4, batchSize: 3, size: 5, lengths: [4, 1, 3])
    let gated = try chain {
      Link("gate", try Dense(inputSize: 5, outputSize: 6, seed: 1))
      Link("sigmoid", Sigmoid())
      Link("layer", try GRU<Float>(inputSize: 6, hiddenSize: 4))
      Link("last", LastOutput())
      Link("head", try Dense(inputSize: 4, outputSize: 3, seed: 2))
      Link("softmax", Softmax())
    }
    try ModuleTests.expectRight(gated, x, loss: ModuleTests.weighted)
    let y = try gated(x, Workspace(isTraining: false)).0
    for sequence in 0..<3 { #expect(abs(y[0, sequence].reduce(0, +) - 1) < 1e-6) }
    #expect(gated.parameterShapes.map(\.name).first == "gate.weight")
    let wrong = try Sequences<Float>(steps: 1, batchSize: 3, size: 2)
    expectError("dy has 6 values, expected 4·3·5 = 60") { try Softmax().backward(wrong, try Softmax()(x, .init()).1) }
    expectError("dy has 6 values, expected 4·3·5 = 60") { try Sigmoid().backward(wrong, try Sigmoid()(x, .init()).1) }
  }

  @Test(arguments: [
    Cell.lstm(), .lstm(cellOutput: .linear), .gru(), .gru(reset: .beforeProduct, update: .takesNew), .rnn(),
    .rnn(nonlinearity: .relu), .indRNN(),
  ])
  func everyCellIsAModule(cell: Cell) throws {
    let x = try ModuleTests.numbers(steps: 4, batchSize: 3, size: 5, lengths: [4, 1, 3])
    // A wide step would cross the kink of ReLU.
    let step: Float = [.rnn(nonlinearity: .relu), .indRNN()].contains(cell) ? 1e-3 : 1e-2
    for (levels, direction) in [(1, Direction.forward), (2, .bidirectional), (1, .reverse)] {
      let layer = try Layer<Float>(
        cell, inputSize: 5, hiddenSize: 6, layerCount: levels, direction: direction,
        initialization: Initialization(seed: 3))
      try ModuleTests.expectRight(layer, x, step: step) { output throws(RecurrentError) in
        let (loss, dy) = try ModuleTests.weighted(output.y)
        // The final states count too.
        var dFinal = StateGradient<Float>(
          dh: output.final.h.map { _ in 0.5 }, dc: output.final.c.map { _ in 0.25 })
        dFinal.dh[0] = -1
        let final =
          zip(output.final.h, dFinal.dh).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
          + zip(output.final.c, dFinal.dc).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
        return (loss + final, OutputGradient(dy: dy, dFinal: dFinal))
      }
      let last = chain {
        Link("layer", layer)
        Link("last", LastOutput())
      }
      try ModuleTests.expectRight(last, x, step: step, loss: ModuleTests.weighted)
      let every = chain {
        Link("layer", layer)
        Link("outputs", EveryOutput())
        Link("pooling", TimePooling(.mean))
      }
      try ModuleTests.expectRight(every, x, step: step, loss: ModuleTests.weighted)
    }
  }

  /// The last output of a sequence is that of the sequence alone.
  @Test func lastOutputIsThatOfTheLastStep() throws {
    let x = try ModuleTests.numbers(steps: 4, batchSize: 3, size: 5, lengths: [4, 1, 3]),
      w = Workspace(isTraining: false)
    let gru = try GRU<Float>(inputSize: 5, hiddenSize: 6, layerCount: 2, direction: .bidirectional)
    let output = try gru(x, w).0, last = try LastOutput()(output, w).0
    #expect(last.steps == 1 && last.size == 12 && last.lengths == nil)
    for (sequence, length) in x.lengths!.enumerated() {
      #expect(last[0, sequence].prefix(6) == output.y[length - 1, sequence].prefix(6))
      #expect(last[0, sequence].suffix(6) == output.y[0, sequence].suffix(6))
    }
    #expect(output.y.lengths == x.lengths)
    let mean = try TimePooling(.mean)(output.y, w).0, largest = try TimePooling(.max)(output.y, w).0
    for feature in 0..<12 {
      let values = (0..<3).map { output.y[$0, 2].dropFirst(feature).first! }
      #expect(abs(mean[0, 2].dropFirst(feature).first! - values.reduce(0, +) / 3) < 1e-6)
      #expect(largest[0, 2].dropFirst(feature).first! == values.max()!)
    }
    let both = try TimePooling(.meanAndMax)(output.y, w).0
    for sequence in 0..<3 { #expect(Array(both[0, sequence]) == Array(mean[0, sequence]) + largest[0, sequence]) }
  }

  /// PyTorch 2.15: torch.nn.functional.layer_norm([1, 2, 4, 8], (4,)), eps 1e-5.
  @Test func layerNormIsPyTorchs() throws {
    let x = try Sequences<Float>([1, 2, 4, 8], steps: 1, batchSize: 1, size: 4)
    let y = try LayerNorm(size: 4)(x, Workspace()).0.values
    let mean = 3.75, deviation = (Double(7.1875) + 1e-5).squareRoot()
    for (value, x) in zip(y, [1.0, 2, 4, 8]) { #expect(abs(Double(value) - (x - mean) / deviation) < 1e-6) }
  }

  @Test func dropoutKeepsTheMeanAndNumbersItsMasks() throws {
    let ones = try Sequences<Float>(
      Array(repeating: 1, count: 100_000), steps: 1, batchSize: 1, size: 100_000)
    let dropout = try Dropout(rate: 0.25), w = Workspace(seed: 7)
    var gradients = try Gradients(dropout)
    let (first, trace) = try dropout(ones, w), (second, _) = try dropout(ones, w)
    #expect(Set(first.values) == [0, 1 / 0.75])
    #expect(abs(first.values.reduce(0, +) / 100_000 - 1) < 0.02)
    #expect(first != second && w.masks == 2)
    #expect(try dropout.backward(ones, trace, into: &gradients, w) == first)
    // A training that goes on has the masks of one that was not stopped.
    #expect(try dropout(ones, Workspace(seed: 7, masks: 1)).0 == second)
    #expect(try dropout(ones, Workspace(isTraining: false)).0 == ones)
    for rate in [Float(1), -0.5, .nan] {
      expectError("dropout is \(rate), expected 0 up to less than 1") { try Dropout(rate: rate) }
    }
  }

  /// The checker finds a backward that is wrong.
  @Test func aWrongBackwardIsFound() throws {
    struct Wrong: Module, Composite {
      static let parts: [Part<Wrong>] = [Part("factor", \.factor) { _ in [1] }]
      var factor: [Float] = [2], error: Float
      func forward(_ x: Sequences<Float>, _ w: Workspace) throws(RecurrentError) -> (Sequences<Float>, Sequences<Float>)
      {
        var y = x
        y.withMutableValues { values in for index in values.indices { values[index] *= factor[0] } }
        return (y, x)
      }
      func backward(
        _ d: Sequences<Float>, _ x: Sequences<Float>, into g: inout Gradients<Wrong>, _ w: Workspace
      ) throws(RecurrentError) -> Sequences<Float> {
        var dx = d
        dx.withMutableValues { values in for index in values.indices { values[index] *= factor[0] } }
        g.withMutableValues { sum in
          for (d, x) in zip(d.values, x.values) { sum[0] += d * x * error }
        }
        return dx
      }
    }
    let x = try ModuleTests.numbers(steps: 2, batchSize: 2, size: 3)
    try ModuleTests.expectRight(Wrong(error: 1), x, loss: ModuleTests.weighted)
    var wrong = Wrong(error: 1.2)
    let check = try checkGradients(&wrong, x, loss: ModuleTests.weighted)
    #expect(check.parameter == "factor" && check.relativeError > 0.05, "\(check)")
    #expect(wrong.factor == [2])
    var useless = Wrong(error: .nan)
    #expect(!(try checkGradients(&useless, x, loss: ModuleTests.weighted)).relativeError.isFinite)
  }

  @Test func errorsNameThePart() throws {
    let w = Workspace(), model = try Sentiment(words: 9, cell: .gru(), size: 4)
    expectError("embedding: symbol of step 0 of sequence 0 is 9, expected 0 to 8") {
      try model(try Tokens(padding: [[9]]), w)
    }
    var wrong = model
    wrong.encoder = try Layer(.gru(), inputSize: 5, hiddenSize: 4)
    expectError("encoder: x.size is 4, expected 5, the input size") { try wrong(try Tokens(padding: [[1]]), w) }
    wrong = model
    wrong.head.weight.removeLast()
    expectError("head: weight has 7 values, expected [1, 8] = 8") { try wrong(try Tokens(padding: [[1]]), w) }
    // An error outside of any part has no name.
    struct Bare: Module, Composite {
      static let parts: [Part<Bare>] = [Part("inner", \.inner)]
      var inner: Sentiment
      func forward(_ x: Tokens, _ w: Workspace) throws(RecurrentError) -> (Sequences<Float>, Sentiment.Trace) {
        guard x.steps > 1 else { throw .size(name: "steps", was: x.steps, expected: "2 or more") }
        return try inner(x, w)
      }
      func backward(
        _ d: Sequences<Float>, _ trace: Sentiment.Trace, into g: inout Gradients<Bare>, _ w: Workspace
      ) throws(RecurrentError) { try inner.backward(d, trace, into: &g.inner, w) }
    }
    let bare = Bare(inner: model)
    expectError("steps is 1, expected 2 or more") { try bare(try Tokens(padding: [[1]]), w) }
    expectError("inner.embedding: symbol of step 1 of sequence 0 is 9, expected 0 to 8") {
      try bare(try Tokens(padding: [[1, 9]]), w)
    }
    // Backward.
    var gradients = try Gradients(bare)
    let (logits, trace) = try bare(try Tokens(padding: [[1, 2]]), w)
    let two = try Sequences<Float>(steps: 2, batchSize: 1, size: 1)
    expectError("inner.head: the values of dy are of Sequences [2, 1, 1], expected [1, 1, 1], as y") {
      try bare.backward(two, trace, into: &gradients, w)
    }
    _ = try bare.backward(logits, trace, into: &gradients, w)
    expectError("inner.encoder: the record is empty or was consumed: call record before backward") {
      try bare.backward(logits, trace, into: &gradients, w)
    }
    let still = try model(try Tokens(padding: [[1, 2]]), Workspace(isTraining: false))
    var sums = try Gradients(model)
    expectError("encoder: the workspace's isTraining is false in forward, expected true, so that backward has a record")
    {
      try model.backward(still.0, still.1, into: &sums, w)
    }
  }
}

/// A model as a user writes it.
struct Sentiment: Module, Composite {
  var embedding: Embedding, encoder: Layer<Float>, head: Dense
  static let parts: [Part<Sentiment>] = [
    Part("embedding", \.embedding), Part("encoder", \.encoder), Part("head", \.head),
  ]
  typealias Trace = (embedding: Embedding.Trace, encoder: LayerTrace, last: LastOutput.Trace, head: Dense.Trace)

  init(words: Int, cell: Cell, size: Int) throws(RecurrentError) {
    embedding = try Embedding(symbols: words, size: size, deviation: 0.3, seed: 1)
    encoder = try Layer(
      cell, inputSize: size, hiddenSize: size, direction: .bidirectional, initialization: Initialization(seed: 2))
    head = try Dense(inputSize: 2 * size, outputSize: 1, seed: 3)
  }

  func forward(_ text: Tokens, _ w: Workspace) throws(RecurrentError) -> (Sequences<Float>, Trace) {
    let (x, embedded) = try embedding(text, w)
    let (states, encoded) = try encoder(x, w)
    let (last, place) = try LastOutput()(states, w)
    let (logits, decided) = try head(last, w)
    return (logits, (embedded, encoded, place, decided))
  }

  func backward(
    _ d: Sequences<Float>, _ trace: Trace, into g: inout Gradients<Sentiment>, _ w: Workspace
  ) throws(RecurrentError) {
    let dLast = try head.backward(d, trace.head, into: &g.head, w)
    let dStates = try LastOutput().backward(dLast, trace.last)
    let dx = try encoder.backward(dStates, trace.encoder, into: &g.encoder, w)
    try embedding.backward(dx, trace.embedding, into: &g.embedding, w)
  }
}
