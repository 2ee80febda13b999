import CRecurrentKernels
import Recurrent

/// Says yes or no to a sequence of symbols: embedding, one recurrent layer, and a dense unit with σ on its last output.
public struct SequenceClassifier: Sendable, TrainableModel {
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

  /// The logit of each sequence. The answer is yes if it is positive.
  ///
  /// - Parameter symbols: [T,N], each from 0 to V - 1.
  /// - Throws: `RecurrentError` if a symbol or a count is wrong.
  public func logits(_ symbols: [Int], steps: Int, batchSize: Int) throws(RecurrentError) -> [Float] {
    var pass = ClassifierPass()
    return try pass.forward(self, symbols, steps: steps, batchSize: batchSize, keepsRecord: false)
  }
}

/// Trains a classifier: forward, backward through time and one update of every parameter by Adam.
public final class ClassifierTrainer {
  /// What has been learnt so far.
  public var model: SequenceClassifier
  /// The moments of the model's parameters.
  public var optimizer: Adam
  private var gradients: ModelGradients
  private var pass = ClassifierPass()

  /// - Parameters:
  ///   - model: a new one, or one that `optimizer` has trained.
  ///   - optimizer: with the learning rate of all updates.
  public init(_ model: SequenceClassifier, optimizer: Adam = Adam()) {
    self.model = model
    self.optimizer = optimizer
    gradients = ModelGradients(model)
  }

  /// One update.
  ///
  /// - Parameters:
  ///   - symbols: [T,N], each from 0 to V - 1.
  ///   - labels: [N], 1 for yes and 0 for no.
  /// - Returns: the mean loss in nats before the update.
  /// - Throws: `RecurrentError` if a symbol, a label, a count or a number of the optimizer is wrong, or if a
  ///   gradient is infinite or NaN; model and optimizer are then as they were before.
  public func update(_ symbols: [Int], labels: [Float], steps: Int, batchSize: Int) throws(RecurrentError) -> Double {
    // Gradients that vanish on their way back become denormal numbers, which have no effect and take long.
    let mode = flush_to_zero()
    defer { restore_denormals(mode) }
    gradients.clear()
    let loss = try pass.gradients(
      model, symbols, labels: labels, steps: steps, batchSize: batchSize, into: &gradients)
    if !gradients.areFinite { _ = try clippingFactor(norm: gradients.norm, limit: .infinity) }
    try model.apply(gradients, &optimizer)
    return loss
  }
}

/// The buffers of forward and backward through a classifier.
private struct ClassifierPass {
  private var x: [Float] = []
  private var dx: [Float] = []
  private var y: [Float] = []
  private var logits: [Float] = []
  private var state = State<Float>(h: [])
  private let record = Record<Float>()
  private let scratch = Scratch<Float>()
  private let headScratch = Scratch<Float>()

  /// The logits; `state` is then that of the last step.
  mutating func forward(
    _ model: SequenceClassifier, _ symbols: [Int], steps: Int, batchSize: Int, keepsRecord: Bool
  ) throws(RecurrentError) -> [Float] {
    let rows = try checkedCount(("steps", steps), ("batchSize", batchSize))
    try checkCount("symbols", symbols.count, is: rows, "\(steps)·\(batchSize)")
    if x.count != rows * model.embedding.size {
      x = Array(repeating: 0, count: rows * model.embedding.size)
      dx = x
    }
    if logits.count != batchSize { logits = Array(repeating: 0, count: batchSize) }
    try model.embedding.forward(symbols, into: &x)
    var state = try model.layer.zeroState(batchSize: batchSize)
    if keepsRecord {
      try model.layer.record(
        x.span, steps: steps, batchSize: batchSize, state: &state, into: record, scratch: scratch)
    } else {
      if y.count != rows * model.layer.hiddenSize { y = Array(repeating: 0, count: rows * model.layer.hiddenSize) }
      try y.withUnsafeMutableBufferPointer { [x, scratch] y throws(RecurrentError) in
        try x.withUnsafeBufferPointer { x throws(RecurrentError) in
          try model.layer.forward(x, steps: steps, batchSize: batchSize, state: &state, into: y, scratch: scratch)
        }
      }
    }
    self.state = state
    try model.head.forward(state.h, rows: batchSize, into: &logits, scratch: headScratch)
    return logits
  }

  /// The mean loss; its gradients are added up.
  mutating func gradients(
    _ model: SequenceClassifier, _ symbols: [Int], labels: [Float], steps: Int, batchSize: Int,
    into gradients: inout ModelGradients
  ) throws(RecurrentError) -> Double {
    _ = try forward(model, symbols, steps: steps, batchSize: batchSize, keepsRecord: true)
    let loss = try BinaryCrossEntropy.gradient(&logits, labels: labels)
    var dState = try model.layer.zeroStateGradient(batchSize: batchSize)
    try model.head.backward(
      x: state.h, dy: logits, rows: batchSize, dx: &dState.dh, dWeight: &gradients.headWeight,
      dBias: &gradients.headBias, scratch: headScratch)
    try dx.withUnsafeMutableBufferPointer { [x, record, scratch] dx throws(RecurrentError) in
      try x.withUnsafeBufferPointer { x throws(RecurrentError) in
        try model.layer.backward(
          consuming: record, x: x, dy: nil, dState: &dState, dx: dx, into: &gradients.layer, scratch: scratch)
      }
    }
    try model.embedding.backward(symbols, dx: dx, into: &gradients.embedding)
    return loss
  }
}
