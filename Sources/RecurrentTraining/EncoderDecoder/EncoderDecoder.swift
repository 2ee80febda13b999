import Recurrent

/// Reads one sequence and writes another one (Sutskever, Vinyals and Le 2014, arXiv 1409.3215; with attention Bahdanau,
/// Cho and Bengio 2015, arXiv 1409.0473).
///
/// The encoder is any module that ends in a recurrent layer; it may read symbols or numbers. A bridge turns its final
/// state into the decoder's initial state. The decoder's attention, if it has one, looks at the encoder's outputs of
/// all steps.
public struct EncoderDecoder<Encoder: Module>: Module, Composite where Encoder.Output == Output<Float> {
  /// The parts are named encoder, bridge and decoder.
  public static var parts: [Part<Self>] {
    [Part("encoder", \.encoder), Part("bridge", \.bridge), Part("decoder", \.decoder)]
  }
  /// Reads the source.
  public var encoder: Encoder
  /// Turns the encoder's final state into the decoder's initial state.
  public var bridge: StateBridge
  /// Writes the target.
  public var decoder: RecurrentDecoder

  /// A model of three parts, which must fit together: this checks nothing, and a call throws an error if they do not.
  public init(encoder: Encoder, bridge: StateBridge, decoder: RecurrentDecoder) {
    self.encoder = encoder
    self.bridge = bridge
    self.decoder = decoder
  }

  /// A source, and the symbols that the decoder reads.
  public struct Input: Differentiable {
    /// The gradient of the source.
    public typealias Gradient = Encoder.Input.Gradient
    /// What the encoder reads.
    public var source: Encoder.Input
    /// [T,N]: the symbol before each step of the target, with the targets' lengths.
    public var symbols: Tokens

    /// Each parameter is explained at its property.
    public init(_ source: Encoder.Input, _ symbols: Tokens) {
      self.source = source
      self.symbols = symbols
    }
  }

  /// What `backward` needs; it can be used once.
  public struct Trace {
    fileprivate let encoder: Encoder.Trace
    fileprivate let bridge: StateBridge.Trace
    /// Holds the weights of the attention.
    public let decoder: RecurrentDecoder.Trace
  }

  /// The logits [T,N,V] of the symbol of each step of the target.
  ///
  /// - Throws: `RecurrentError` if a source is empty, if a symbol is out of its range, or if the parts do not fit
  ///   together.
  public func forward(
    _ input: Input, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, Trace) {
    let (encoded, encoderTrace) = try encode(input.source, workspace)
    let (initial, bridgeTrace) = try bridge.forward(encoded.final, workspace)
    let (logits, decoderTrace) = try decoder.forward(
      DecoderInput(input.symbols, initial: initial, memory: encoded.y), workspace)
    return (logits, Trace(encoder: encoderTrace, bridge: bridgeTrace, decoder: decoderTrace))
  }

  public func backward(
    _ dLogits: Sequences<Float>, _ trace: Trace, into gradients: inout Gradients<Self>, _ workspace: Workspace
  ) throws(RecurrentError) -> Encoder.Input.Gradient {
    let d = try decoder.backward(dLogits, trace.decoder, into: &gradients.decoder, workspace)
    let dFinal = try bridge.backward(d.initial, trace.bridge, into: &gradients.bridge, workspace)
    return try encoder.backward(
      OutputGradient(dy: d.memory, dFinal: dFinal), trace.encoder, into: &gradients.encoder, workspace)
  }

  /// Runs the encoder, which must not be given an empty source: its final state would say nothing.
  private func encode(
    _ source: Encoder.Input, _ workspace: Workspace
  ) throws(RecurrentError) -> (Output<Float>, Encoder.Trace) {
    let (encoded, trace) = try encoder.forward(source, workspace)
    if let empty = encoded.y.lengths?.firstIndex(of: 0) {
      throw .size(name: "the number of steps of source \(empty)", was: 0, expected: "at least 1: the source is empty")
    }
    return (encoded, trace)
  }

  // MARK: - Decoding

  /// A stream that writes the targets of some sources, step by step.
  ///
  /// - Parameters:
  ///   - source: N sources.
  ///   - beams: the number of rows of each source, such as the width of a beam search.
  ///   - workspace: the encoder runs in its memory. Nothing is dropped, even if the workspace is one for training.
  /// - Throws: `RecurrentError` if a source is empty, if `beams` is not positive, or if the parts do not fit together.
  public func stream(
    _ source: Encoder.Input, beams: Int = 1, _ workspace: Workspace = Workspace(isTraining: false)
  ) throws(RecurrentError) -> DecoderStream {
    let wasTraining = workspace.isTraining
    workspace.isTraining = false
    defer { workspace.isTraining = wasTraining }
    let encoded = try encode(source, workspace).0
    let initial = try bridge.forward(encoded.final, workspace).0
    return try DecoderStream(decoder, initial: initial, memory: encoded.y, beams: beams)
  }

  /// The symbols that the decoder reads in scheduled sampling (Bengio and others 2015, arXiv 1506.03099). With some
  /// probability, each symbol of the target is replaced by the one that the model finds the most probable after what it
  /// has read so far. Training on these symbols is then a call like any other. No gradient goes through the choice of a
  /// symbol.
  ///
  ///     let symbols = try model.sampled(input, probability: 0.25, using: &random)
  ///     let (logits, trace) = try model(.init(input.source, symbols), workspace)
  ///
  /// - Parameters:
  ///   - input: the sources, and the symbols of the targets. The first symbol of each target stays.
  ///   - probability: the probability of the model's own symbol, 0 to 1.
  ///   - random: gives one number for each sequence of each step, step by step.
  ///   - workspace: as `stream` says.
  /// - Throws: `RecurrentError` if the probability is out of its range, and as `stream` does.
  public func sampled(
    _ input: Input, probability: Double, using random: inout SeededGenerator,
    _ workspace: Workspace = Workspace(isTraining: false)
  ) throws(RecurrentError) -> Tokens {
    try checkNumber("probability", Float(probability), (0...1).contains(probability), "0 to 1")
    let stream = try stream(input.source, workspace), batchSize = input.symbols.batchSize
    try checkCount("the batch of the symbols", batchSize, is: stream.batchSize, "the number of sources")
    var tokens = input.symbols
    try checkCount("symbols", tokens.symbols.count, is: tokens.steps * batchSize, "\(tokens.steps)·\(batchSize)")
    for step in 0..<tokens.steps - 1 {
      try stream.step(tokens.symbols.span.extracting(step * batchSize..<(step + 1) * batchSize))
      for sequence in 0..<batchSize where Double.random(in: 0..<1, using: &random) < probability {
        tokens.symbols[(step + 1) * batchSize + sequence] = try stream.mostProbable(row: sequence)
      }
    }
    return tokens
  }
}

/// The symbols of targets as training needs them: the decoder reads a start symbol and then each target (teacher
/// forcing), and is trained to write each target and then an end symbol.
public struct TeacherForcing: Sendable, Equatable {
  /// [T,N]: what the decoder reads. Each has the length of its target and one more.
  public let inputs: Tokens
  /// [T,N]: what it is trained to write.
  public let targets: [Int]

  /// - Parameters:
  ///   - targets: N targets without start and end symbols.
  ///   - start: the symbol that the decoder reads first.
  ///   - end: the symbol that says that a target ends.
  /// - Throws: `RecurrentError` if there is no target.
  public init(_ targets: [[Int]], start: Int, end: Int) throws(RecurrentError) {
    inputs = try Tokens(padding: targets.map { [start] + $0 }, with: end)
    self.targets = try Tokens(padding: targets.map { $0 + [end] }, with: end).symbols
  }
}
