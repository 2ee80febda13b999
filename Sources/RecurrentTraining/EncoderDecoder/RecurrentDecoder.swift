import Recurrent

/// Writes a sequence of symbols, step by step: each step reads one symbol, and gives the logits of the next one.
///
/// A step embeds the symbol, runs a recurrent layer and, if there is an attention, looks back at a memory such as the
/// outputs of an encoder. A dense product gives the logits. With input feeding (Luong, Pham and Manning 2015, arXiv
/// 1508.04025), the output of the attention is also a part of the next step's input; training then runs step by step.
///
///     let layer = try LSTM<Float>(inputSize: 32, hiddenSize: 64)
///     let decoder = try RecurrentDecoder(
///       Embedding(symbols: 14, size: 32, seed: 1), layer,
///       attention: .general(GeneralAttention(querySize: 64, keySize: 128, seed: 2)), memorySize: 128, seed: 3)
public struct RecurrentDecoder: Sendable, Composite {
  /// The parts have these names. Without attention, `attention` has no parameters.
  public static let parts: [Part<RecurrentDecoder>] = [
    Part("embedding", \.embedding), Part("layer", \.layer), Part("attention", \.attention), Part("head", \.head),
  ]
  /// The vectors of the symbols.
  public var embedding: Embedding
  /// Any cell, with any number of levels.
  public var layer: Layer<Float>
  /// Looks back at the memory; nil without attention.
  public var attention: AttentionalOutput?
  /// Computes the logits [T,N,V].
  public var head: Dense
  /// Whether the output of the attention is a part of the next step's input.
  public let feedsInput: Bool

  /// - Parameters:
  ///   - embedding: V symbols, whose vectors have D values.
  ///   - layer: has D inputs, or with input feeding D + H inputs, where H is its hidden size. Its direction must be
  ///     forward.
  ///   - attention: takes queries of size H; nil for a decoder without attention.
  ///   - memorySize: the number of features of the memory; not read without attention.
  ///   - feedsInput: whether the output of the attention is a part of the next step's input.
  ///   - seed: equal seeds give equal weights.
  /// - Throws: `RecurrentError` if sizes do not fit, if the layer has another direction, or if there is input feeding
  ///   without an attention or with one whose window follows the steps.
  public init<Base: RecurrentLayer>(
    _ embedding: Embedding, _ layer: Base, attention: Attention? = nil, memorySize: Int = 0, feedsInput: Bool = false,
    seed: UInt64
  ) throws(RecurrentError) where Base.Scalar == Float {
    self.embedding = embedding
    self.layer = layer.layer
    self.feedsInput = feedsInput
    if let attention {
      self.attention = try AttentionalOutput(
        attention, querySize: layer.hiddenSize, memorySize: memorySize, seed: seed &+ 1)
    }
    head = try Dense(inputSize: layer.hiddenSize, outputSize: embedding.symbols, seed: seed)
    try checkParts()
  }

  /// Checks that the parts fit together, because a user may have replaced any of them.
  ///
  /// - Throws: `RecurrentError` if they do not.
  func checkParts() throws(RecurrentError) {
    guard layer.direction == .forward else { throw .direction(layer.direction) }
    if feedsInput, attention?.attention.window != .all {
      throw .value(
        name: "the attention of a decoder with input feeding",
        was: attention == nil ? "none" : "one whose window follows the steps",
        expected: "one to the whole memory, or a predictive one")
    }
    let hidden = layer.hiddenSize
    for (name, size, expected, meaning) in [
      (
        "the inputs of the decoder's layer", layer.inputSize, embedding.size + (feedsInput ? hidden : 0),
        "the size of the embedding" + (feedsInput ? " and the hidden size" : "")
      ),
      ("the outputs of the attention", attention?.combine.outputSize ?? hidden, hidden, "the hidden size"),
      ("the inputs of the head", head.inputSize, hidden, "the hidden size"),
      ("the outputs of the head", head.outputSize, embedding.symbols, "the number of symbols"),
    ] where size != expected {
      throw .size(name: name, was: size, expected: "\(expected), \(meaning)")
    }
    try checkCount("embedding.weight", embedding.weight.count, is: embedding.symbols * embedding.size, "V·D")
  }

  /// What `backward` needs; it can be used once.
  public struct Trace {
    fileprivate let embedding: Embedding.Trace
    fileprivate let calls: [LayerCall]
    fileprivate let head: Dense.Trace
    fileprivate let memory: Sequences<Float>?

    /// The weights [T][S] that each step of a sequence gives to the memory's steps, where T and S are the sequence's
    /// own lengths; nil without attention.
    ///
    /// - Throws: `RecurrentError.size` if there is no such sequence.
    public func weights(sequence: Int) throws(RecurrentError) -> [[Float]]? {
      var rows: [[Float]] = []
      for call in calls {
        guard let attention = call.attention else { return nil }
        rows += try attention.weights.rows(sequence: sequence)
      }
      return rows
    }
  }

  /// The traces of the steps that one call of the layer runs: all steps, or one step with input feeding.
  fileprivate struct LayerCall {
    let layer: LayerTrace
    let attention: AttentionalOutput.Trace?
  }

  private func ranges(ofSteps steps: Int) -> [Range<Int>] {
    feedsInput ? (0..<steps).map { $0..<$0 + 1 } : [0..<steps]
  }
}

/// What a decoder reads.
public struct DecoderInput: Sendable {
  /// [T,N]: the symbol before each step, with the lengths of the targets.
  public var symbols: Tokens
  /// [L,N,H]: the state before the first step.
  public var initial: State<Float>
  /// [S,N,C]: what the attention looks at, with lengths; not read without attention.
  public var memory: Sequences<Float>?

  /// Each parameter is explained at its property.
  public init(_ symbols: Tokens, initial: State<Float>, memory: Sequences<Float>? = nil) {
    self.symbols = symbols
    self.initial = initial
    self.memory = memory
  }
}

/// The gradients of a decoder's initial state and memory. Its symbols have none.
public struct DecoderGradient: Sendable {
  /// [L,N,H]
  public var initial: StateGradient<Float>
  /// [S,N,C]; nil without attention.
  public var memory: Sequences<Float>?
}

extension DecoderInput: Differentiable {
  /// The gradients of the initial state and of the memory.
  public typealias Gradient = DecoderGradient
}

extension RecurrentDecoder: Module {
  /// The logits [T,N,V] of the symbol of each step.
  ///
  /// - Throws: `RecurrentError` if a part has been replaced by one that does not fit, if a symbol is not from
  ///   0 to V - 1, if the state or the memory does not fit, or if a sequence's memory is empty.
  public func forward(
    _ input: DecoderInput, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, Trace) {
    try checkParts()
    let symbols = input.symbols
    let (embedded, embeddingTrace) = try embedding.forward(symbols, workspace)
    var state = input.initial, calls: [LayerCall] = [], outputs: [Sequences<Float>] = []
    for range in ranges(ofSteps: symbols.steps) {
      var x = try embedded.steps(range)
      if feedsInput {
        let before: Sequences<Float>
        if let last = outputs.last {
          before = last
        } else {
          before = try Sequences(steps: 1, batchSize: symbols.batchSize, size: layer.hiddenSize)
        }
        x = try x.joined(with: before)
      }
      let (output, layerTrace) = try layer.forward(x, initial: state, workspace)
      state = output.final
      let (y, attentionTrace) = try look(output.y, at: input.memory, workspace)
      outputs.append(y)
      calls.append(LayerCall(layer: layerTrace, attention: attentionTrace))
    }
    let (logits, headTrace) = try head.forward(.stack(outputs, lengths: symbols.lengths), workspace)
    return (
      logits,
      Trace(
        embedding: embeddingTrace, calls: calls, head: headTrace, memory: attention == nil ? nil : input.memory)
    )
  }

  private func look(
    _ h: Sequences<Float>, at memory: Sequences<Float>?, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, AttentionalOutput.Trace?) {
    guard let attention else { return (h, nil) }
    guard let memory else {
      throw .value(name: "the decoder's memory", was: "nil", expected: "one, because the decoder has an attention")
    }
    let (y, trace) = try attention.forward(AttentionInput(queries: h, memory: memory), workspace)
    return (y, trace)
  }

  public func backward(
    _ dLogits: Sequences<Float>, _ trace: Trace, into gradients: inout Gradients<RecurrentDecoder>,
    _ workspace: Workspace
  ) throws(RecurrentError) -> DecoderGradient {
    let symbols = trace.embedding, ranges = self.ranges(ofSteps: symbols.steps), embeddingSize = embedding.size
    guard trace.calls.count == ranges.count, (trace.memory == nil) == (attention == nil) else {
      throw .value(name: "the decoder's trace", was: "that of another decoder", expected: "that of this one")
    }
    let dOutputs = try head.backward(dLogits, trace.head, into: &gradients.head, workspace)
    var dState: StateGradient<Float>?, dFed: Sequences<Float>?, dInputs: [Sequences<Float>] = []
    var dMemory = try trace.memory.map { memory throws(RecurrentError) in try memory.sameShape(size: memory.size) }
    for (range, call) in zip(ranges, trace.calls).reversed() {
      var dy = try dOutputs.steps(range)
      if let dFed { try dy.add(dFed) }
      if let attention, let attentionTrace = call.attention {
        let d = try attention.backward(
          dy, attentionTrace, into: &gradients.attention[as: AttentionalOutput.self], workspace)
        try dMemory?.add(d.keys)
        try dMemory?.add(d.values)
        dy = d.queries
      }
      let d = try layer.backwardThroughState(
        OutputGradient(dy: dy, dFinal: dState), call.layer, into: &gradients.layer, workspace)
      dState = d.dInitial
      if feedsInput {
        dFed = try d.dx.features(embeddingSize..<d.dx.size)
        dInputs.append(try d.dx.features(0..<embeddingSize))
      } else {
        dInputs.append(d.dx)
      }
    }
    try embedding.backward(
      .stack(dInputs.reversed(), lengths: symbols.lengths), trace.embedding, into: &gradients.embedding, workspace)
    // There is at least one call.
    return DecoderGradient(initial: dState!, memory: dMemory)
  }
}
