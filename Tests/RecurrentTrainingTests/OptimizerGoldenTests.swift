import Recurrent
import RecurrentTraining
import Testing

/// A hundred updates in single precision against PyTorch's in double precision.
@Suite struct OptimizerGoldenTests {
  /// Two parameters of 15 and 20 values, whose gradients are slope·value + noise.
  private struct Problem {
    var values: [Float]
    let slope: [Double]
    var random = SeededGenerator(seed: 1)
    var results: [Int: [Float]] = [:]

    init() {
      values = random.draw(35).map(Float.init)
      slope = random.draw(35).map { $0 / 2 + 1 }
    }

    mutating func run(_ start: some Optimizer, clippingNorm: Double, clippingValue: Float) throws {
      var optimizer = start
      for step in 1...100 {
        let noise = random.draw(35)
        let gradient = values.indices.map { Float(slope[$0] * Double(values[$0]) + noise[$0]) }
        let parts = [Array(gradient[..<15]), Array(gradient[15...])]
        let norm = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        let scale = try clippingFactor(norm: norm, limit: clippingNorm)
        try optimizer.update(count: 35, clippingValue: clippingValue) { update throws(RecurrentError) in
          try values.withUnsafeMutableBufferPointer { values throws(RecurrentError) in
            try update.apply("w", .init(rebasing: values[..<15]), gradient: parts[0], scale: scale)
            try update.apply("v", .init(rebasing: values[15...]), gradient: parts[1], scale: scale)
          }
        }
        if [1, 10, 100].contains(step) { results[step] = values }
      }
      #expect(optimizer.updates == 100)
    }
  }

  private static let optimizers: [(name: String, optimizer: any Optimizer, norm: Double, value: Float)] = [
    ("sgd", SGD(learningRate: 1 / 16), .infinity, .infinity),
    ("sgd_l2", SGD(learningRate: 1 / 16, l2: 1 / 8), .infinity, .infinity),
    ("sgd_momentum", SGD(learningRate: 1 / 32, momentum: 0.875), .infinity, .infinity),
    ("sgd_momentum_l2", SGD(learningRate: 1 / 32, momentum: 0.875, l2: 1 / 8), .infinity, .infinity),
    ("sgd_nesterov", SGD(learningRate: 1 / 32, momentum: 0.875, isNesterov: true), .infinity, .infinity),
    ("sgd_clip_norm", SGD(learningRate: 1 / 16), 1.5, .infinity),
    ("sgd_clip_value", SGD(learningRate: 1 / 16), .infinity, 0.25),
    ("sgd_l1", SGD(learningRate: 1 / 16, l1: 1 / 8), .infinity, .infinity),
    ("rms", RMSProp(learningRate: 1 / 64, decay: 0.9375, epsilon: 0x1p-20), .infinity, .infinity),
    ("rms_l2", RMSProp(learningRate: 1 / 64, decay: 0.9375, epsilon: 0x1p-20, l2: 1 / 8), .infinity, .infinity),
    (
      "rms_momentum", RMSProp(learningRate: 1 / 64, decay: 0.9375, epsilon: 0x1p-20, momentum: 0.5), .infinity,
      .infinity
    ),
    (
      "rms_centered", RMSProp(learningRate: 1 / 64, decay: 0.9375, epsilon: 0x1p-10, isCentered: true), .infinity,
      .infinity
    ),
    (
      "rms_centered_momentum",
      RMSProp(learningRate: 1 / 64, decay: 0.9375, epsilon: 0x1p-10, momentum: 0.5, isCentered: true), .infinity,
      .infinity
    ),
    ("adam", Adam(learningRate: 1 / 32, beta1: 0.875, beta2: 0.984375), .infinity, .infinity),
    ("adam_usual", Adam(learningRate: 1e-2), .infinity, .infinity),
    ("adam_l2", Adam(learningRate: 1 / 32, beta1: 0.875, beta2: 0.984375, l2: 1 / 8), .infinity, .infinity),
    ("adam_epsilon", Adam(learningRate: 1 / 32, beta1: 0.875, beta2: 0.984375, epsilon: 0.25), .infinity, .infinity),
    ("adam_clip_norm", Adam(learningRate: 1 / 32, beta1: 0.875, beta2: 0.984375), 1.5, .infinity),
    ("adam_clip_both", Adam(learningRate: 1 / 32, beta1: 0.875, beta2: 0.984375), 1.5, 0.25),
    ("adamw", AdamW(learningRate: 1 / 32, beta1: 0.875, beta2: 0.984375, weightDecay: 1 / 4), .infinity, .infinity),
    ("adamw_usual", AdamW(learningRate: 1e-2), .infinity, .infinity),
  ]

  @Test func everyOptimizerMakesPyTorchsUpdates() throws {
    let goldens = try golden("optimizers")
    #expect(
      Set(goldens.keys.map { $0.prefix { $0 != "." } })
        == Set(Self.optimizers.map { Substring($0.name) } + ["sparse_adam"]))
    for (name, optimizer, norm, value) in Self.optimizers {
      var problem = Problem()
      try problem.run(optimizer, clippingNorm: norm, clippingValue: value)
      for step in [1, 10, 100] {
        let error = largestDifference(problem.results[step]!.map(Double.init), goldens["\(name).\(step)"]!)
        // Values are of the order of 1. PyTorch divides by the norm plus 1e-6.
        #expect(error < (norm.isFinite ? 3e-6 : 1e-6), "\(name) after \(step): \(error)")
      }
    }
  }

  /// An embedding [6,4], of which an update sees some rows.
  @Test func lazyAdamMakesTheUpdatesOfSparseAdam() throws {
    let goldens = try golden("optimizers")
    var random = SeededGenerator(seed: 2)
    var embedding = try Embedding(symbols: 6, size: 4, seed: 1)
    embedding.weight = random.draw(24).map(Float.init)
    let slope = random.draw(24).map { $0 / 2 + 1 }
    var adam = Adam(learningRate: 1 / 32, beta1: 0.875, beta2: 0.984375, isLazy: true)
    for step in 1...100 {
      let noise = random.draw(24)
      let seen = (0..<6).filter { row in (random.next() >> 32) % 3 == 0 || row == step % 6 }
      let dx = seen.flatMap { row in
        (row * 4..<row * 4 + 4).map { Float(slope[$0] * Double(embedding.weight[$0]) + noise[$0]) }
      }
      var gradients = try Gradients(embedding)
      try embedding.backward(
        try Sequences(dx, steps: seen.count, batchSize: 1, size: 4),
        try Tokens(seen, steps: seen.count, batchSize: 1), into: &gradients, Workspace())
      try adam.update(&embedding, gradients)
      guard let expected = goldens["sparse_adam.\(step)"] else { continue }
      let error = largestDifference(embedding.weight.map(Double.init), expected)
      #expect(error < 1e-6, "after \(step): \(error)")
    }
  }
}
