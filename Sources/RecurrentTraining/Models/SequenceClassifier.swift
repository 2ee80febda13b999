import Recurrent

/// Says yes or no to a sequence of symbols: embedding, one recurrent layer, and a dense unit on its last output.
public struct SequenceClassifier: Composite {
  /// The embedding, the layer and the head.
  public static let parts: [Part<SequenceClassifier>] = [
    Part("embedding", \.embedding), Part("layer", \.layer), Part("head", \.head),
  ]
  /// A vector of each symbol.
  public var embedding: Embedding
  /// The recurrent layer, which reads the vectors.
  public var layer: Layer<Float>
  /// Turns the last output into a logit.
  public var head: Dense

  /// - Parameters:
  ///   - symbols: V, the number of symbols.
  ///   - embeddingSize: D
  ///   - hiddenSize: H
  /// - Throws: `RecurrentError` if a size is not positive or the processor lacks the instruction set.
  public init(
    _ cell: Cell, symbols: Int, embeddingSize: Int, hiddenSize: Int, seed: UInt64 = 1,
    instructionSet: InstructionSet? = nil
  ) throws(RecurrentError) {
    embedding = try Embedding(symbols: symbols, size: embeddingSize, seed: seed)
    layer = try Layer(
      cell, inputSize: embeddingSize, hiddenSize: hiddenSize, initialization: Initialization(seed: seed &+ 1),
      instructionSet: instructionSet)
    head = try Dense(inputSize: hiddenSize, outputSize: 1, seed: seed &+ 2, instructionSet: instructionSet)
  }
}

extension SequenceClassifier: Module {
  /// What `backward` needs of each part.
  public struct Trace {
    fileprivate let embedding: Embedding.Trace
    fileprivate let layer: LayerTrace
    fileprivate let last: LastOutput.Trace
    fileprivate let head: Dense.Trace
  }

  /// The logit of each sequence, [1,N,1]. The answer is yes if it is positive.
  public func forward(
    _ text: Tokens, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, Trace) {
    let (x, embeddingTrace) = try embedding(text, workspace)
    let (output, layerTrace) = try layer(x, workspace)
    let (last, lastTrace) = try LastOutput()(output, workspace)
    let (logits, headTrace) = try head(last, workspace)
    return (logits, Trace(embedding: embeddingTrace, layer: layerTrace, last: lastTrace, head: headTrace))
  }

  public func backward(
    _ dLogits: Sequences<Float>, _ trace: Trace, into gradients: inout Gradients<SequenceClassifier>,
    _ workspace: Workspace
  ) throws(RecurrentError) {
    let dLast = try head.backward(dLogits, trace.head, into: &gradients.head, workspace)
    let dOutput = try LastOutput().backward(dLast, trace.last)
    let dx = try layer.backward(dOutput, trace.layer, into: &gradients.layer, workspace)
    try embedding.backward(dx, trace.embedding, into: &gradients.embedding, workspace)
  }
}
