import Recurrent
import RecurrentTraining

/// A model as a user writes it.
struct Sentiment: Module, Composite {
  var embedding: Embedding, encoder: Layer<Float>, head: Dense
  static let parts: [Part<Sentiment>] = [
    Part("embedding", \.embedding), Part("encoder", \.encoder), Part("head", \.head),
  ]
  typealias Trace = (embedding: Embedding.Trace, encoder: LayerTrace, last: LastOutput.Trace, head: Dense.Trace)

  init(words: Int, cell: Cell, size: Int) throws(RecurrentError) {
    embedding = try Embedding(symbols: words, size: size, deviation: 0.3, seed: 1)
    encoder = try Layer(
      cell, inputSize: size, hiddenSize: size, direction: .bidirectional, initialization: Initialization(seed: 2))
    head = try Dense(inputSize: 2 * size, outputSize: 1, seed: 3)
  }

  func forward(_ text: Tokens, _ w: Workspace) throws(RecurrentError) -> (Sequences<Float>, Trace) {
    let (x, embedded) = try embedding(text, w)
    let (states, encoded) = try encoder(x, w)
    let (last, place) = try LastOutput()(states, w)
    let (logits, decided) = try head(last, w)
    return (logits, (embedded, encoded, place, decided))
  }

  func backward(
    _ d: Sequences<Float>, _ trace: Trace, into g: inout Gradients<Sentiment>, _ w: Workspace
  ) throws(RecurrentError) {
    let dLast = try head.backward(d, trace.head, into: &g.head, w)
    let dStates = try LastOutput().backward(dLast, trace.last)
    let dx = try encoder.backward(dStates, trace.encoder, into: &g.encoder, w)
    try embedding.backward(dx, trace.embedding, into: &g.embedding, w)
  }
}
