import Recurrent
import Testing

/// What a layer promises beside its results: value semantics, parameters, and how they are drawn.
@Suite struct LayerTests {
  @Test func parametersHavePyTorchsNamesAndShapes() throws {
    var parameters = try GRU<Float>(inputSize: 2, hiddenSize: 3).parameters
    #expect(parameters.names == ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"])
    #expect(parameters.shape("weight_ih_l0") == [9, 2] && parameters.shape("bias_hh_l0") == [9])
    try parameters.set("bias_ih_l0", to: Array(repeating: 2, count: 9))
    #expect(try parameters.values("bias_ih_l0") == Array(repeating: 2, count: 9))
    #expect(throws: RecurrentError.count(name: "bias_ih_l0", was: 1, expected: 9, shape: "[9]")) {
      try parameters.set("bias_ih_l0", to: [1])
    }
    #expect(throws: RecurrentError.name("weight_ih_l1", kind: "parameter", known: parameters.names)) {
      try parameters.values("weight_ih_l1")
    }
    #expect(try RNN<Float>(inputSize: 2, hiddenSize: 3, bias: false).parameters.names.count == 2)
  }

  @Test func copiesDoNotShareChanges() throws {
    let original = try LSTM<Float>(inputSize: 2, hiddenSize: 3)
    let x = try Sequences<Float>(Array(repeating: 0.5, count: 8), steps: 2, batchSize: 2, size: 2)
    let before = try original.forward(x)
    var copy = original
    copy.updateEachParameter { _, values in values.update(repeating: 0) }
    #expect(try original.forward(x) == before)
    #expect(try copy.forward(x).y.values.allSatisfy { $0 == 0 })
    let wrong = try LSTM<Float>(inputSize: 2, hiddenSize: 4).parameters
    #expect(
      throws: RecurrentError.shape(
        name: "these parameters", was: "LSTM, 2 inputs, 4 units", expected: "LSTM, 2 inputs, 3 units")
    ) { try copy.setParameters(wrong) }
    try copy.setParameters(original.parameters)
    #expect(try copy.forward(x) == before)
  }

  @Test func gradientsAddUp() throws {
    let instance = try Problem<Float>(.lstm(), steps: 3, batch: 4, inputs: 2, hidden: 5).instance()
    func add(_ gradients: inout Parameters<Float>) throws {
      let record = try instance.layer.record(instance.x).record
      _ = try instance.layer.backward(consuming: record, x: instance.x, dy: instance.dy, into: &gradients)
    }
    var once = instance.layer.zeroGradients(), twice = once
    try add(&once)
    try add(&twice)
    try add(&twice)
    #expect(twice.values == once.values.map { 2 * $0 })
  }

  @Test func distributionsArePyTorchs() throws {
    let layer = try LSTM<Float>(inputSize: 30, hiddenSize: 64, initialization: Initialization(seed: 3))
    let bound: Float = 1 / 8
    for name in layer.parameters.names {
      let values = try layer.parameters.values(name)
      #expect(values.allSatisfy { abs($0) <= bound })
      let count = Float(values.count), mean = values.reduce(0, +) / count
      let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count
      #expect(abs(mean) < 0.02, "\(name): mean \(mean)")
      #expect(abs(variance - bound * bound / 3) < 0.2 * bound * bound / 3, "\(name): variance \(variance)")
    }
    #expect(
      try LSTM<Float>(inputSize: 30, hiddenSize: 64, initialization: Initialization(seed: 3)).parameters
        == layer.parameters)
    #expect(
      try LSTM<Float>(inputSize: 30, hiddenSize: 64).parameters
        != LSTM<Float>(inputSize: 30, hiddenSize: 64).parameters)
  }

  @Test func orthogonalAndForgetBias() throws {
    let size = 24
    let layer = try LSTM<Float>(
      inputSize: 3, hiddenSize: size,
      initialization: Initialization(recurrent: .orthogonal, forgetBias: 1, seed: 9))
    let u = try layer.parameters.values("weight_hh_l0")
    let biases = try ["bias_ih_l0", "bias_hh_l0"].map { try layer.parameters.values($0) }
    for gate in 0..<4 {
      for a in 0..<size {
        for b in 0..<size {
          let rows = (0..<size).map { u[(gate * size + a) * size + $0] * u[(gate * size + b) * size + $0] }
          #expect(abs(rows.reduce(0, +) - (a == b ? 1 : 0)) < 1e-5)
        }
      }
    }
    for unit in 0..<size {
      #expect(biases[0][size + unit] + biases[1][size + unit] == 1)
    }
  }
}
