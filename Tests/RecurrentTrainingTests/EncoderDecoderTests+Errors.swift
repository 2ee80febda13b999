import Recurrent
import RecurrentTraining
import Testing

extension EncoderDecoderTests {
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
    expectError("texts is empty, expected at least one text") { try TeacherForcing([], start: 0, end: 1) }
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
}
