import Foundation
import Recurrent
import RecurrentFiles
import RecurrentTraining
import Testing

@Suite struct CheckpointTests {
  /// Everything that a training needs to go on.
  private struct Training {
    var model: Sentiment
    var optimizer = Adam(learningRate: 0.01), batches: ShuffledBatches, workspace = Workspace(seed: 3)
    var stopping: EarlyStopping

    static let texts = (0..<20).map { text in (0...text % 5).map { ($0 * 7 + text) % 30 } }

    init() throws {
      model = try Sentiment(words: 30, cell: .lstm(), size: 6)
      stopping = try EarlyStopping(patience: 3)
      batches = try ShuffledBatches(lengths: Training.texts.map(\.count), batchSize: 6, window: 2, seed: 5)
    }

    mutating func update() throws {
      var gradients = try Gradients(model), examples = batches.next()
      if examples == nil {
        _ = try stopping.update(metric: 1)
        examples = batches.next()
      }
      let text = try Tokens(padding: examples!.map { Training.texts[$0] })
      let (logits, trace) = try model(text, workspace)
      let (_, d) = try BinaryCrossEntropy()(logits, examples!.map { Float($0 % 2) })
      try model.backward(d, trace, into: &gradients, workspace)
      try optimizer.update(&model, gradients)
    }

    func checkpoint() throws -> Checkpoint {
      var checkpoint = Checkpoint()
      try checkpoint.store(model)
      try checkpoint.store(optimizer, of: model)
      try checkpoint.store(batches.place, as: "place")
      try checkpoint.store(workspace.masks, as: "masks")
      try checkpoint.store(stopping.state, as: "stopping")
      try checkpoint.store(try WordVocabulary(["a", "b\"c", "é"]), as: "words")
      try checkpoint.store(Vocabulary(Array("ab\n\"é".unicodeScalars)), as: "characters")
      return checkpoint
    }

    mutating func restore(_ checkpoint: Checkpoint) throws {
      try checkpoint.restore(&model)
      try checkpoint.restore(&optimizer, of: model)
      try batches.move(to: checkpoint.value("place"))
      workspace.masks = try checkpoint.value("masks")
      stopping.state = try checkpoint.value("stopping")
    }
  }

  @Test func aTrainingThatWasStoppedGivesTheSameBits() throws {
    let folder = try TemporaryFolder()
    for stop in [0, 1, 4, 9] {
      var whole = try Training(), first = try Training(), second = try Training()
      for _ in 0..<12 { try whole.update() }
      for _ in 0..<stop { try first.update() }
      let path = folder["stop\(stop).safetensors"]
      try first.checkpoint().write(to: path)
      second.optimizer.learningRate = 1
      try second.restore(try Checkpoint(contentsOf: path))
      for _ in stop..<12 { try second.update() }
      #expect(second.model.namedParameters().map(\.values) == whole.model.namedParameters().map(\.values))
      #expect(second.optimizer == whole.optimizer && second.batches.place == whole.batches.place)
      #expect(second.stopping == whole.stopping && second.workspace.masks == whole.workspace.masks)
      let checkpoint = try Checkpoint(contentsOf: path)
      #expect(try checkpoint.value("words") == WordVocabulary(["a", "b\"c", "é"]))
      #expect(try checkpoint.value("characters") == Vocabulary(Array("ab\n\"é".unicodeScalars)))
      #expect(checkpoint.file.metadata["parameters"] == "\(whole.model.parameterCount)")
      #expect(checkpoint.file.tensors["encoder.weight_ih_l0"]?.shape == [24, 6])
      if stop > 0 { #expect(checkpoint.file.tensors["optimizer.first.head.weight"]?.shape == [1, 12]) }
    }
  }

  @Test func whatDoesNotFitIsRefused() throws {
    let folder = try TemporaryFolder(), path = folder["a.safetensors"]
    var training = try Training()
    try training.update()
    try training.checkpoint().write(to: path)
    let checkpoint = try Checkpoint(contentsOf: path)
    func expectProblem(_ problem: String, _ body: () throws -> Void) {
      let error = #expect(throws: (any Error).self) { try body() }
      #expect(error.map { "\($0)" } == problem)
    }
    var wide = try Sentiment(words: 30, cell: .lstm(), size: 7)
    let before = wide.namedParameters().map(\.values)
    expectProblem("\(path): 'embedding.weight' has the shape [30, 6], expected [30, 7]") {
      try checkpoint.restore(&wide)
    }
    #expect(wide.namedParameters().map(\.values) == before)
    // The numbers of a file are checked before the optimizer changes.
    func edited(_ change: (inout SafeTensors) throws -> Void) throws -> Checkpoint {
      var file = checkpoint.file
      try change(&file)
      try file.write(to: path)
      return try Checkpoint(contentsOf: path)
    }
    let optimizer = training.optimizer
    for (name, value, expected) in [
      ("optimizer.updates", "-1", "a whole number of 0 or more"),
      ("optimizer.updates", "\(Int.max)", "a whole number of 0 or more"),
      ("optimizer.learning_rate", "inf", "a number of 0 or more"),
    ] {
      let wrong = try edited { $0.metadata[name] = value }
      expectProblem("\(path): '\(name)' is '\(value)', expected \(expected)") {
        try wrong.restore(&training.optimizer, of: training.model)
      }
    }
    let negative = try edited { $0.tensors["optimizer.second.head.bias"] = try Tensor([-1], shape: [1]) }
    expectProblem("\(path): second[\(optimizer.second.count - 1)] of the optimizer is -1.0, expected 0 or more") {
      try negative.restore(&training.optimizer, of: training.model)
    }
    #expect(training.optimizer == optimizer)
    let overflowing = try edited { $0.metadata["stopping"] = #"{"epochs":\#(Int.max)}"# }
    training.stopping.state = try overflowing.value("stopping")
    expectProblem(
      "the state is epoch \(Int.max) with the best one unknown, expected 0 or more epochs, of which the best one is one"
    ) { _ = try training.stopping.update(metric: 1) }
    var sgd = SGD(learningRate: 0.1)
    expectProblem("\(path): 'optimizer' is Adam, expected SGD") { try checkpoint.restore(&sgd, of: training.model) }
    expectProblem("\(path): its metadata has no 'nothing'") { _ = try checkpoint.value("nothing", as: Int.self) }
    let words = #"{"tokenizer":{"lowercases":true},"words":["a","b\"c","é"]}"#
    expectProblem("\(path): 'words' is \(words), expected a value of Int") {
      _ = try checkpoint.value("words", as: Int.self)
    }
    var twice = try training.checkpoint()
    expectProblem("'embedding.weight' is in the checkpoint already, expected a name of its own") {
      try twice.store(training.model)
    }
    expectProblem("'place' is in the checkpoint already, expected a name of its own") {
      try twice.store(1, as: "place")
    }
    try twice.store(try Tensor([1, 2], shape: [2]), as: "state")
    #expect(twice.file.tensors["state"]?.floats == [1, 2])
    expectProblem("'state' is in the checkpoint already, expected a name of its own") {
      try twice.store(try Tensor([3], shape: [1]), as: "state")
    }
    #expect(twice.file.tensors["state"]?.floats == [1, 2])
    try SafeTensors(metadata: [:]).write(to: path)
    expectProblem("\(path): its metadata has no format, expected 'swift-recurrent checkpoint 1'") {
      _ = try Checkpoint(contentsOf: path)
    }
    try SafeTensors(metadata: ["format": "other"]).write(to: path)
    expectProblem("\(path): its metadata has the format 'other', expected 'swift-recurrent checkpoint 1'") {
      _ = try Checkpoint(contentsOf: path)
    }
  }
}
