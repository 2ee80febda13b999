import Recurrent
import RecurrentTraining
import Testing

/// Encoders with decoders, with the models of Tests/goldens_sequences.py.
@Suite struct EncoderDecoderTests {
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
