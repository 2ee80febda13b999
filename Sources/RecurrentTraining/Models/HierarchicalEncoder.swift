import Recurrent

/// Sentences that consist of words, which consist of symbols, such as characters.
public struct NestedTokens: Sendable, Equatable, Differentiable {
  /// Symbols have no gradient.
  public typealias Gradient = Void
  /// [T,W]: the symbols of all W words. The words of a sentence come before those of the next one.
  public let words: Tokens
  /// [N]: the number of words of each sentence.
  public let counts: [Int]

  /// - Parameters:
  ///   - words: [T,W], with the length of each word.
  ///   - counts: [N], each 0 or more. Their sum is W.
  /// - Throws: `RecurrentError` if the counts are not those of the words.
  public init(words: Tokens, counts: [Int]) throws(RecurrentError) {
    try checkGroups(counts, of: words.batchSize, "words")
    self.words = words
    self.counts = counts
  }

  /// Puts the words of some sentences side by side and pads each on its right up to the longest one.
  ///
  /// - Parameter sentences: N sentences, at least one of which has a word. A sentence may have no words, and a word no
  ///   symbols.
  /// - Throws: `RecurrentError` if there is no word.
  public init(padding sentences: [[[Int]]]) throws(RecurrentError) {
    try self.init(words: Tokens(padding: sentences.flatMap { $0 }), counts: sentences.map(\.count))
  }
}

/// A model of two levels: a layer reads the symbols of each word, and a second one reads the words of each sentence by
/// the last outputs of the first. A word that training never saw is still read, letter by letter.
///
///     let model = try chain {
///       Link(
///         "encoder",
///         try HierarchicalEncoder(
///           embedding: Embedding(symbols: 128, size: 16, seed: 1),
///           words: Layer(.gru(), inputSize: 16, hiddenSize: 32, direction: .bidirectional),
///           sentences: Layer(.gru(), inputSize: 64, hiddenSize: 32)))
///       Link("last", LastOutput())
///       Link("head", try Dense(inputSize: 32, outputSize: 1, seed: 2))
///     }
///
/// After it, `LastOutput` gives a row for each sentence, and `EveryOutput` a step for each word.
public struct HierarchicalEncoder: Sendable, Composite {
  /// The parts are named embedding, words and sentences.
  public static let parts: [Part<HierarchicalEncoder>] = [
    Part("embedding", \.embedding), Part("words", \.words), Part("sentences", \.sentences),
  ]
  /// Gives each symbol a vector.
  public var embedding: Embedding
  /// Reads the symbols of a word.
  public var words: Layer<Float>
  /// Reads the words of a sentence.
  public var sentences: Layer<Float>

  /// - Throws: `RecurrentError` if a layer's input size is not the output size of the part before it, or if the layer
  ///   of words adds its directions up.
  public init(embedding: Embedding, words: Layer<Float>, sentences: Layer<Float>) throws(RecurrentError) {
    for (name, layer, size) in [("words", words, embedding.size), ("sentences", sentences, words.outputSize)]
    where layer.inputSize != size {
      throw .size(name: "the input size of the layer of \(name)", was: layer.inputSize, expected: "\(size)")
    }
    guard words.direction != .bidirectionalSum else {
      throw .value(
        name: "the direction of the layer of words", was: "\(words.direction)",
        expected: "another one: the sum of both directions has no last output")
    }
    self.embedding = embedding
    self.words = words
    self.sentences = sentences
  }
}

extension HierarchicalEncoder: Module {
  /// What `backward` needs; it can be used once.
  public struct Trace {
    fileprivate let embedding: Embedding.Trace
    fileprivate let words: LayerTrace
    fileprivate let last: LastOutput.Trace
    fileprivate let grouping: Grouping.Trace
    fileprivate let sentences: LayerTrace
  }

  /// The outputs of the layer of sentences: y [T,N,D·H] has a step for each word, and T is the number of words of the
  /// longest sentence.
  public func forward(
    _ text: NestedTokens, _ workspace: Workspace
  ) throws(RecurrentError) -> (Output<Float>, Trace) {
    let (symbols, embedded) = try embedding(text.words, workspace)
    let (states, read) = try words(symbols, workspace)
    let (rows, last) = try LastOutput()(states, workspace)
    let (steps, grouped) = try Grouping()(RowGroups(rows, counts: text.counts), workspace)
    let (output, encoded) = try sentences(steps, workspace)
    return (output, Trace(embedding: embedded, words: read, last: last, grouping: grouped, sentences: encoded))
  }

  public func backward(
    _ gradient: OutputGradient, _ trace: Trace, into gradients: inout Gradients<HierarchicalEncoder>,
    _ workspace: Workspace
  ) throws(RecurrentError) {
    let dSteps = try sentences.backward(gradient, trace.sentences, into: &gradients.sentences, workspace)
    let dRows = try Grouping().backward(dSteps, trace.grouping, workspace)
    let dStates = try LastOutput().backward(dRows, trace.last, workspace)
    let dSymbols = try words.backward(dStates, trace.words, into: &gradients.words, workspace)
    try embedding.backward(dSymbols, trace.embedding, into: &gradients.embedding, workspace)
  }
}
