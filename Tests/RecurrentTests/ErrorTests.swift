import Recurrent
import Testing

/// Errors say what was passed and what was expected. A call that throws has written nothing.
@Suite struct ErrorTests {
  /// Making a layer of a scalar without kernels is an error, for any sizes.
  @Test func otherScalarsAreRefused() throws {
    func check<Scalar: RecurrentScalar>(_ scalar: Scalar.Type) throws {
      _ = try Sequences<Scalar>(steps: 1, batchSize: 1, size: 1)
      #expect(throws: RecurrentError.value(name: "Scalar", was: "\(scalar)", expected: "Float or Double")) {
        try Layer<Scalar>(.gru(), inputSize: 2, hiddenSize: 3)
      }
    }
    try check(Float16.self)
    #if arch(x86_64)
      try check(Float80.self)
    #endif
  }

  @Test func sizesMustBePositiveAndCountable() {
    for (inputs, hidden, name, was) in [
      (0, 3, "inputSize", 0), (-1, 3, "inputSize", -1), (3, 0, "hiddenSize", 0), (3, -7, "hiddenSize", -7),
    ] {
      #expect(throws: RecurrentError.size(name: name, was: was, expected: "at least 1")) {
        try LSTM<Float>(inputSize: inputs, hiddenSize: hidden)
      }
    }
    for (inputs, hidden, name, was) in [
      (1 << 44, 1 << 44, "inputSize", 1 << 44), (.max, 1, "inputSize", .max), (1, .max, "hiddenSize", .max),
    ] {
      #expect(throws: RecurrentError.product(names: [name], values: [was], most: largestCount)) {
        try LSTM<Float>(inputSize: inputs, hiddenSize: hidden)
      }
    }
    #expect(throws: tooLarge("LSTM, 1048576 inputs, 1048576 units")) {
      try LSTM<Float>(inputSize: 1 << 20, hiddenSize: 1 << 20)
    }
    #expect(throws: RecurrentError.size(name: "steps", was: 0, expected: "at least 1")) {
      try Sequences<Float>(steps: 0, batchSize: 1, size: 1)
    }
    let sizes = ["steps", "batchSize", "size"]
    #expect(throws: RecurrentError.product(names: sizes, values: [.max, .max, 2], most: largestCount)) {
      try Sequences<Float>(steps: .max, batchSize: .max, size: 2)
    }
    #expect(throws: RecurrentError.count(name: "values", was: 3, expected: 4, shape: "steps·batchSize·size")) {
      try Sequences<Float>([1, 2, 3], steps: 2, batchSize: 1, size: 2)
    }
  }

  /// The most doubles that memory holds are half as many as floats.
  @Test func doublesNeedTwiceTheMemory() throws {
    let most = largestCount / 2, more = most + 1
    func error(_ names: [String], _ values: [Int]) -> RecurrentError {
      .product(names: names, values: values, most: most)
    }
    #expect(throws: error(["steps", "batchSize", "size"], [more, 1, 1])) {
      try Sequences<Double>(steps: more, batchSize: 1, size: 1)
    }
    let layer = try RNN<Double>(inputSize: 1, hiddenSize: 1)
    #expect(throws: error(["batchSize", "stateCount", "hiddenSize"], [more, 1, 1])) {
      try layer.zeroState(batchSize: more)
    }
    let perSequence = layer.layer.shape.streamFloats, sequences = most / perSequence + 1
    #expect(throws: error(["batchSize", "values of a sequence"], [sequences, perSequence])) {
      try layer.stream(batchSize: sequences)
    }
    let inputs = most / 96
    #expect(throws: tooLarge("RNN, \(inputs) inputs, 1 unit")) { try RNN<Double>(inputSize: inputs, hiddenSize: 1) }
    let x: [Double] = [0]
    var state = try layer.zeroState(batchSize: 1), y: [Double] = [0]
    var span = y.mutableSpan
    #expect(throws: error(["steps", "batchSize", "features"], [more, 1, 1])) {
      try layer.forward(x.span, steps: more, batchSize: 1, state: &state, into: &span, scratch: Scratch())
    }
  }

  @Test func forgetBiasNeedsAForgetGateAndBiases() throws {
    let initialization = Initialization(forgetBias: 1)
    func error(_ expected: String) -> RecurrentError {
      .value(name: "initialization.forgetBias", was: "1.0", expected: expected)
    }
    #expect(throws: error("nil: only an LSTM has a forget gate")) {
      try GRU<Float>(inputSize: 2, hiddenSize: 3, initialization: initialization)
    }
    #expect(throws: error("nil: only an LSTM has a forget gate")) {
      try RNN<Float>(inputSize: 2, hiddenSize: 3, initialization: initialization)
    }
    #expect(throws: error("nil: this layer has no biases")) {
      try LSTM<Float>(inputSize: 2, hiddenSize: 3, bias: false, initialization: initialization)
    }
  }

  @Test func forwardRefusesWrongShapes() throws {
    let layer = try LSTM<Float>(inputSize: 3, hiddenSize: 4)
    let wide = try Sequences<Float>(steps: 2, batchSize: 2, size: 5)
    #expect(throws: RecurrentError.size(name: "x.size", was: 5, expected: "3, the input size")) {
      try layer.forward(wide)
    }
    let x = try Sequences<Float>(steps: 2, batchSize: 2, size: 3)
    #expect(throws: RecurrentError.count(name: "initial.h", was: 3, expected: 8, shape: "2·4")) {
      try layer.forward(x, initial: State(h: [1, 2, 3], c: []))
    }
    #expect(throws: RecurrentError.count(name: "initial.c", was: 0, expected: 8, shape: "2·4")) {
      try layer.record(x, initial: State(h: Array(repeating: 0, count: 8), c: []))
    }
    let gru = try GRU<Float>(inputSize: 3, hiddenSize: 4)
    #expect(throws: RecurrentError.unexpectedState(name: "initial.c", was: 8)) {
      try gru.forward(x, initial: State(h: Array(repeating: 0, count: 8), c: Array(repeating: 0, count: 8)))
    }
    var state = try layer.zeroState(batchSize: 2)
    var short = [Float](repeating: 7, count: 15)
    var span = short.mutableSpan
    #expect(throws: RecurrentError.count(name: "y", was: 15, expected: 16, shape: "2·2·4")) {
      try layer.forward(x.values.span, steps: 2, batchSize: 2, state: &state, into: &span, scratch: Scratch())
    }
    for (steps, batch, error) in [
      (0, 2, RecurrentError.size(name: "steps", was: 0, expected: "at least 1")),
      (2, 0, .size(name: "batchSize", was: 0, expected: "at least 1")),
      (-1, 2, .size(name: "steps", was: -1, expected: "at least 1")),
      (.max, 2, .product(names: ["steps", "batchSize", "features"], values: [.max, 2, 4], most: largestCount)),
      (3, 2, .count(name: "x", was: 12, expected: 18, shape: "3·2·3")),
    ] {
      #expect(throws: error) {
        try layer.forward(x.values.span, steps: steps, batchSize: batch, state: &state, into: &span, scratch: Scratch())
      }
    }
    #expect(short == Array(repeating: 7, count: 15), "nothing is written before an error")
    // With these sizes a record would be larger than any memory, though x is small.
    let broad = try RNN<Float>(inputSize: 1, hiddenSize: 4096)
    var wideState = try broad.zeroState(batchSize: 4096)
    let names = ["steps", "batchSize", "values of a step"]
    #expect(throws: RecurrentError.product(names: names, values: [4096, 4096, 32769], most: largestCount)) {
      try broad.record(
        [Float](repeating: 0, count: 1 << 24).span, steps: 4096, batchSize: 4096, state: &wideState, into: Record(),
        scratch: Scratch())
    }
  }

  @Test func backwardRefusesForeignAndConsumedRecords() throws {
    let layer = try GRU<Float>(inputSize: 2, hiddenSize: 3), other = try GRU<Float>(inputSize: 2, hiddenSize: 5)
    let x = try Sequences<Float>(steps: 2, batchSize: 1, size: 2)
    let dy = try Sequences<Float>(steps: 2, batchSize: 1, size: 3)
    var gradients = layer.zeroGradients(), wrong = other.zeroGradients()
    #expect(throws: RecurrentError.record(.empty)) {
      try layer.backward(consuming: Record(), x: x, dy: dy, into: &gradients)
    }
    let (record, _) = try layer.record(x)
    let set = layer.instructionSet.rawValue
    let foreign = RecurrentError.RecordProblem.otherLayer(
      was: "GRU, 2 inputs, 3 units on \(set)", expected: "GRU, 2 inputs, 5 units on \(set)")
    #expect(throws: RecurrentError.record(foreign)) {
      try other.backward(consuming: record, x: x, dy: nil, into: &wrong)
    }
    #expect(
      throws: RecurrentError.shape(name: "gradients", was: "GRU, 2 inputs, 5 units", expected: "GRU, 2 inputs, 3 units")
    ) { try layer.backward(consuming: record, x: x, dy: dy, into: &wrong) }
    let long = try Sequences<Float>(steps: 3, batchSize: 1, size: 2)
    #expect(throws: RecurrentError.size(name: "x.steps", was: 3, expected: "2, as the record's")) {
      try layer.backward(consuming: record, x: long, dy: dy, into: &gradients)
    }
    _ = try layer.backward(consuming: record, x: x, dy: dy, into: &gradients)
    #expect(throws: RecurrentError.record(.empty)) {
      try layer.backward(consuming: record, x: x, dy: dy, into: &gradients)
    }
  }

  /// The error names a gradient of the wrong shape by the name that the caller knows.
  @Test func backwardNamesTheStatesGradient() throws {
    let lstm = try LSTM<Float>(inputSize: 2, hiddenSize: 3), gru = try GRU<Float>(inputSize: 2, hiddenSize: 3)
    let x = try Sequences<Float>(steps: 2, batchSize: 1, size: 2)
    var gradients = lstm.zeroGradients()
    let record = try lstm.record(x).record
    let dy = [Float](repeating: 0, count: 6)
    for (wrong, name, was) in [(StateGradient<Float>(dh: [1]), "dh", 1), (StateGradient(dh: [1, 2, 3]), "dc", 0)] {
      #expect(throws: RecurrentError.count(name: "dFinal.\(name)", was: was, expected: 3, shape: "1·3")) {
        try lstm.backward(consuming: record, x: x, dy: nil, dFinal: wrong, into: &gradients)
      }
      var dState = wrong
      #expect(throws: RecurrentError.count(name: "dState.\(name)", was: was, expected: 3, shape: "1·3")) {
        try lstm.backward(
          consuming: record, x: x.values.span, dy: dy.span, dState: &dState, into: &gradients, scratch: Scratch())
      }
    }
    var ofGRU = gru.zeroGradients()
    #expect(throws: RecurrentError.unexpectedState(name: "dFinal.dc", was: 1)) {
      try gru.backward(
        consuming: gru.record(x).record, x: x, dy: nil, dFinal: StateGradient(dh: [1, 2, 3], dc: [4]), into: &ofGRU)
    }
  }

  @Test func backwardRefusesTransposedShapesAndChangedParameters() throws {
    var layer = try GRU<Float>(inputSize: 2, hiddenSize: 4)
    let x = try Sequences<Float>(steps: 3, batchSize: 2, size: 2)
    let turned = try Sequences<Float>(steps: 2, batchSize: 3, size: 2)
    let turnedDy = try Sequences<Float>(steps: 2, batchSize: 3, size: 4)
    var gradients = layer.zeroGradients()
    let (record, output) = try layer.record(x)
    #expect(throws: RecurrentError.size(name: "dy.steps", was: 2, expected: "3, as the record's")) {
      try layer.backward(consuming: record, x: x, dy: turnedDy, into: &gradients)
    }
    #expect(throws: RecurrentError.size(name: "x.steps", was: 2, expected: "3, as the record's")) {
      try layer.backward(consuming: record, x: turned, dy: nil, into: &gradients)
    }
    let twin = try GRU<Float>(inputSize: 2, hiddenSize: 4)
    #expect(throws: RecurrentError.record(.otherParameters)) {
      try twin.backward(consuming: record, x: x, dy: nil, into: &gradients)
    }
    let copy = layer
    layer.updateEachParameter { _, values in values[0] += 1 }
    #expect(throws: RecurrentError.record(.otherParameters)) {
      try layer.backward(consuming: record, x: x, dy: nil, into: &gradients)
    }
    _ = try copy.backward(consuming: record, x: x, dy: output.y, into: &gradients)
  }

  @Test func parametersOfAnotherCellAreRefused() throws {
    var lstm = try LSTM<Float>(inputSize: 3, hiddenSize: 2, bias: false)
    let rnn = try RNN<Float>(inputSize: 6, hiddenSize: 4, bias: false)
    #expect(
      throws: RecurrentError.shape(
        name: "these parameters", was: "RNN, 6 inputs, 4 units, no biases",
        expected: "LSTM, 3 inputs, 2 units, no biases")
    ) { try lstm.setParameters(rnn.parameters) }
    #expect(lstm.parameters.shape("weight_ih_l0") == [8, 3])
  }

  @Test func foreignInstructionSetsAreErrors() {
    // The test passes what other processors have, so that these messages are checked on every processor.
    #expect(throws: RecurrentError.instructionSet(requested: "avx512", available: [.portable, .avx2])) {
      try Processor.check("avx512", available: [.portable, .avx2])
    }
    #expect(throws: RecurrentError.instructionSet(requested: "mmx", available: [.portable])) {
      try Processor.check("mmx", available: [.portable])
    }
    for set in InstructionSet.allCases where !Processor.available.contains(set) {
      #expect(throws: RecurrentError.instructionSet(requested: set.rawValue, available: Processor.available)) {
        try RNN<Float>(inputSize: 1, hiddenSize: 1, instructionSet: set)
      }
    }
    #expect(Processor.available.first == .portable && Processor.description.contains(Processor.name))
  }

  @Test func everyErrorHasItsText() {
    let cases: [(RecurrentError, String)] = [
      (.size(name: "steps", was: 0, expected: "at least 1"), "steps is 0, expected at least 1"),
      (.count(name: "y", was: 3, expected: 4, shape: "2·2"), "y has 3 values, expected 2·2 = 4"),
      (
        .instructionSet(requested: "mmx", available: [.portable]),
        "instruction set 'mmx' is not one of this processor's: portable"
      ),
      (.name("a", kind: "parameter", known: ["b", "c"]), "parameter 'a' does not exist, there are: b, c"),
      (.value(name: "dropout", was: "2.0", expected: "0 to 1"), "dropout is 2.0, expected 0 to 1"),
      (.shape(name: "gradients", was: "RNN", expected: "GRU"), "gradients are of RNN, expected GRU"),
      (
        .layout(name: "x", step: 0, sequence: 1, problem: .notPositive),
        "x's layout has the distances 0 and 1, expected at least 1"
      ),
      (
        .layout(name: "x", step: .max, sequence: 1, problem: .tooLarge),
        "x's layout has the distances \(Int.max) and 1, which reach beyond any memory"
      ),
      (
        .layout(name: "x", step: 2, sequence: 1, problem: .overlappingRows(of: 3)),
        "x's layout has the distances 2 a step and 1 a sequence: rows of 3 overlap"
      ),
      (
        .extent(name: "x", was: 3, expected: 4, shape: "1·2 + 2"),
        "x has 3 values, expected at least 1·2 + 2 = 4, as its layout says"
      ),
      (.overlap(name: "y", other: "x"), "y overlaps x in memory, expected buffers of their own"),
      (.unexpectedState(name: "state.c", was: 2), "state.c has 2 values, expected none: this cell has no c"),
      (.record(.empty), "the record is empty or was consumed: call record before backward"),
      (.record(.otherLayer(was: "a", expected: "b")), "the record was filled by a, this layer is b"),
      (
        .record(.otherParameters),
        "the record was filled with other parameters than the layer has now: call record again"
      ),
      (
        .direction(.reverse),
        "the layer's direction is reverse, expected forward: a stream cannot start at the last step"
      ),
      (.threads(count: 1024), "the system does not give 1024 threads"),
    ]
    for (error, text) in cases { #expect(error.description == text) }
  }
}

/// The error of a layer whose sizes each fit into memory, but whose weights do not.
private func tooLarge(_ layer: String) -> RecurrentError {
  .value(
    name: "the layer", was: layer, expected: "a smaller one: its weights do not fit into this machine's memory")
}

extension Float16: RecurrentScalar {}
#if arch(x86_64)
  extension Float80: RecurrentScalar {}
#endif
