import CRecurrentKernels
import Recurrent
import RecurrentTraining
import Testing

/// The gradient of an embedding's rows that were seen gives the bits of a gradient [V,D].
@Suite struct EmbeddingTests {
  @Test func aGradientHoldsTheRowsThatWereSeen() throws {
    let embedding = try Embedding(symbols: 130, size: 2, seed: 4)
    var gradient = EmbeddingGradient(embedding)
    #expect(gradient.seen.isEmpty && gradient.sums.isEmpty)
    try embedding.backward([64, 129, 64], dx: [1, 2, 3, 4, 5, 6], into: &gradient)
    #expect(gradient.seen == [64, 129] && gradient.sums == [6, 8, 3, 4])
    // New symbols before, between and after the old ones, of which some come again.
    try embedding.backward([128, 0, 129, 63], dx: [1, 1, 2, 2, 3, 3, 4, 4], into: &gradient)
    #expect(gradient.seen == [0, 63, 64, 128, 129] && gradient.sums == [2, 2, 4, 4, 6, 8, 1, 1, 6, 7])
    try embedding.backward([], dx: [], into: &gradient)
    #expect(gradient.seen.count == 5)
    var other = EmbeddingGradient(embedding)
    try other.add(gradient)
    try other.add(EmbeddingGradient(embedding))
    #expect(other.seen == gradient.seen && other.sums == gradient.sums)
    gradient.clear()
    #expect(gradient.seen.isEmpty && gradient.sums.isEmpty)
    try embedding.backward([129, 1], dx: [1, 2, 3, 4], into: &gradient)
    #expect(gradient.seen == [1, 129] && gradient.sums == [3, 4, 1, 2])
    try gradient.add(other)
    #expect(gradient.seen == [0, 1, 63, 64, 128, 129] && gradient.sums == [2, 2, 3, 4, 4, 4, 6, 8, 1, 1, 7, 9])
  }

  @Test func whatDoesNotFitIsRefusedAndChangesNothing() throws {
    let embedding = try Embedding(symbols: 3, size: 2, seed: 4)
    var gradient = EmbeddingGradient(embedding)
    try embedding.backward([1], dx: [1, 2], into: &gradient)
    for index in [3, -1, .max, .min] {
      #expect(throws: RecurrentError.size(name: "symbol", was: index, expected: "0 to 2")) {
        try embedding.backward([0, index], dx: [1, 2, 3, 4], into: &gradient)
      }
    }
    for dx: [Float] in [[], [1], [1, 2, 3]] {
      #expect(throws: RecurrentError.count(name: "dx", was: dx.count, expected: 2, shape: "1·2")) {
        try embedding.backward([0], dx: dx, into: &gradient)
      }
    }
    for (symbols, size) in [(4, 2), (2, 3), (3, 1)] {
      let other = try Embedding(symbols: symbols, size: size, seed: 4)
      var ofOther = EmbeddingGradient(other)
      let has = "gradients of an embedding are of \(symbols) symbols of \(size) values, expected 3 symbols of 2 values"
      expectError(has) { try embedding.backward([0], dx: [1, 2], into: &ofOther) }
      expectError(has) { try gradient.add(ofOther) }
      var adam = Adam(), weight = embedding.weight
      if symbols * size != 6 {
        expectError("gradient of e has \(symbols * size) values, expected the values' count = 6") {
          try EmbeddingTests.step(&adam, &weight, ofOther)
        }
        #expect(adam == Adam() && weight == embedding.weight)
      }
      #expect(ofOther.seen.isEmpty)
    }
    #expect(gradient.seen == [1] && gradient.sums == [1, 2])
  }

  // MARK: - Adam

  private static func step(
    _ adam: inout Adam, _ weight: inout [Float], _ gradient: EmbeddingGradient, scale: Float = 1
  ) throws(RecurrentError) {
    try adam.step(count: weight.count) { step throws(RecurrentError) in
      try weight.withUnsafeMutableBufferPointer { weight throws(RecurrentError) in
        try step.update("e", weight, gradient: gradient, scale: scale)
      }
    }
  }

  private static func step(
    _ adam: inout Adam, _ weight: inout [Float], _ gradient: [Float], scale: Float = 1
  ) throws(RecurrentError) {
    try adam.step(count: weight.count) { step throws(RecurrentError) in
      try weight.withUnsafeMutableBufferPointer { weight throws(RecurrentError) in
        try step.update("e", weight, gradient: gradient, scale: scale)
      }
    }
  }

  private static func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }

  /// Every instruction set's kernel, on rows that begin and end anywhere in a vector.
  @Test(arguments: Processor.available)
  func adamsKernelsReadTheRowsThatWereSeen(set: InstructionSet) {
    var random = SeededGenerator(seed: 5)
    let denormal = 5 * Float.leastNonzeroMagnitude
    for (symbols, size) in [(1, 1), (1, 40), (50, 1), (33, 3), (12, 8), (21, 15), (9, 16), (7, 17), (9, 25), (20, 32)] {
      let count = symbols * size
      for chance in [0, 1, 5, 10] {  // of ten, that a symbol was seen
        let seen = (0..<symbols).filter { _ in Int.random(in: 0..<10, using: &random) < chance }
        var sums: [Float] = [], gradient = [Float](repeating: 0, count: count)
        for symbol in seen {
          let row = (0..<size).map { _ -> Float in
            let choice: [Float] = [-0.0, 0, .random(in: -1...1, using: &random)]
            return choice.randomElement(using: &random)!
          }
          sums += row
          gradient.replaceSubrange(symbol * size..<(symbol + 1) * size, with: row)
        }
        // Values, both moments and what follows them. Some moments are zeros of either sign or denormal.
        let arrays = (0..<3).map { array in
          (0..<count + 40).map { _ -> Float in
            let range: ClosedRange<Float> = array == 2 ? 0...1 : -1...1
            let zeros: [Float] = array == 2 ? [0, denormal] : [0, -0.0, denormal, -denormal]
            return Bool.random(using: &random)
              ? .random(in: range, using: &random) : zeros.randomElement(using: &random)!
          }
        }
        func run(_ gradient: [Float], _ rows: [Int], _ size: Int, _ scale: Float) -> [[UInt32]] {
          var (values, first, second) = (arrays[0], arrays[1], arrays[2])
          values.withUnsafeMutableBufferPointer { values in
            first.withUnsafeMutableBufferPointer { first in
              second.withUnsafeMutableBufferPointer { second in
                gradient.withUnsafeBufferPointer { gradient in
                  rows.withUnsafeBufferPointer { rows in
                    var rule = update_rule(
                      kind: update_adam, rate: 0.1, momentum: 0, beta1: 0.9, beta2: 0.99, correction: 2, epsilon: 1e-3,
                      limit: .infinity, l1: 0, l2: 0, keep: 1)
                    var update = parameter_update(
                      values: values.baseAddress!, state: (first.baseAddress!, second.baseAddress!, nil),
                      gradient: gradient.baseAddress, rows: rows.baseAddress, row_count: rows.count, size: size,
                      count: count, is_whole: false, is_lazy: false, scale: scale)
                    update_parameters(set.kernelSet, &rule, &update)
                  }
                }
              }
            }
          }
          return [values, first, second].map(EmbeddingTests.bits)
        }
        for scale: Float in [1, 0.3, -1] {
          let rows = run(sums, seen, size, scale), dense = run(gradient, [0], count, scale)
          let case_ = "\(symbols) symbols of \(size), \(seen) seen, scale \(scale), \(set)"
          #expect(rows == dense, "\(case_)")
          for (after, before) in zip(rows, arrays) {
            #expect(after[count...].elementsEqual(before[count...].map(\.bitPattern)), "past the end: \(case_)")
          }
        }
      }
    }
  }

  // MARK: - Training

  /// Updates with clipping. Each has other symbols; one has no sequence at all.
  @Test(arguments: [1, 6, 16, 25, 32], [1, 2, 3])
  func updatesHaveTheBitsOfDenseGradients(size: Int, shards: Int) throws {
    let embedding = try Embedding(symbols: 200, size: size, seed: 1)
    var random = SeededGenerator(seed: 6)
    var rows = (adam: Adam(learningRate: 0.1), weight: embedding.weight), dense = rows
    var sum = EmbeddingGradient(embedding), parts = Array(repeating: sum, count: shards)
    for update in 0..<8 {
      sum.clear()
      var denseSum = [Float](repeating: 0, count: embedding.weight.count)
      // The first updates see few symbols, the last ones nearly all.
      let tokens = update == 3 ? 0 : 20 << update, known = min(200, 10 << update)
      for shard in parts.indices {
        let indices = (0..<tokens).map { _ in Int.random(in: 0..<known, using: &random) * 7 % 200 }
        let dx = (0..<tokens * size).map { _ in Float.random(in: -1...1, using: &random) }
        parts[shard].clear()
        try embedding.backward(indices, dx: dx, into: &parts[shard])
        try sum.add(parts[shard])
        var densePart = [Float](repeating: 0, count: denseSum.count)
        try embedding.backward(indices, dx: dx, into: &densePart)
        for index in denseSum.indices { denseSum[index] += densePart[index] }
      }
      let rest: [Float] = [0.25]
      let norm = gradientNorm([sum.sums, rest]), denseNorm = gradientNorm([denseSum, rest])
      #expect(norm.bitPattern == denseNorm.bitPattern, "update \(update)")
      let scale = try clippingFactor(norm: norm, limit: 1)
      #expect((scale < 1) == (tokens > 0), "update \(update)")
      try EmbeddingTests.step(&rows.adam, &rows.weight, sum, scale: scale)
      try EmbeddingTests.step(&dense.adam, &dense.weight, denseSum, scale: scale)
      #expect(EmbeddingTests.bits(rows.weight) == EmbeddingTests.bits(dense.weight), "update \(update)")
      for (moments, expected) in [(rows.adam.first, dense.adam.first), (rows.adam.second, dense.adam.second)] {
        #expect(EmbeddingTests.bits(moments) == EmbeddingTests.bits(expected), "update \(update)")
      }
    }
  }

  /// A trainer's updates against ones that are written out here with a gradient [V,D].
  @Test(arguments: [1, 2])
  func aTrainerHasTheBitsOfDenseGradients(threads: Int) throws {
    var random = SeededGenerator(seed: 9)
    // Each part of the text has characters of its own.
    let numbers = (0..<900).map { 1 + Int.random(in: 0..<12, using: &random) + $0 / 150 * 20 }
    let vocabulary = Vocabulary((0..<150).map { Unicode.Scalar(UInt8($0)) })
    var settings = CharacterTrainer.Settings()
    (settings.streams, settings.steps, settings.epochs, settings.threads) = (5, 20, 1, threads)
    (settings.dropout, settings.learningRate, settings.clippingNorm) = (0, 0.02, 0.2)
    let trainer = try CharacterTrainer(
      try CharacterModel(.lstm(), vocabulary: vocabulary, embeddingSize: 10, hiddenSize: 9, seed: 3), numbers: numbers,
      settings: settings)
    var model = trainer.model, optimizer = Adam()
    let length = (numbers.count - 1) / 5
    var shards = try (0..<threads).map { thread in
      let first = 5 * thread / threads, end = 5 * (thread + 1) / threads
      return (
        batches: try TextBatches(Array(numbers[first * length...end * length]), streams: end - first, steps: 20),
        state: try model.layer.zeroState(batchSize: end - first), weight: Float(end - first) / 5
      )
    }
    var clipped = 0
    for update in 0..<trainer.updatesPerEpoch {
      func zeros(_ values: [Float]) -> [Float] { Array(repeating: 0, count: values.count) }
      var sums = [model.embedding.weight, model.layer.parameters.values, model.head.weight, model.head.bias].map(zeros)
      for shard in shards.indices {
        let next = shards[shard].batches.next()
        let batch = try #require(next)
        let parts = try EmbeddingTests.gradients(model, batch, &shards[shard].state, weight: shards[shard].weight)
        for (array, part) in parts.enumerated() { for index in part.indices { sums[array][index] += part[index] } }
      }
      let scale = try clippingFactor(norm: gradientNorm(sums), limit: settings.clippingNorm)
      clipped += scale < 1 ? 1 : 0
      _ = try trainer.update()
      optimizer.learningRate = trainer.optimizer.learningRate
      var layer = model.layer.zeroGradients()
      layer.withMutableValues { values in for index in values.indices { values[index] = sums[1][index] } }
      let count = model.parameterCount
      try optimizer.step(count: count) { step throws(RecurrentError) in
        func apply(_ name: String, _ values: inout [Float], _ gradient: [Float]) throws(RecurrentError) {
          try values.withUnsafeMutableBufferPointer { values throws(RecurrentError) in
            try step.update(name, values, gradient: gradient, scale: scale)
          }
        }
        try apply("embedding.weight", &model.embedding.weight, sums[0])
        try apply("head.weight", &model.head.weight, sums[2])
        try apply("head.bias", &model.head.bias, sums[3])
        var failure: RecurrentError?
        model.layer.updateEachParameter { name, values in
          do throws(RecurrentError) {
            try step.update("cell.\(name)", values, gradient: try layer.values(name), scale: scale)
          } catch { failure = error }
        }
        if let failure { throw failure }
      }
      let case_ = "update \(update), \(threads) threads"
      let (ours, expected) = (trainer.model, model)
      #expect(EmbeddingTests.bits(ours.embedding.weight) == EmbeddingTests.bits(expected.embedding.weight), "\(case_)")
      #expect(ours.layer.parameters == expected.layer.parameters, "\(case_)")
      #expect(ours.head.weight == expected.head.weight && ours.head.bias == expected.head.bias, "\(case_)")
      #expect(trainer.optimizer == optimizer, "\(case_)")
    }
    #expect(trainer.updatesPerEpoch >= 8 && clipped > 0)
  }

  /// Of the embedding [V,D], the layer, the head's weight and its bias.
  private static func gradients(
    _ model: CharacterModel, _ batch: TextBatches.Batch, _ state: inout State<Float>, weight: Float
  ) throws -> [[Float]] {
    let rows = batch.targets.count, record = Record<Float>(), scratch = Scratch<Float>()
    var x = [Float](repeating: 0, count: rows * model.embedding.size), dx = x
    try model.embedding.forward(batch.inputs, into: &x)
    try model.layer.record(
      x.span, steps: batch.steps, batchSize: batch.streams, state: &state, into: record, scratch: scratch)
    let y = record.withY { Array($0) }
    var dy = y, logits = [Float](repeating: 0, count: rows * model.vocabulary.count)
    try model.head.forward(y, rows: rows, into: &logits, scratch: Scratch())
    _ = try SoftmaxCrossEntropy.gradient(
      &logits, targets: batch.targets, classes: model.vocabulary.count, weight: weight)
    var dWeight = [Float](repeating: 0, count: model.head.weight.count)
    var dBias = [Float](repeating: 0, count: model.head.bias.count)
    try model.head.backward(
      x: y, dy: logits, rows: rows, dx: &dy, dWeight: &dWeight, dBias: &dBias, scratch: Scratch())
    var dState = try model.layer.zeroStateGradient(batchSize: batch.streams), layer = model.layer.zeroGradients()
    try dx.withUnsafeMutableBufferPointer { dx in
      try x.withUnsafeBufferPointer { x in
        try dy.withUnsafeBufferPointer { dy in
          try model.layer.backward(
            consuming: record, x: x, dy: dy, dState: &dState, dx: dx, into: &layer, scratch: scratch)
        }
      }
    }
    var embedding = [Float](repeating: 0, count: model.embedding.weight.count)
    try model.embedding.backward(batch.inputs, dx: dx, into: &embedding)
    return [embedding, layer.values, dWeight, dBias]
  }
}
