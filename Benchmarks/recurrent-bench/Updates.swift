import Recurrent
import RecurrentTraining

/// Measures one update of an embedding: the gradients of a batch's symbols are added up, and Adam changes the weight.
struct UpdateMeasurement: Encodable {
  let name: String
  /// Every row moves, as in PyTorch's Adam.
  let p50Us: Double
  let leastUs: Double
  /// Only the rows that were seen move, as in PyTorch's SparseAdam.
  let lazyP50Us: Double
  let lazyLeastUs: Double

  static func all(seconds: Double, matching: (String) -> Bool) throws -> [UpdateMeasurement] {
    var results: [UpdateMeasurement] = []
    for (symbols, size, count) in [(10_000, 32, 25 * 32), (10_000, 32, 100 * 32), (100_000, 64, 25 * 32)] {
      let name = "update/embedding/v\(symbols)_d\(size)_n\(count)"
      guard matching(name) else { continue }
      var random = SeededGenerator(seed: 4)
      let indices = (0..<count).map { _ in Int.random(in: 0..<symbols, using: &random) }
      let tokens = try Tokens(indices, steps: count, batchSize: 1)
      let dx = try Sequences<Float>(
        (0..<count * size).map { _ in Float.random(in: -1...1, using: &random) }, steps: count, batchSize: 1,
        size: size)
      let embedding = try Embedding(symbols: symbols, size: size, seed: 1)
      var dense = try Update(embedding, isLazy: false), lazy = try Update(embedding, isLazy: true)
      var samplers = [
        try Sampler(peakOf: nil) { for _ in 0..<$0 { try dense.run(tokens, dx) } },
        try Sampler(peakOf: nil) { for _ in 0..<$0 { try lazy.run(tokens, dx) } },
      ]
      // In turn, because the machine's speed drifts.
      for _ in 0..<5 { for index in samplers.indices { try samplers[index].burst(seconds: seconds / 10) } }
      let times = samplers.map(\.samples)
      results.append(
        UpdateMeasurement(
          name: name, p50Us: times[0].p50, leastUs: percentile(times[0].microseconds, 0), lazyP50Us: times[1].p50,
          lazyLeastUs: percentile(times[1].microseconds, 0)))
    }
    return results
  }
}

/// An embedding in training.
private struct Update {
  var embedding: Embedding
  var optimizer: Adam
  var gradients: Gradients<Embedding>
  let workspace = Workspace()

  init(_ embedding: Embedding, isLazy: Bool) throws(RecurrentError) {
    self.embedding = embedding
    optimizer = Adam(isLazy: isLazy)
    gradients = try Gradients(embedding)
  }

  mutating func run(_ tokens: Tokens, _ dx: Sequences<Float>) throws(RecurrentError) {
    gradients.clear()
    try embedding.backward(dx, tokens, into: &gradients, workspace)
    try optimizer.update(&embedding, gradients)
  }
}
