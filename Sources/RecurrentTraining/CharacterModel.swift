import Recurrent

/// A model of text, one character after another: embedding, one recurrent layer, dense, softmax.
public struct CharacterModel: Sendable, TrainableModel {
  /// The characters that the model knows.
  public let vocabulary: Vocabulary
  /// A vector of each character.
  public var embedding: Embedding
  /// The recurrent layer, which reads the vectors.
  public var layer: Layer<Float>
  /// Turns an output into the logits of the next character.
  public var head: Dense

  /// An untrained model.
  ///
  /// - Parameters:
  ///   - cell: the cell of the layer.
  ///   - vocabulary: every character that the model is to know.
  ///   - embeddingSize: D, the size of a character's vector.
  ///   - hiddenSize: H
  ///   - seed: equal seeds give equal models.
  /// - Throws: `RecurrentError` if a size is not positive.
  public init(
    _ cell: Cell, vocabulary: Vocabulary, embeddingSize: Int, hiddenSize: Int, seed: UInt64
  ) throws(RecurrentError) {
    self.vocabulary = vocabulary
    embedding = try Embedding(symbols: vocabulary.count, size: embeddingSize, seed: seed)
    // An LSTM that remembers from the start learns sooner.
    layer = try Layer(
      cell, inputSize: embeddingSize, hiddenSize: hiddenSize,
      initialization: Initialization(forgetBias: cell.definition.forgetGate == nil ? nil : 1, seed: seed &+ 1))
    head = try Dense(inputSize: hiddenSize, outputSize: vocabulary.count, seed: seed &+ 2)
  }

  /// The number of values to learn.
  public var parameterCount: Int { parameterCounts.reduce(0) { $0 + $1.count } }

  /// Continues a text.
  ///
  /// - Parameters:
  ///   - start: what the model reads first. If it is empty, the model reads the vocabulary's first character, in most
  ///     texts a new line.
  ///   - count: how many characters follow.
  ///   - temperature: below 1 bolder, above 1 wilder.
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
    var state = try layer.zeroState(batchSize: 1)
    let scratch = Scratch<Float>(), headScratch = Scratch<Float>()
    var x = [Float](repeating: 0, count: embedding.size), logits = [Float](repeating: 0, count: vocabulary.count)
    var y = [Float](repeating: 0, count: layer.hiddenSize)
    var pending = vocabulary.numbers(of: start)
    if pending.isEmpty { pending = [1] }
    let last = pending.count - 1
    for index in 0..<pending.count + count - 1 {
      try embedding.forward([pending[index]], into: &x)
      var span = y.mutableSpan
      try layer.forward(x.span, steps: 1, batchSize: 1, state: &state, into: &span, scratch: scratch)
      guard index >= last else { continue }
      try head.forward(y, rows: 1, into: &logits, scratch: headScratch)
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
    var state = try layer.zeroState(batchSize: batches.streams)
    var pass = ModelPass()
    var sum = 0.0, count = 0
    while let batch = batches.next() {
      sum += try pass.loss(self, batch, state: &state) * Double(batch.targets.count)
      count += batch.targets.count
    }
    return sum / Double(count)
  }
}

/// The buffers of forward and backward through a model.
struct ModelPass {
  private var x: [Float] = []
  private var y: [Float] = []
  private var logits: [Float] = []
  private var dx: [Float] = []
  private var dy: [Float] = []
  private let record = Record<Float>()
  private let scratch = Scratch<Float>()
  private let headScratch = Scratch<Float>()
  /// The dropout of the layer's outputs in training.
  private var outputDropout: MaskedDropout?

  init() {}

  init(dropout: Float, seed: UInt64) throws(RecurrentError) {
    outputDropout = try MaskedDropout(rate: dropout, seed: seed)
  }

  /// Continues with the masks that follow after some updates.
  mutating func continueDropout(after updates: Int) { outputDropout?.calls = updates }

  private mutating func resize(_ model: CharacterModel, rows: Int) {
    func fit(_ values: inout [Float], _ count: Int) {
      if values.count != count { values = Array(repeating: 0, count: count) }
    }
    fit(&x, rows * model.embedding.size)
    fit(&dx, x.count)
    fit(&y, rows * model.layer.hiddenSize)
    fit(&dy, y.count)
    fit(&logits, rows * model.vocabulary.count)
  }

  /// The mean loss of a batch. The state is carried over to the next batch.
  mutating func loss(
    _ model: CharacterModel, _ batch: TextBatches.Batch, state: inout State<Float>
  ) throws(RecurrentError) -> Double {
    let rows = batch.targets.count
    resize(model, rows: rows)
    try model.embedding.forward(batch.inputs, into: &x)
    try y.withUnsafeMutableBufferPointer { [x, scratch] y throws(RecurrentError) in
      try x.withUnsafeBufferPointer { x throws(RecurrentError) in
        try model.layer.forward(
          x, steps: batch.steps, batchSize: batch.streams, state: &state, into: y, scratch: scratch)
      }
    }
    try model.head.forward(y, rows: rows, into: &logits, scratch: headScratch)
    return try SoftmaxCrossEntropy.gradient(&logits, targets: batch.targets, classes: model.vocabulary.count)
  }

  /// The mean loss of a batch. Its gradients times `weight` are added up. The state is carried over to the next batch,
  /// but no gradient comes back from there.
  mutating func gradients(
    _ model: CharacterModel, _ batch: TextBatches.Batch, state: inout State<Float>, weight: Float,
    into gradients: inout ModelGradients
  ) throws(RecurrentError) -> Double {
    let rows = batch.targets.count
    resize(model, rows: rows)
    try model.embedding.forward(batch.inputs, into: &x)
    try model.layer.record(
      x.span, steps: batch.steps, batchSize: batch.streams, state: &state, into: record, scratch: scratch)
    record.withY { recorded in _ = y.withUnsafeMutableBufferPointer { $0.update(fromContentsOf: recorded) } }
    outputDropout?.forward(&y)
    try model.head.forward(y, rows: rows, into: &logits, scratch: headScratch)
    let loss = try SoftmaxCrossEntropy.gradient(
      &logits, targets: batch.targets, classes: model.vocabulary.count, weight: weight)
    try model.head.backward(
      x: y, dy: logits, rows: rows, dx: &dy, dWeight: &gradients.headWeight, dBias: &gradients.headBias,
      scratch: headScratch)
    try outputDropout?.backward(&dy)
    var dState = try model.layer.zeroStateGradient(batchSize: batch.streams)
    try dx.withUnsafeMutableBufferPointer { [x, dy, record, scratch] dx throws(RecurrentError) in
      var span = dx.mutableSpan
      try model.layer.backward(
        consuming: record, x: x.span, dy: dy.span, dState: &dState, dx: &span, into: &gradients.layer, scratch: scratch)
    }
    try model.embedding.backward(batch.inputs, dx: dx, into: &gradients.embedding)
    return loss
  }
}
