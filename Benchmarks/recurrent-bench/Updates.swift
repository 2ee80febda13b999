import Recurrent
import RecurrentTraining

/// Measures one update of an embedding: the gradients of a batch's symbols are added up, and Adam changes the weight.
struct UpdateMeasurement: Encodable {
  let name: String
  /// With a gradient of the rows that were seen.
  let p50Us: Double
  let leastUs: Double
  /// With a gradient of the whole weight.
  let denseP50Us: Double
  let denseLeastUs: Double

  static func all(seconds: Double, matching: (String) -> Bool) throws -> [UpdateMeasurement] {
    var results: [UpdateMeasurement] = []
    for (symbols, size, count) in [(10_000, 32, 25 * 32), (10_000, 32, 100 * 32), (100_000, 64, 25 * 32)] {
      let name = "update/embedding/v\(symbols)_d\(size)_n\(count)"
      guard matching(name) else { continue }
      var random = SeededGenerator(seed: 4)
      let embedding = try Embedding(symbols: symbols, size: size, seed: 1)
      let indices = (0..<count).map { _ in Int.random(in: 0..<symbols, using: &random) }
      let dx = (0..<count * size).map { _ in Float.random(in: -1...1, using: &random) }
      var ours = Update(embedding, EmbeddingGradient(embedding)), dense = ours.dense
      var samplers = [
        try Sampler(peakOf: nil) { for _ in 0..<$0 { try ours.run(indices, dx) } },
        try Sampler(peakOf: nil) { for _ in 0..<$0 { try dense.run(indices, dx) } },
      ]
      // In turn, because the machine's speed drifts.
      for _ in 0..<5 { for index in samplers.indices { try samplers[index].burst(seconds: seconds / 10) } }
      let times = samplers.map(\.samples)
      results.append(
        UpdateMeasurement(
          name: name, p50Us: times[0].p50, leastUs: percentile(times[0].microseconds, 0), denseP50Us: times[1].p50,
          denseLeastUs: percentile(times[1].microseconds, 0)))
    }
    return results
  }
}

/// An embedding with its moments and a gradient of one of the two kinds.
private struct Update<Gradient> {
  var embedding: Embedding
  var optimizer = Adam()
  var gradient: Gradient

  init(_ embedding: Embedding, _ gradient: Gradient) {
    self.embedding = embedding
    self.gradient = gradient
  }
}

extension Update<EmbeddingGradient> {
  var dense: Update<[Float]> { Update<[Float]>(embedding, Array(repeating: 0, count: embedding.weight.count)) }

  mutating func run(_ indices: [Int], _ dx: [Float]) throws(RecurrentError) {
    gradient.clear()
    try embedding.backward(indices, dx: dx, into: &gradient)
    try optimizer.step(count: embedding.weight.count) { step throws(RecurrentError) in
      try embedding.weight.withUnsafeMutableBufferPointer { values throws(RecurrentError) in
        try step.update("weight", values, gradient: gradient)
      }
    }
  }
}

extension Update<[Float]> {
  mutating func run(_ indices: [Int], _ dx: [Float]) throws(RecurrentError) {
    gradient.withUnsafeMutableBufferPointer { $0.update(repeating: 0) }
    try embedding.backward(indices, dx: dx, into: &gradient)
    try optimizer.step(count: embedding.weight.count) { step throws(RecurrentError) in
      try embedding.weight.withUnsafeMutableBufferPointer { values throws(RecurrentError) in
        try step.update("weight", values, gradient: gradient)
      }
    }
  }
}
