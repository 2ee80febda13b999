import Recurrent

/// A model of text, one character after another: embedding, a recurrent layer of one or more levels, dense, softmax.
public struct CharacterModel: Composite {
  /// The embedding, the layer and the head.
  public static let parts: [Part<CharacterModel>] = [
    Part("embedding", \.embedding), Part("cell", \.layer), Part("head", \.head),
  ]
  /// The characters that the model knows.
  public let vocabulary: Vocabulary
  /// A vector of each character.
  public var embedding: Embedding
  /// The recurrent layer, which reads the vectors.
  public var layer: Layer<Float>
  /// Turns an output into the logits of the next character.
  public var head: Dense
  /// Drops outputs of the layer in training; nothing at first.
  public var dropout: Dropout

  /// An untrained model.
  ///
  /// - Parameters:
  ///   - cell: the cell of the layer.
  ///   - vocabulary: every character that the model is to know.
  ///   - embeddingSize: D, the size of a character's vector.
  ///   - hiddenSize: H
  ///   - layerCount: L, the number of levels of the recurrent layer.
  ///   - layerDropout: the rate at which training drops values between the levels.
  ///   - seed: equal seeds give equal models.
  /// - Throws: `RecurrentError` if a size is not positive, or the rate not from 0 to 1.
  public init(
    _ cell: Cell, vocabulary: Vocabulary, embeddingSize: Int, hiddenSize: Int, layerCount: Int = 1,
    layerDropout: Float = 0, seed: UInt64
  ) throws(RecurrentError) {
    self.vocabulary = vocabulary
    embedding = try Embedding(symbols: vocabulary.count, size: embeddingSize, seed: seed)
    // An LSTM that remembers from the start learns sooner.
    layer = try Layer(
      cell, inputSize: embeddingSize, hiddenSize: hiddenSize, layerCount: layerCount, dropout: layerDropout,
      initialization: Initialization(forgetBias: cell.definition.forgetGate == nil ? nil : 1, seed: seed &+ 1))
    head = try Dense(inputSize: hiddenSize, outputSize: vocabulary.count, seed: seed &+ 2)
    dropout = try Dropout(rate: 0)
  }

  /// Continues a text.
  ///
  /// - Parameters:
  ///   - start: what the model reads first. If it is empty, the model reads the vocabulary's first character, in most
  ///     texts a new line.
  ///   - count: how many characters follow.
  ///   - temperature: below 1 the text is more cautious, above 1 more varied.
  ///   - seed: equal seeds give equal texts.
  /// - Throws: `RecurrentError` if a number is not positive.
  public func sample(
    after start: [Unicode.Scalar], count: Int, temperature: Float = 0.8, seed: UInt64
  ) throws(RecurrentError) -> String {
    var text = String.UnicodeScalarView()
    try sample(after: start, count: count, temperature: temperature, seed: seed) { text.append($0) }
    return String(text)
  }

  /// Continues a text, and calls `receive` with each character as soon as it is chosen.
  ///
  /// - Parameters:
  ///   - start, count, temperature, seed: as of the other form.
  ///   - receive: is called with each character that follows.
  /// - Throws: `RecurrentError` if a number is not positive.
  public func sample(
    after start: [Unicode.Scalar], count: Int, temperature: Float = 0.8, seed: UInt64,
    _ receive: (Unicode.Scalar) -> Void
  ) throws(RecurrentError) {
    try checkNumber("temperature", temperature, temperature > 0 && temperature.isFinite, "more than 0")
    guard (0...1 << 40).contains(count) else { throw .size(name: "count", was: count, expected: "0 to 2^40") }
    var random = SeededGenerator(seed: seed)
    let stream = try layer.stream(), scratch = Scratch<Float>()
    var x = [Float](repeating: 0, count: embedding.size), logits = [Float](repeating: 0, count: vocabulary.count)
    var y = [Float](repeating: 0, count: layer.hiddenSize)
    var pending = vocabulary.numbers(of: start)
    if pending.isEmpty { pending = [1] }
    let last = pending.count - 1
    for index in 0..<pending.count + count - 1 {
      try x.withUnsafeMutableBufferPointer { x throws(RecurrentError) in
        try embedding.copyVectors(of: [pending[index]], to: x)
      }
      var output = y.mutableSpan
      try stream.process(x.span, steps: 1, into: &output)
      guard index >= last else { continue }
      var logitsSpan = logits.mutableSpan
      try head.forward(y.span, rows: 1, into: &logitsSpan, scratch: scratch)
      logits[0] = -.infinity  // 0 is the number of characters that the vocabulary lacks
      // The largest becomes zero first: a low temperature then overflows nothing that counts.
      let largest = logits.max() ?? 0
      for symbol in logits.indices { logits[symbol] = (logits[symbol] - largest) / temperature }
      logits.withUnsafeMutableBufferPointer { SoftmaxCrossEntropy.softmax($0) }
      var left = Float.random(in: 0..<1, using: &random)
      let choice =
        logits.indices.first {
          left -= logits[$0]; return left < 0
        } ?? logits.count - 1
      receive(vocabulary[choice])
      pending.append(choice)
    }
  }

  /// The mean loss over a text, in nats a character.
  ///
  /// - Parameters:
  ///   - numbers: the text, at least two characters.
  ///   - streams: the number of pieces that are read side by side, each from a zero state.
  /// - Throws: `RecurrentError` if the text is too short.
  public func loss(of numbers: [Int], streams: Int = 4) throws(RecurrentError) -> Double {
    let steps = 100
    var batches = try TextBatches(numbers, streams: max(1, min(streams, numbers.count / steps)), steps: steps)
    guard numbers.count >= 2 else { throw .size(name: "text", was: numbers.count, expected: "at least 2 characters") }
    let workspace = Workspace(isTraining: false)
    var state: State<Float>?
    var sum = 0.0, count = 0
    while let batch = batches.next() {
      let (logits, final, _) = try forward(try batch.tokens, from: state, workspace)
      state = final
      sum += try SoftmaxCrossEntropy()(logits, batch.targets).loss * Double(batch.targets.count)
      count += batch.targets.count
    }
    return sum / Double(count)
  }
}

extension CharacterModel: Module {
  /// What `backward` needs of each part.
  public struct Trace {
    fileprivate let embedding: Embedding.Trace
    fileprivate let layer: LayerTrace
    fileprivate let dropout: Dropout.Trace
    fileprivate let head: Dense.Trace
  }

  /// The logits [T,N,V] of the characters that follow, from a state of zero.
  public func forward(
    _ text: Tokens, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, Trace) {
    let (logits, _, trace) = try forward(text, from: nil, workspace)
    return (logits, trace)
  }

  /// The logits [T,N,V] of the characters that follow.
  ///
  /// - Parameters:
  ///   - text: [T,N], the characters' numbers.
  ///   - state: [L,N,H], after the piece of the text before; zero if nil. No gradient goes back into it.
  ///   - workspace: as in every module.
  /// - Returns: the logits, the state after this piece, and the trace.
  /// - Throws: `RecurrentError` if a number or the state's count is wrong.
  public func forward(
    _ text: Tokens, from state: State<Float>?, _ workspace: Workspace
  ) throws(RecurrentError) -> (logits: Sequences<Float>, final: State<Float>, trace: Trace) {
    let (x, embeddingTrace) = try embedding(text, workspace)
    let (output, layerTrace) = try layer.forward(x, initial: state, workspace)
    let (y, dropoutTrace) = try dropout(output.y, workspace)
    let (logits, headTrace) = try head(y, workspace)
    return (
      logits, output.final,
      Trace(embedding: embeddingTrace, layer: layerTrace, dropout: dropoutTrace, head: headTrace)
    )
  }

  public func backward(
    _ dLogits: Sequences<Float>, _ trace: Trace, into gradients: inout Gradients<CharacterModel>,
    _ workspace: Workspace
  ) throws(RecurrentError) {
    let dy = try head.backward(dLogits, trace.head, into: &gradients.head, workspace)
    let dOutput = OutputGradient(dy: try dropout.backward(dy, trace.dropout))
    let dx = try layer.backward(dOutput, trace.layer, into: &gradients.layer, workspace)
    try embedding.backward(dx, trace.embedding, into: &gradients.embedding, workspace)
  }
}

extension TextBatches.Batch {
  /// The characters that are read.
  var tokens: Tokens {
    get throws(RecurrentError) { try Tokens(inputs, steps: steps, batchSize: streams) }
  }
}
