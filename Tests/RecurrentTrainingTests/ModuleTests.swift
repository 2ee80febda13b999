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
