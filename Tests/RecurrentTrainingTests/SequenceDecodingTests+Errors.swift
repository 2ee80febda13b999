import Recurrent
import RecurrentTraining
import Testing

extension SequenceDecodingTests {
  @Test func logitsWithoutProbabilitiesAreNamed() throws {
    var model = try EncoderDecoderTests.goldens[2].model()
    model.decoder.head.bias[3] = .nan
    let source = try SequenceDecodingTests.source(), decoder = SequenceDecoder(start: 0, end: 1, longest: 3)
    let message =
      "step 0 of source 0 is without probabilities, expected logits without NaN or +∞, of which one is above -∞"
    expectError(message) { try decoder.greedy(model.stream(source)) }
    expectError(message) { try decoder.beam(model.stream(source, beams: 2)) }
    let search = try BeamSearch(model.stream(source, beams: 2), decoder)
    for _ in 0..<2 { expectError(message) { try search.step() } }
    #expect(search.readings == [[], [], []])
    model.decoder.head.bias[3] = .infinity
    expectError(message) { try decoder.greedy(model.stream(source)) }
  }

  @Test func badInputIsNamed() throws {
    var windowed = try EncoderDecoderTests.goldens[1].model()
    windowed.decoder.attention = try AttentionalOutput(
      .dot(DotAttention(window: .around(-1))), querySize: 6, memorySize: 6, seed: 1)
    expectError("the window's distance is -1, expected 0 to \(1 << 40) steps") {
      try windowed.stream(SequenceDecodingTests.source())
    }
    let model = try EncoderDecoderTests.goldens[2].model(), source = try SequenceDecodingTests.source()
    expectError("beams is 0, expected at least 1") { try model.stream(source, beams: 0) }
    func decode(_ decoder: SequenceDecoder, beams: Int = 1) throws {
      _ = try decoder.beam(model.stream(source, beams: beams))
    }
    expectError("the start symbol is 5, expected 0 to 4") { try decode(.init(start: 5, end: 1, longest: 3)) }
    expectError("the end symbol is -1, expected 0 to 4") { try decode(.init(start: 0, end: -1, longest: 3)) }
    expectError("longest is 0, expected at least 1") { try decode(.init(start: 0, end: 1, longest: 0)) }
    expectError("lengthPower is -1.0, expected 0 or more") {
      try decode(.init(start: 0, end: 1, longest: 3, lengthPower: -1))
    }
    let decoder = SequenceDecoder(start: 0, end: 1, longest: 3)
    expectError("the stream's beams is 2, expected 1") { try decoder.greedy(model.stream(source, beams: 2)) }
    let stream = try model.stream(source, beams: 2)
    expectError("the symbol of row 2 of step 0 is 5, expected 0 to 4") { try stream.step([0, 1, 5, 0, 0, 0].span) }
    expectError("symbols has 2 values, expected 3·2 = 6") { try stream.step([0, 1].span) }
    expectError("parents[1] is 2, expected 0 to 1, a row of its source") {
      try stream.reorder([0, 2, 2, 2, 4, 4].span)
    }
    try stream.step([0, 0, 0, 0, 0, 0].span)
    expectError("the stream's steps is 1, expected 0: a search needs a new stream") { try decoder.beam(stream) }
    let state = try model.decoder.layer.zeroState(batchSize: 3),
      memory = try Sequences<Float>(
        steps: 2, batchSize: 3, size: 6)
    expectError("h of the initial state has 13 values, expected 1·2·6 = 12") {
      try DecoderStream(model.decoder, initial: State(h: Array(repeating: 0, count: 13)), memory: memory)
    }
    expectError("the number of sequences of the memory is 2, expected 3, as of the state") {
      try DecoderStream(model.decoder, initial: state, memory: Sequences(steps: 2, batchSize: 2, size: 6))
    }
    expectError("the size of the memory is 5, expected 6, as of the attention") {
      try DecoderStream(model.decoder, initial: state, memory: Sequences(steps: 2, batchSize: 3, size: 5))
    }
    expectError("the number of keys of sequence 2 is 0, expected at least 1: the source is empty") {
      try DecoderStream(
        model.decoder, initial: state, memory: Sequences(steps: 2, batchSize: 3, size: 6, lengths: [1, 2, 0]))
    }
    expectError("the decoder's memory is nil, expected one, because the decoder has an attention") {
      try DecoderStream(model.decoder, initial: state)
    }
    #expect(throws: RecurrentError.self) {
      try DecoderStream(model.decoder, initial: State(h: state.h), memory: memory)
    }
    // Parts that do not fit each other any more.
    var mixed = model.decoder
    mixed.head = try Dense(inputSize: 6, outputSize: 4, seed: 1)
    expectError("the outputs of the head is 4, expected 5, the number of symbols") {
      try DecoderStream(mixed, initial: state, memory: memory)
    }
    mixed = model.decoder
    mixed.attention = try AttentionalOutput(.dot(DotAttention()), querySize: 7, memorySize: 7, seed: 1)
    expectError("the outputs of the attention is 7, expected 6, the hidden size") {
      try DecoderStream(mixed, initial: state, memory: memory)
    }
    mixed = model.decoder
    mixed.layer = try Layer(.lstm(), inputSize: 5, hiddenSize: 6)
    expectError("the inputs of the decoder's layer is 5, expected 4, the size of the embedding") {
      try DecoderStream(mixed, initial: state, memory: memory)
    }
    // A model whose numbers have become NaN says so.
    var broken = model
    broken.updateParameters { $0[0] = .nan }
    expectError(
      "step 0 of source 0 is without probabilities, expected logits without NaN or +∞, of which one is above -∞"
    ) { try decoder.beam(broken.stream(Tokens(padding: [[0]]))) }
  }
}
