import Recurrent

/// Symbols in, one dense head on a layer's outputs: what the training of a model needs to know of it.
protocol TrainableModel {
  var embedding: Embedding { get set }
  var layer: Layer<Float> { get set }
  var head: Dense { get set }
}

extension TrainableModel {
  /// One update of every parameter, whose gradients are multiplied by `scale`.
  mutating func apply(
    _ gradients: ModelGradients, _ optimizer: inout Adam, scale: Float = 1
  ) throws(RecurrentError) {
    optimizer.beginStep()
    var failure: RecurrentError?
    func update(_ name: String, _ values: UnsafeMutableBufferPointer<Float>, _ gradient: [Float]) {
      do throws(RecurrentError) {
        try optimizer.update(name, values, gradient: gradient, scale: scale)
      } catch { failure = failure ?? error }
    }
    embedding.weight.withUnsafeMutableBufferPointer { update("embedding.weight", $0, gradients.embedding) }
    head.weight.withUnsafeMutableBufferPointer { update("head.weight", $0, gradients.headWeight) }
    head.bias.withUnsafeMutableBufferPointer { update("head.bias", $0, gradients.headBias) }
    layer.updateEachParameter { name, values in
      update("cell.\(name)", values, (try? gradients.layer.values(name)) ?? [])
    }
    if let failure { throw failure }
  }
}

/// The gradients of every parameter of a model.
struct ModelGradients {
  var embedding: [Float]
  var layer: Parameters<Float>
  var headWeight: [Float]
  var headBias: [Float]

  init(_ model: some TrainableModel) {
    embedding = Array(repeating: 0, count: model.embedding.weight.count)
    layer = model.layer.zeroGradients()
    headWeight = Array(repeating: 0, count: model.head.weight.count)
    headBias = Array(repeating: 0, count: model.head.bias.count)
  }

  mutating func clear() {
    func zero(_ values: inout [Float]) {
      values.withUnsafeMutableBufferPointer { $0.update(repeating: 0) }
    }
    zero(&embedding)
    layer.withMutableValues { $0.update(repeating: 0) }
    zero(&headWeight)
    zero(&headBias)
  }

  mutating func add(_ other: ModelGradients) {
    func add(_ sum: inout [Float], _ values: [Float]) {
      sum.withUnsafeMutableBufferPointer { sum in
        values.withUnsafeBufferPointer { for index in sum.indices { sum[index] += $0[index] } }
      }
    }
    add(&embedding, other.embedding)
    layer.withMutableValues { sum in
      other.layer.values.withUnsafeBufferPointer { for index in sum.indices { sum[index] += $0[index] } }
    }
    add(&headWeight, other.headWeight)
    add(&headBias, other.headBias)
  }

  var norm: Double {
    gradientNorm([embedding, layer.values, headWeight, headBias])
  }
}
