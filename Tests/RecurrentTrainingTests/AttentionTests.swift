import Foundation
import Recurrent
import RecurrentTraining
import Testing

@Suite struct AttentionTests {
  /// The shapes of Tests/goldens_sequences.py.
  private static let queries = [5, 2, 3]
  private static let keys = [7, 3, 1]

  private static func sequences(
    _ random: inout SeededGenerator, _ size: Int, lengths: [Int], scale: Double = 1
  ) throws -> Sequences<Float> {
    let steps = lengths.max()!
    return try Sequences(
      random.draw(steps * 3 * size).map { Float($0 * scale) }, steps: steps, batchSize: 3, size: size, lengths: lengths)
  }

  /// A gradient that is 0 behind the lengths.
  private static func gradient(_ random: inout SeededGenerator, _ size: Int) throws -> Sequences<Float> {
    var dy = try sequences(&random, size, lengths: queries)
    dy.withMutableValues { values in
      for index in values.indices where index / size / 3 >= queries[index / size % 3] { values[index] = 0 }
    }
    return dy
  }

  /// Compares a call and its backward with the golden of a name.
  private static func check<M: Module>(
    _ name: String, _ module: M, _ input: AttentionInput, _ dy: Sequences<Float>, isSelf: Bool = false,
    weights: (M.Trace) -> AttentionWeights, _ checked: inout Set<String>
  ) throws where M.Input == AttentionInput, M.Output == Sequences<Float> {
    let goldens = try golden("attention"), workspace = Workspace()
    func expect(_ part: String, _ ours: [Float], tolerance: Double = 2e-6) {
      let expected = goldens["\(name).\(part)"] ?? []
      let largest = expected.map(abs).max() ?? 0
      let difference = largestDifference(ours.map(Double.init), expected)
      #expect(difference <= tolerance * largest, "\(name).\(part): \(difference) of \(largest)")
      checked.insert("\(name).\(part)")
    }
    let (y, trace) = try module(input, workspace)
    #expect(y.lengths == queries)
    for sequence in 0..<3 {
      expect("\(sequence).y", (0..<queries[sequence]).flatMap { y[$0, sequence] })
      let heads = name.hasPrefix("multi") ? 3 : 1
      let rows = try (0..<heads).flatMap { try weights(trace).rows(sequence: sequence, head: $0).flatMap { $0 } }
      expect("\(sequence).weights", rows)
      for row in 0..<rows.count / (isSelf ? queries : keys)[sequence] {
        let count = (isSelf ? queries : keys)[sequence], sum = rows[row * count..<(row + 1) * count].reduce(0, +)
        // A factor for the distance from its middle is behind the softmax of a predictive window.
        #expect(abs(sum - 1) < 1e-6 || name.hasPrefix("predictive") && sum > 0.1 && sum < 1)
      }
    }
    var gradients = try Gradients(module)
    let d = try module.backward(dy, trace, into: &gradients, workspace)
    if isSelf {
      expect("d_x", try d.x.values)
    } else {
      expect("d_queries", d.queries.values)
      expect("d_keys", d.keys.values)
      expect("d_values", d.values.values)
    }
    for (shape, range) in zip(gradients.list.shapes, gradients.list.ranges) {
      expect("d_\(shape.name)", Array(gradients.values[range]), tolerance: 4e-6)
    }
    // The same bits on several threads, and for each sequence alone.
    let threads = Workspace(threads: try Threads(count: 3))
    let (again, otherTrace) = try module(input, threads)
    #expect(again.values == y.values)
    var others = try Gradients(module)
    let other = try module.backward(dy, otherTrace, into: &others, threads)
    #expect(other.queries.values == d.queries.values && other.keys.values == d.keys.values)
    #expect(Array(others.values) == Array(gradients.values))
    for sequence in 0..<3 {
      func alone(_ x: Sequences<Float>) throws -> Sequences<Float> {
        let count = x.lengths![sequence]
        return try Sequences((0..<count).flatMap { x[$0, sequence] }, steps: count, batchSize: 1, size: x.size)
      }
      let one = try module(
        AttentionInput(
          queries: alone(input.queries), keys: alone(input.keys), values: alone(input.values)), workspace
      ).0
      for step in 0..<queries[sequence] { #expect(Array(one[step, 0]) == Array(y[step, sequence])) }
    }
  }

  @Test func attentionIsPyTorchs() throws {
    var random = SeededGenerator(seed: 5), checked: Set<String> = []
    func input(_ sizes: (Int, Int, Int), scale: Double) throws -> AttentionInput {
      try AttentionInput(
        queries: AttentionTests.sequences(&random, sizes.0, lengths: AttentionTests.queries, scale: scale),
        keys: AttentionTests.sequences(&random, sizes.1, lengths: AttentionTests.keys, scale: scale),
        values: AttentionTests.sequences(&random, sizes.2, lengths: AttentionTests.keys))
    }
    let few = try input((6, 6, 4), scale: 2), dy = try AttentionTests.gradient(&random, 4)
    try AttentionTests.check("dot", DotAttention(), few, dy, weights: \.weights, &checked)
    try AttentionTests.check(
      "dot_scaled", DotAttention(isScaled: true, window: .past), few, dy, weights: \.weights, &checked)
    try AttentionTests.check("dot_around", DotAttention(window: .around(2)), few, dy, weights: \.weights, &checked)
    let many = try input((12, 12, 12), scale: 1), dMany = try AttentionTests.gradient(&random, 12)
    var module = try MultiHeadAttention(size: 12, heads: 3, seed: 1)
    let shapes = module.parameterShapes
    #expect(
      shapes.map(\.name) == ["in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"])
    var parameters: [String: [Float]] = [:]
    for shape in shapes { parameters[shape.name] = random.draw(shape.count).map { Float($0 / 2) } }
    try module.setParameters(parameters)
    try AttentionTests.check("multi", module, many, dMany, weights: \.weights, &checked)
    var masked = try MultiHeadAttention(size: 12, heads: 3, window: .past, seed: 1)
    try masked.setParameters(parameters)
    try AttentionTests.check(
      "multi_self", masked, AttentionInput(many.queries), dMany, isSelf: true, weights: \.weights, &checked)
    let apart = try input((6, 8, 4), scale: 1), dApart = try AttentionTests.gradient(&random, 4)
    func drawn<M: Module>(_ module: M) throws -> M {
      var module = module, parameters: [String: [Float]] = [:]
      for shape in module.parameterShapes { parameters[shape.name] = random.draw(shape.count).map { Float($0) } }
      try module.setParameters(parameters)
      return module
    }
    try AttentionTests.check(
      "general", drawn(GeneralAttention(querySize: 6, keySize: 8, seed: 1)), apart, dApart, weights: \.weights, &checked
    )
    try AttentionTests.check(
      "additive", drawn(AdditiveAttention(querySize: 6, keySize: 8, size: 5, window: .around(2), seed: 1)), apart,
      dApart, weights: \.weights, &checked)
    try AttentionTests.check(
      "predictive", drawn(PredictiveAttention(querySize: 6, keySize: 8, size: 5, distance: 2, seed: 1)), apart, dApart,
      weights: \.weights, &checked)
    let alike = try input((6, 6, 4), scale: 2)
    try AttentionTests.check(
      "predictive_dot",
      drawn(PredictiveAttention(querySize: 6, keySize: 6, size: 5, distance: 2, score: .dot, seed: 1)), alike, dApart,
      weights: \.weights, &checked)
    #expect(checked == Set(try golden("attention").keys))
  }

  /// Widths and steps beyond a tile and a panel, against plain sums in double precision.
  @Test(arguments: [(1, 1, 1, 1), (13, 40, 70, 33), (40, 13, 5, 64), (33, 33, 64, 16)])
  func dotAttentionIsItsSums(queries: Int, keys: Int, size: Int, valueSize: Int) throws {
    var random = SeededGenerator(seed: 6)
    func draw(_ steps: Int, _ size: Int) throws -> Sequences<Float> {
      try Sequences(random.draw(steps * 2 * size).map { Float($0) }, steps: steps, batchSize: 2, size: size)
    }
    let input = try AttentionInput(
      queries: draw(queries, size), keys: draw(keys, size), values: draw(keys, valueSize))
    let (y, trace) = try DotAttention(isScaled: true)(input, Workspace())
    for sequence in 0..<2 {
      let weights = try trace.weights.rows(sequence: sequence)
      for query in 0..<queries {
        let q = input.queries[query, sequence]
        let scores = (0..<keys).map { key in
          zip(q, input.keys[key, sequence]).reduce(0.0) { $0 + Double($1.0) * Double($1.1) } / Double(size).squareRoot()
        }
        let exponentials = scores.map { exp($0 - scores.max()!) }, sum = exponentials.reduce(0, +)
        let error = largestDifference(weights[query].map(Double.init), exponentials.map { $0 / sum })
        #expect(error < 2e-6, "\(error)")
        let expected = (0..<valueSize).map { feature in
          (0..<keys).reduce(0.0) {
            $0 + exponentials[$1] / sum * Double(input.values[$1, sequence].dropFirst(feature).first!)
          }
        }
        #expect(largestDifference(y[query, sequence].map(Double.init), expected) < 2e-6)
      }
    }
  }

  /// Whatever lies behind the lengths, no result and no gradient sees it.
  @Test func paddingIsNeverLookedAt() throws {
    func check<M: Module>(_ module: M) throws where M.Input == AttentionInput, M.Output == Sequences<Float> {
      var random = SeededGenerator(seed: 8)
      let x = try AttentionTests.sequences(&random, 4, lengths: AttentionTests.queries)
      let dy = try AttentionTests.gradient(&random, 4)
      var broken = x
      broken.withMutableValues { values in
        for index in values.indices where index / 12 >= AttentionTests.queries[index / 4 % 3] { values[index] = .nan }
      }
      func results(_ x: Sequences<Float>) throws -> [[Float]] {
        var gradients = try Gradients(module)
        let (y, trace) = try module(AttentionInput(x), Workspace())
        let d = try module.backward(dy, trace, into: &gradients, Workspace())
        let valid = (0..<3).flatMap { sequence in
          (0..<AttentionTests.queries[sequence]).flatMap { y[$0, sequence] }
        }
        return [valid, Array(gradients.values), try d.x.values]
      }
      #expect(try results(x) == results(broken), "\(M.self)")
    }
    try check(DotAttention())
    try check(GeneralAttention(querySize: 4, keySize: 4, seed: 1))
    try check(AdditiveAttention(querySize: 4, keySize: 4, size: 3, seed: 1))
    try check(MultiHeadAttention(size: 4, heads: 2, seed: 1))
    try check(PredictiveAttention(querySize: 4, keySize: 4, size: 3, distance: 1, seed: 1))
    try check(PredictiveAttention(querySize: 4, keySize: 4, size: 3, distance: 1, score: .dot, seed: 1))
  }

  /// The window moves with its position, stays in the sequence, and its weights are those of the equations.
  @Test(arguments: [1, 3, 100])
  func predictiveWindowsFollowTheirPositions(distance: Int) throws {
    var random = SeededGenerator(seed: 9)
    let queries = try Sequences(random.draw(12 * 5 * 4).map { Float($0 * 4) }, steps: 12, batchSize: 5, size: 4)
    let keys = try AttentionTests.sequences(&random, 4, lengths: [20, 1, 2]), counts = [20, 1, 2, 20, 7]
    let memory = try Sequences(
      (0..<20).flatMap { step in (0..<5).flatMap { keys[step, $0 % 3] } }, steps: 20, batchSize: 5, size: 4,
      lengths: counts)
    var module = try PredictiveAttention(querySize: 4, keySize: 4, size: 3, distance: distance, score: .dot, seed: 1)
    module.positionScore = [3, -4, 5]
    let (_, trace) = try module(AttentionInput(queries: queries, memory: memory), Workspace())
    var places: Set<Int> = []
    for sequence in 0..<5 {
      let positions = try trace.positions(sequence: sequence), rows = try trace.weights.rows(sequence: sequence)
      for (query, position) in positions.enumerated() {
        #expect(position >= 0 && position <= Double(counts[sequence]))
        places.insert(Int(position))
        let window = (0..<counts[sequence]).filter { abs(Double($0) - position) <= Double(distance) }
        #expect(!window.isEmpty)
        let scores = window.map { key in
          zip(queries[query, sequence], memory[key, sequence]).reduce(0.0) { $0 + Double($1.0 * $1.1) }
        }
        let sum = scores.reduce(0) { $0 + exp($1 - scores.max()!) }
        var expected = Array(repeating: 0.0, count: counts[sequence])
        for (key, score) in zip(window, scores) {
          let offset = (Double(key) - position) / (Double(distance) / 2)
          expected[key] = exp(score - scores.max()!) / sum * exp(-offset * offset / 2)
        }
        let error = largestDifference(rows[query].map(Double.init), expected)
        #expect(error < 1e-5, "distance \(distance), sequence \(sequence), query \(query): \(error)")
      }
    }
    #expect(places.count > 5, "the queries look at \(places.sorted()) only")
  }
}
