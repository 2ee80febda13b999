import Recurrent
import RecurrentTraining
import Testing

/// Encoders with decoders, with the models of Tests/goldens_sequences.py.
@Suite struct EncoderDecoderTests {
  typealias Model = EncoderDecoder<Chain<Embedding, Layer<Float>>>

  /// A model's options. Its decoder has 6 units, its vectors have 4 values; it reads 7 symbols and writes 5.
  struct Options: Sendable, CustomTestStringConvertible {
    let name: String
    let encoder: Cell, decoder: Cell
    var units = 3, levels = (2, 1), direction = Direction.bidirectional
    var attention: String?
    var feedsInput = false

    var testDescription: String { name }

    /// The model with numbers that a seed draws, as the goldens do.
    func model(seed: UInt64 = 11) throws -> Model {
      let reader = try Layer<Float>(
        encoder, inputSize: 4, hiddenSize: units, layerCount: levels.0, direction: direction)
      let writer = try Layer<Float>(
        decoder, inputSize: feedsInput ? 10 : 4, hiddenSize: 6, layerCount: levels.1)
      let memory = reader.outputSize
      let attention: Attention? =
        switch self.attention {
        case "dot": .dot(DotAttention())
        case "scaled": .dot(DotAttention(isScaled: true))
        case "past": .dot(DotAttention(window: .past))
        case "around": .dot(DotAttention(window: .around(1)))
        case "general": .general(try GeneralAttention(querySize: 6, keySize: memory, seed: 1))
        case "additive": .additive(try AdditiveAttention(querySize: 6, keySize: memory, size: 5, seed: 1))
        case "predictive", "predictive dot":
          .predictive(
            try PredictiveAttention(
              querySize: 6, keySize: memory, size: 5, distance: 1,
              score: self.attention == "predictive" ? .general : .dot, seed: 1))
        default: nil
        }
      var model = EncoderDecoder(
        encoder: try chain {
          Link("embedding", try Embedding(symbols: 7, size: 4, seed: 1))
          Link("layer", reader)
        }, bridge: try StateBridge(from: reader, to: writer, seed: 1),
        decoder: try RecurrentDecoder(
          Embedding(symbols: 5, size: 4, seed: 1), writer, attention: attention, memorySize: memory,
          feedsInput: feedsInput, seed: 1))
      var random = SeededGenerator(seed: seed), parameters: [String: [Float]] = [:]
      for shape in model.parameterShapes { parameters[shape.name] = random.draw(shape.count).map { Float($0) } }
      try model.setParameters(parameters)
      return model
    }
  }

  static let goldens = [
    Options(name: "plain", encoder: .lstm(), decoder: .lstm()),
    Options(name: "dot", encoder: .gru(), decoder: .lstm(), levels: (2, 2), attention: "dot"),
    Options(name: "general", encoder: .lstm(), decoder: .lstm(), attention: "general"),
    Options(
      name: "additive", encoder: .lstm(), decoder: .gru(), levels: (1, 2), direction: .forward, attention: "additive"),
    Options(
      name: "feeding", encoder: .lstm(), decoder: .lstm(), levels: (2, 2), attention: "general", feedsInput: true),
    Options(
      name: "half_copied", encoder: .gru(), decoder: .lstm(), units: 6, levels: (1, 1), direction: .forward,
      attention: "dot", feedsInput: true),
    Options(
      name: "copied", encoder: .lstm(), decoder: .lstm(), units: 6, levels: (2, 2), direction: .forward),
    Options(name: "predictive", encoder: .gru(), decoder: .gru(), attention: "predictive", feedsInput: true),
  ]
  /// Those that the goldens do not have: other cells, directions and attentions.
  static let others = [
    Options(name: "RNN to IndRNN", encoder: .rnn(), decoder: .indRNN(), direction: .reverse),
    Options(
      name: "LSTM to RNN", encoder: .lstm(), decoder: .rnn(), units: 6, levels: (2, 2), direction: .forward,
      attention: "scaled"),
    Options(
      name: "sum", encoder: .gru(), decoder: .gru(), units: 6, levels: (1, 1), direction: .bidirectionalSum,
      attention: "past"),
    Options(name: "additive feeding", encoder: .gru(), decoder: .gru(), attention: "additive", feedsInput: true),
    Options(name: "predictive dot", encoder: .gru(), decoder: .lstm(), attention: "predictive dot"),
  ]

  static let sources = [[1, 2, 6, 3, 0], [4], [5, 5, 1]]
  static let targets = [[2, 3, 4], [1, 1, 2, 0], [3]]

  /// The input of some of the sequences, with what it shall give.
  static func batch(_ numbers: [Int] = [0, 1, 2]) throws -> (input: Model.Input, targets: [Int]) {
    let forcing = try TeacherForcing(numbers.map { targets[$0] }, start: 0, end: 0)
    return (Model.Input(try Tokens(padding: numbers.map { sources[$0] }), forcing.inputs), forcing.targets)
  }

  @Test func theModelsArePyTorchs() throws {
    let goldens = try golden("encoder_decoder"), (input, targets) = try EncoderDecoderTests.batch()
    var checked: Set<String> = []
    for options in EncoderDecoderTests.goldens {
      func expect(_ part: String, _ ours: [Float], tolerance: Double = 2e-6) {
        let expected = goldens["\(options.name).\(part)"] ?? [], largest = expected.map(abs).max() ?? 0
        let difference = largestDifference(ours.map(Double.init), expected)
        #expect(difference <= tolerance * largest, "\(options.name).\(part): \(difference) of \(largest)")
        checked.insert("\(options.name).\(part)")
      }
      let model = try options.model(), workspace = Workspace()
      let (logits, trace) = try model(input, workspace)
      for (sequence, count) in [4, 5, 2].enumerated() {
        expect("\(sequence).logits", (0..<count).flatMap { logits[$0, sequence] })
        if let weights = try trace.decoder.weights(sequence: sequence) {
          expect("\(sequence).weights", weights.flatMap { $0 })
          #expect(weights.count == count)
        } else {
          #expect(options.attention == nil)
        }
      }
      let (loss, dLogits) = try SoftmaxCrossEntropy()(logits, targets)
      expect("loss", [Float(loss)])
      var gradients = try Gradients(model)
      try model.backward(dLogits, trace, into: &gradients, workspace)
      for (shape, range) in zip(gradients.list.shapes, gradients.list.ranges) {
        expect("d_\(shape.name)", Array(gradients.values[range]), tolerance: 1e-5)
      }
    }
    #expect(checked == Set(goldens.keys))
  }

  /// Results and gradients do not depend on the threads, and results not on the batch.
  @Test(arguments: goldens + others) func bitsDoNotDependOnBatchAndThreads(options: Options) throws {
    let model = try options.model(), (input, targets) = try EncoderDecoderTests.batch()
    func run(_ workspace: Workspace) throws -> (logits: Sequences<Float>, gradients: [Float]) {
      let (logits, trace) = try model(input, workspace)
      var gradients = try Gradients(model)
      let (_, d) = try SoftmaxCrossEntropy()(logits, targets)
      try model.backward(d, trace, into: &gradients, workspace)
      return (logits, Array(gradients.values))
    }
    let workspace = Workspace(), one = try run(workspace), again = try run(workspace)
    let several = try run(Workspace(threads: Threads(count: 3)))
    #expect(one.logits.values == several.logits.values && one.gradients == several.gradients)
    #expect(one.logits.values == again.logits.values && one.gradients == again.gradients)
    #expect(one.gradients.contains { $0 != 0 })
    for sequence in 0..<3 {
      let (alone, _) = try EncoderDecoderTests.batch([sequence])
      let logits = try model(alone, Workspace(isTraining: false)).0
      for step in 0..<logits.steps { #expect(Array(logits[step, 0]) == Array(one.logits[step, sequence])) }
    }
  }

  /// A model of real-valued sources, whose input is the source alone.
  private struct Caption: Module, Composite {
    static let parts: [Part<Caption>] = [Part("model", \.model)]
    var model: EncoderDecoder<Layer<Float>>
    let symbols: Tokens

    func forward(
      _ x: Sequences<Float>, _ workspace: Workspace
    ) throws(RecurrentError) -> (Sequences<Float>, EncoderDecoder<Layer<Float>>.Trace) {
      try model.forward(.init(x, symbols), workspace)
    }
    func backward(
      _ d: Sequences<Float>, _ trace: EncoderDecoder<Layer<Float>>.Trace, into gradients: inout Gradients<Caption>,
      _ workspace: Workspace
    ) throws(RecurrentError) -> Sequences<Float> {
      try model.backward(d, trace, into: &gradients.model, workspace)
    }
  }

  @Test(arguments: goldens + others) func backwardIsTheDifferenceOfLosses(options: Options) throws {
    let model = try options.model(seed: 3), (input, targets) = try EncoderDecoderTests.batch()
    let caption = Caption(
      model: EncoderDecoder(encoder: model.encoder.second, bridge: model.bridge, decoder: model.decoder),
      symbols: input.symbols)
    let x = try ModuleTests.numbers(steps: 5, batchSize: 3, size: 4, lengths: [5, 1, 3])
    // A ReLU has kinks: small steps cross fewer of them.
    let step: Float = options.decoder == .indRNN() ? 2e-3 : 1e-2
    try ModuleTests.expectRight(caption, x, step: step) { logits throws(RecurrentError) in
      try SoftmaxCrossEntropy()(logits, targets)
    }
  }

  @Test func statesAreCopiedIfTheyFit() throws {
    func layer(_ cell: Cell, _ units: Int, _ levels: Int, _ direction: Direction = .forward) throws -> Layer<Float> {
      try Layer(cell, inputSize: 2, hiddenSize: units, layerCount: levels, direction: direction)
    }
    let lstm = try layer(.lstm(), 3, 2), gru = try layer(.gru(), 3, 2), workspace = Workspace()
    let state = State<Float>(h: (0..<12).map(Float.init), c: (20..<32).map(Float.init))
    let same = try StateBridge(from: lstm, to: lstm, seed: 1)
    #expect(same.parameterCount == 0)
    let (copied, trace) = try same(state, workspace)
    #expect(copied == state)
    var none = try Gradients(same), dropped = try Gradients(try StateBridge(from: lstm, to: gru, seed: 1))
    let d = try same.backward(StateGradient(dh: state.h, dc: state.c), trace, into: &none, workspace)
    #expect(d == StateGradient(dh: state.h, dc: state.c))
    // A decoder without c ignores that of the encoder, whose gradient is then zero.
    let dropping = try StateBridge(from: lstm, to: gru, seed: 1)
    #expect(dropping.parameterCount == 0)
    let (h, dropTrace) = try dropping(state, workspace)
    #expect(h == State(h: state.h))
    let zero = try dropping.backward(StateGradient(dh: state.h), dropTrace, into: &dropped, workspace)
    #expect(zero == StateGradient(dh: state.h, dc: Array(repeating: 0, count: 12)))
    #expect(try StateBridge(from: gru, to: lstm, seed: 1).parameterShapes.map(\.name) == ["c.weight", "c.bias"])
    #expect(
      try StateBridge(from: layer(.lstm(), 3, 1, .bidirectional), to: lstm, seed: 1).parameterShapes.map(\.shape)
        == [[6, 6], [6], [6, 6], [6]])
    #expect(
      try StateBridge(from: layer(.lstm(), 3, 1), to: gru, seed: 1).parameterShapes.map(\.shape) == [[6, 3], [6]])
    expectError("h of the encoder's final state has 10 values, expected 2·1·3 = 6") {
      try same(State(h: Array(repeating: 0, count: 10), c: []), workspace)
    }
    expectError("c of the encoder's final state has 0 values, expected 2·2·3 = 12") {
      try same(State(h: Array(repeating: 0, count: 12), c: []), workspace)
    }
    #expect(throws: RecurrentError.direction(.reverse)) {
      try StateBridge(from: lstm, to: layer(.lstm(), 3, 2, .reverse), seed: 1)
    }
  }

  /// An update copies no parameters, those of optional parts and of the chosen attention included.
  @Test(arguments: [goldens[2], goldens[3], goldens[4]]) func updatesAreInPlace(options: Options) throws {
    var model = try options.model(), gradients = try Gradients(model), optimizer = Adam(learningRate: 0.01)
    func places(_ model: Model) -> [UnsafePointer<Float>?] {
      var places: [UnsafePointer<Float>?] = []
      model.readParameters { places.append($0.baseAddress) }
      return places
    }
    let (input, targets) = try EncoderDecoderTests.batch(), workspace = Workspace(), before = places(model)
    var losses: [Double] = []
    for _ in 0..<5 {
      let (logits, trace) = try model(input, workspace)
      let (loss, d) = try SoftmaxCrossEntropy()(logits, targets)
      gradients.clear()
      try model.backward(d, trace, into: &gradients, workspace)
      let all = model.namedParameters()
      try optimizer.update(&model, gradients)
      losses.append(loss)
      #expect(places(model) == before)
      for (old, new) in zip(all, model.namedParameters()) { #expect(old.values != new.values, "\(old.name)") }
    }
    #expect(losses == losses.sorted(by: >))
  }

  @Test func badInputIsNamed() throws {
    let options = EncoderDecoderTests.goldens[2], model = try options.model(), workspace = Workspace()
    let symbols = try Tokens(padding: [[0, 1], [0]])
    for model in [model, try EncoderDecoderTests.goldens[0].model()] {
      let empty = Model.Input(try Tokens(padding: [[1, 2], []]), symbols)
      expectError("the number of steps of source 1 is 0, expected at least 1: the source is empty") {
        try model(empty, workspace)
      }
      expectError("the number of steps of source 1 is 0, expected at least 1: the source is empty") {
        try model.stream(empty.source)
      }
      expectError("decoder.embedding: symbol of step 1 of sequence 0 is 5, expected 0 to 4") {
        try model(.init(Tokens(padding: [[1], [1]]), Tokens(padding: [[0, 5], [0]])), workspace)
      }
      expectError("encoder.embedding: symbol of step 0 of sequence 1 is -1, expected 0 to 6") {
        try model(.init(Tokens(padding: [[1], [-1]]), symbols), workspace)
      }
      expectError("decoder.layer: initial.h has 6 values, expected 2·6 = 12") {
        try model(.init(Tokens(padding: [[1]]), symbols), workspace)
      }
    }
    let reader = try GRU<Float>(inputSize: 4, hiddenSize: 6), vectors = try Embedding(symbols: 5, size: 4, seed: 1)
    expectError("the inputs of the decoder's layer is 4, expected 10, the size of the embedding and the hidden size") {
      try RecurrentDecoder(
        vectors, reader, attention: .dot(DotAttention()), memorySize: 6, feedsInput: true, seed: 1)
    }
    expectError(
      "the attention of a decoder with input feeding is none, expected one to the whole memory, or a predictive one"
    ) { try RecurrentDecoder(vectors, reader, feedsInput: true, seed: 1) }
    expectError(
      "the attention of a decoder with input feeding is one whose window follows the steps, "
        + "expected one to the whole memory, or a predictive one"
    ) {
      try RecurrentDecoder(
        vectors, reader, attention: .dot(DotAttention(window: .past)), memorySize: 6, feedsInput: true, seed: 1)
    }
    expectError("the attention's sizes of queries and memory is 6 and 6, expected 6 and 8") {
      try RecurrentDecoder(vectors, reader, attention: .dot(DotAttention()), memorySize: 8, seed: 1)
    }
    expectError("the attention's sizes of queries and memory is 5 and 8, expected 6 and 8") {
      try RecurrentDecoder(
        vectors, reader, attention: .general(GeneralAttention(querySize: 5, keySize: 8, seed: 1)), memorySize: 8,
        seed: 1)
    }
    #expect(throws: RecurrentError.direction(.bidirectional)) {
      try RecurrentDecoder(vectors, GRU<Float>(inputSize: 4, hiddenSize: 6, direction: .bidirectional), seed: 1)
    }
    expectError("the decoder's memory is nil, expected one, because the decoder has an attention") {
      try model.decoder(
        DecoderInput(symbols, initial: model.decoder.layer.zeroState(batchSize: 2)), workspace)
    }
    // Gradients through the trace of another decoder.
    let (input, _) = try EncoderDecoderTests.batch(), other = try EncoderDecoderTests.goldens[0].model()
    let (logits, trace) = try model(input, workspace)
    var gradients = try Gradients(other)
    expectError("the decoder's trace is that of another decoder, expected that of this one") {
      try other.backward(logits, trace, into: &gradients, workspace)
    }
    expectError("texts is 0, expected at least 1") { try TeacherForcing([], start: 0, end: 1) }
    var cut = input
    cut.symbols.symbols.removeLast()
    var random = SeededGenerator(seed: 1)
    expectError("symbols has 14 values, expected 5·3 = 15") {
      try model.sampled(cut, probability: 0.5, using: &random)
    }
  }

  /// Parts may be replaced after a decoder is made, so each call looks at them again.
  @Test func replacedPartsAreChecked() throws {
    let (input, _) = try EncoderDecoderTests.batch(), workspace = Workspace()
    var feeding = try EncoderDecoderTests.goldens[4].model()
    feeding.decoder.attention = try AttentionalOutput(
      .dot(DotAttention(window: .past)), querySize: 6, memorySize: 6, seed: 1)
    expectError(
      "the attention of a decoder with input feeding is one whose window follows the steps, "
        + "expected one to the whole memory, or a predictive one"
    ) { try feeding(input, workspace) }
    var model = try EncoderDecoderTests.goldens[0].model()
    model.decoder.head = try Dense(inputSize: 6, outputSize: 4, seed: 1)
    expectError("the outputs of the head is 4, expected 5, the number of symbols") {
      try model(input, workspace)
    }
    model = try EncoderDecoderTests.goldens[0].model()
    model.decoder.layer = try Layer(.lstm(), inputSize: 4, hiddenSize: 6, direction: .reverse)
    #expect(throws: RecurrentError.self) { try model(input, workspace) }
  }

  /// From a sequence's length on, queries may hold anything.
  @Test func paddingMayHoldNaNs() throws {
    let attention = try AttentionalOutput(.dot(DotAttention()), querySize: 4, memorySize: 4, seed: 1)
    func gradients(padding: Float) throws -> [Float] {
      var values = (0..<24).map { Float($0 % 7) - 3 }
      for index in values.indices where index >= 8 && index / 4 % 2 == 1 { values[index] = padding }
      let queries = try Sequences(values, steps: 3, batchSize: 2, size: 4, lengths: [3, 1])
      let memory = try Sequences((0..<16).map { Float($0 % 5) / 3 }, steps: 2, batchSize: 2, size: 4)
      var all = try Gradients(attention)
      let workspace = Workspace(),
        (y, trace) = try attention(AttentionInput(queries: queries, memory: memory), workspace)
      let dy = (0..<24).map { $0 >= 8 && $0 / 4 % 2 == 1 ? 0 : Float(1) }
      _ = try attention.backward(
        Sequences(dy, steps: y.steps, batchSize: 2, size: 4, lengths: [3, 1]), trace, into: &all, workspace)
      return Array(all.values)
    }
    let clean = try gradients(padding: 0)
    #expect(try gradients(padding: .nan) == clean && clean.contains { $0 != 0 })
  }
}
