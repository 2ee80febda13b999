import Recurrent

/// Symbols in, one dense head on a layer's outputs: what the training of a model needs to know of it.
package protocol TrainableModel {
  var embedding: Embedding { get set }
  var layer: Layer<Float> { get set }
  var head: Dense { get set }
}

extension TrainableModel {
  /// The parameters' names and how many values each has, in the order of the optimizer's state.
  package var parameterCounts: [(name: String, count: Int)] {
    [
      ("embedding.weight", embedding.weight.count), ("head.weight", head.weight.count), ("head.bias", head.bias.count),
    ] + layer.parameters.names.map { ("cell.\($0)", (try? layer.parameters.values($0).count) ?? 0) }
  }

  /// One update of every parameter, whose gradients are multiplied by `scale`.
  ///
  /// - Throws: `RecurrentError` if the optimizer's numbers or state do not fit; nothing has changed then.
  mutating func apply(
    _ gradients: ModelGradients, _ optimizer: inout some Optimizer, scale: Float = 1
  ) throws(RecurrentError) {
    let count = parameterCounts.reduce(0) { $0 + $1.count }
    try optimizer.step(count: count) { step throws(RecurrentError) in
      try embedding.weight.withUnsafeMutableBufferPointer { values throws(RecurrentError) in
        try step.update("embedding.weight", values, gradient: gradients.embedding, scale: scale)
      }
      var failure: RecurrentError?
      func update(
        _ step: inout UpdateStep, _ name: String, _ values: UnsafeMutableBufferPointer<Float>, _ gradient: [Float]
      ) {
        do throws(RecurrentError) {
          try step.update(name, values, gradient: gradient, scale: scale)
        } catch { failure = failure ?? error }
      }
      head.weight.withUnsafeMutableBufferPointer { update(&step, "head.weight", $0, gradients.headWeight) }
      head.bias.withUnsafeMutableBufferPointer { update(&step, "head.bias", $0, gradients.headBias) }
      layer.updateEachParameter { name, values in
        update(&step, "cell.\(name)", values, (try? gradients.layer.values(name)) ?? [])
      }
      if let failure { throw failure }
    }
  }
}

/// The gradients of every parameter of a model.
struct ModelGradients {
  var embedding: EmbeddingGradient
  var layer: Parameters<Float>
  var headWeight: [Float]
  var headBias: [Float]

  init(_ model: some TrainableModel) {
    embedding = EmbeddingGradient(model.embedding)
    layer = model.layer.zeroGradients()
    headWeight = Array(repeating: 0, count: model.head.weight.count)
    headBias = Array(repeating: 0, count: model.head.bias.count)
  }

  mutating func clear() {
    func zero(_ values: inout [Float]) {
      values.withUnsafeMutableBufferPointer { $0.update(repeating: 0) }
    }
    embedding.clear()
    layer.withMutableValues { $0.update(repeating: 0) }
    zero(&headWeight)
    zero(&headBias)
  }

  mutating func add(_ other: ModelGradients) throws(RecurrentError) {
    func add(_ sum: inout [Float], _ values: [Float]) {
      sum.withUnsafeMutableBufferPointer { sum in
        values.withUnsafeBufferPointer { for index in sum.indices { sum[index] += $0[index] } }
      }
    }
    try embedding.add(other.embedding)
    layer.withMutableValues { sum in
      other.layer.values.withUnsafeBufferPointer { for index in sum.indices { sum[index] += $0[index] } }
    }
    add(&headWeight, other.headWeight)
    add(&headBias, other.headBias)
  }

  private var all: [[Float]] { [embedding.sums, layer.values, headWeight, headBias] }

  var norm: Double { gradientNorm(all) }

  /// Whether no value is infinite or NaN. The norm tells the same, but has to add one value after another.
  var areFinite: Bool {
    var bits: UInt32 = 0
    // One more in the exponent reaches the sign's place from an exponent of ones alone.
    for values in all { for value in values { bits |= (value.bitPattern & 0x7fff_ffff) &+ 0x0080_0000 } }
    return bits >> 31 == 0
  }
}
