import Recurrent
import RecurrentTraining

/// A classifier of texts: an embedding, a recurrent layer, one row for each text, and a dense head.
struct SentimentModel: Module, Composite {
  /// What the head reads of the layer's outputs.
  enum Summary: Sendable {
    /// The last output of each direction.
    case last
    /// The mean and the largest value over time.
    case pooled
  }

  static let parts: [Part<SentimentModel>] = [
    Part("embedding", \.embedding), Part("encoder", \.encoder), Part("head", \.head),
  ]
  var embedding: Embedding, encoder: Layer<Float>, head: Dense
  let summary: Summary
  /// Drops values of the embedding, and of what the head reads.
  let inputDropout: Dropout, headDropout: Dropout

  struct Trace {
    var embedding: Embedding.Trace, inputDropout: Dropout.Trace, encoder: LayerTrace, last: LastOutput.Trace?,
      pooled: TimePooling.Trace?, headDropout: Dropout.Trace, head: Dense.Trace
  }

  /// - Parameters:
  ///   - words: the size of the vocabulary.
  ///   - outputs: 1 logit for two classes, or one for each class.
  ///   - settings: the sizes and options.
  ///   - seed: equal seeds give equal models.
  init(words: Int, outputs: Int, _ settings: SentimentSettings, seed: UInt64) throws(RecurrentError) {
    summary = settings.summary
    inputDropout = try Dropout(rate: settings.inputDropout)
    headDropout = try Dropout(rate: settings.headDropout)
    embedding = try Embedding(
      symbols: words, size: settings.embeddingSize, deviation: settings.deviation, seed: seed &* 3)
    encoder = try Layer(
      settings.cell, inputSize: settings.embeddingSize, hiddenSize: settings.units,
      direction: settings.isBidirectional ? .bidirectional : .forward,
      initialization: Initialization(
        recurrent: .orthogonal, forgetBias: settings.cell == .lstm() ? 1 : nil, seed: seed &* 3 &+ 1))
    if settings.startsFromIdentity {
      let units = settings.units
      encoder.updateEachParameter { name, values in
        guard name.hasPrefix("weight_hh") else { return }
        for index in values.indices { values[index] = index / units == index % units ? 1 : 0 }
      }
    }
    let size = encoder.outputSize * (summary == .pooled ? 2 : 1)
    head = try Dense(inputSize: size, outputSize: outputs, seed: seed &* 3 &+ 2)
  }

  /// The logits [1,N,outputs] of texts [T,N].
  func forward(_ text: Tokens, _ w: Workspace) throws(RecurrentError) -> (Sequences<Float>, Trace) {
    let (vectors, embedded) = try embedding(text, w)
    let (x, dropped) = try inputDropout(vectors, w)
    let (states, encoded) = try encoder(x, w)
    let row: Sequences<Float>
    var last: LastOutput.Trace?, pooled: TimePooling.Trace?
    switch summary {
    case .last: (row, last) = try LastOutput()(states, w)
    case .pooled: (row, pooled) = try TimePooling(.meanAndMax)(states.y, w)
    }
    let (kept, droppedRow) = try headDropout(row, w)
    let (logits, decided) = try head(kept, w)
    return (
      logits,
      Trace(
        embedding: embedded, inputDropout: dropped, encoder: encoded, last: last, pooled: pooled,
        headDropout: droppedRow, head: decided)
    )
  }

  func backward(
    _ d: Sequences<Float>, _ trace: Trace, into g: inout Gradients<SentimentModel>, _ w: Workspace
  ) throws(RecurrentError) {
    let dKept = try head.backward(d, trace.head, into: &g.head, w)
    let dRow = try headDropout.backward(dKept, trace.headDropout, w)
    var dStates = OutputGradient()
    if let last = trace.last {
      dStates = try LastOutput().backward(dRow, last, w)
    } else if let pooled = trace.pooled {
      dStates = OutputGradient(dy: try TimePooling(.meanAndMax).backward(dRow, pooled, w))
    }
    let dx = try encoder.backward(dStates, trace.encoder, into: &g.encoder, w)
    let dVectors = try inputDropout.backward(dx, trace.inputDropout, w)
    try embedding.backward(dVectors, trace.embedding, into: &g.embedding, w)
  }
}
