import Recurrent
import RecurrentTraining

extension Case {
  /// One update, on one batch, of a model that `recurrent experiment` trains: forward, loss, backward, and Adam over
  /// every parameter. Nil for other modes. peers.py has the same models.
  ///
  /// - classifier: `sentiment` with a tutorial's model. The last output of T words decides between two classes.
  /// - pooled-classifier: `sentiment` with the better model. The mean and the largest output of both directions decide;
  ///   half of the embedding and of what the head reads is dropped, and the norm of the gradients is clipped.
  /// - text: each of T characters predicts the next one; a quarter of the outputs is dropped, and the norm is clipped.
  /// - brackets: `compare`. Each of T symbols predicts the next one.
  /// - adding: `memory`. The last output gives a number, and the norm is clipped.
  /// - forecast: `forecast` and `anomaly`. The last output gives a number; AdamW, and the norm is clipped.
  func modelUpdate(_ threads: Threads?) throws -> (() throws -> Void)? {
    guard isModelUpdate, let cell else { return nil }
    let workspace = Workspace(threads: threads)
    var random = SeededGenerator(seed: 2)
    func symbols(_ count: Int, below end: Int) -> [Int] {
      (0..<count).map { _ in Int.random(in: 0..<end, using: &random) }
    }
    func tokens(below end: Int) throws -> Tokens {
      try Tokens(symbols(steps * batch, below: end), steps: steps, batchSize: batch)
    }
    func numbers(_ steps: Int, _ size: Int) throws -> Sequences<Float> {
      try Sequences(
        (0..<steps * batch * size).map { _ in Float.random(in: -1...1, using: &random) }, steps: steps,
        batchSize: batch, size: size)
    }
    let layer = try Layer<Float>(
      cell, inputSize: inputs, hiddenSize: hidden, direction: isBidirectional ? .bidirectional : .forward,
      initialization: Initialization(seed: 1))
    func head(_ inputs: Int, _ outputs: Int) throws -> Dense {
      try Dense(inputSize: inputs, outputSize: outputs, seed: 3)
    }

    switch mode {
    case .classifier:
      let embedding = try Embedding(symbols: Case.symbols, size: inputs, seed: 2), head = try head(hidden, 1)
      let model = chain {
        Link("embedding", embedding)
        Link("layer", layer)
        Link("last", LastOutput())
        Link("head", head)
      }
      let text = try tokens(below: Case.symbols), labels = symbols(batch, below: 2).map { Float($0) }
      return try updates(of: model, Adam(), workspace, text) { y throws(RecurrentError) in
        try BinaryCrossEntropy()(y, labels)
      }
    case .pooledClassifier:
      let embedding = try Embedding(symbols: Case.symbols, size: inputs, seed: 2), head = try head(4 * hidden, 1)
      let dropout = try Dropout(rate: 0.5)
      let model = chain {
        Link("embedding", embedding)
        Link("inputDropout", dropout)
        Link("layer", layer)
        Link("outputs", EveryOutput())
        Link("pooling", TimePooling(.meanAndMax))
        Link("headDropout", dropout)
        Link("head", head)
      }
      let text = try tokens(below: Case.symbols), labels = symbols(batch, below: 2).map { Float($0) }
      return try updates(of: model, Adam(), clipping: .norm(1), workspace, text) { y throws(RecurrentError) in
        try BinaryCrossEntropy()(y, labels)
      }
    case .text, .brackets:
      let count = mode == .text ? 65 : 8
      let embedding = try Embedding(symbols: count, size: inputs, seed: 2), head = try head(hidden, count)
      let dropout = try Dropout(rate: mode == .text ? 0.25 : 0)
      let model = chain {
        Link("embedding", embedding)
        Link("layer", layer)
        Link("outputs", EveryOutput())
        Link("dropout", dropout)
        Link("head", head)
      }
      let text = try tokens(below: count), next = symbols(steps * batch, below: count)
      let clipping = mode == .text ? Clipping.norm(1) : .none
      return try updates(of: model, Adam(), clipping: clipping, workspace, text) { y throws(RecurrentError) in
        try SoftmaxCrossEntropy()(y, next)
      }
    default:
      let head = try head(hidden, 1)
      let model = chain {
        Link("layer", layer)
        Link("last", LastOutput())
        Link("head", head)
      }
      let x = try numbers(steps, inputs), target = try numbers(1, 1)
      func loss(_ y: Sequences<Float>) throws(RecurrentError) -> (loss: Double, gradient: Sequences<Float>) {
        try MeanSquaredError()(y, target)
      }
      return mode == .adding
        ? try updates(of: model, Adam(), clipping: .norm(1), workspace, x, loss)
        : try updates(of: model, AdamW(weightDecay: 0.1), clipping: .norm(1), workspace, x, loss)
    }
  }
}

/// Updates a model on the same batch again and again.
private func updates<M: Module>(
  of model: M, _ optimizer: some Optimizer, clipping: Clipping = .none, _ workspace: Workspace, _ input: M.Input,
  _ loss: @escaping (M.Output) throws(RecurrentError) -> (loss: Double, gradient: M.Output.Gradient)
) throws -> () throws -> Void {
  var model = model, optimizer = optimizer, gradients = try Gradients(model)
  return {
    let (output, trace) = try model(input, workspace)
    let (_, gradient) = try loss(output)
    gradients.clear()
    try model.backward(gradient, trace, into: &gradients, workspace)
    try optimizer.update(&model, gradients, clipping: clipping)
  }
}
