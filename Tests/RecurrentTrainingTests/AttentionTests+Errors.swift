import Recurrent
import RecurrentTraining
import Testing

extension AttentionTests {
  @Test func badInputIsNamed() throws {
    func zeros(_ steps: Int, _ batch: Int, _ size: Int, lengths: [Int]? = nil) throws -> Sequences<Float> {
      try Sequences(steps: steps, batchSize: batch, size: size, lengths: lengths)
    }
    #expect(
      throws: RecurrentError.size(
        name: "the number of keys of sequence 1", was: 0, expected: "at least 1: the source is empty")
    ) { try AttentionInput(queries: zeros(2, 2, 3), memory: zeros(4, 2, 3, lengths: [4, 0])) }
    #expect(
      throws: RecurrentError.size(
        name: "the number of sequences of the keys", was: 3, expected: "2, as of the queries")
    ) { try AttentionInput(queries: zeros(2, 2, 3), memory: zeros(4, 3, 3)) }
    #expect(
      throws: RecurrentError.size(name: "the number of values", was: 5, expected: "4, the number of keys")
    ) { try AttentionInput(queries: zeros(2, 2, 3), keys: zeros(4, 2, 3), values: zeros(5, 2, 3)) }
    let input = try AttentionInput(queries: zeros(8, 1, 3), memory: zeros(4, 1, 4))
    #expect(
      throws: RecurrentError.size(name: "the size of the queries", was: 3, expected: "4, the size of the keys")
    ) { try DotAttention()(input, Workspace()) }
    let beyond = try AttentionInput(queries: zeros(8, 1, 3), memory: zeros(4, 1, 3))
    #expect(throws: RecurrentError.self) { try DotAttention(window: .around(3))(beyond, Workspace()) }
    #expect(throws: RecurrentError.self) { try DotAttention(window: .around(-1))(beyond, Workspace()) }
    _ = try DotAttention(window: .around(4))(beyond, Workspace())
    #expect(throws: RecurrentError.self) { try MultiHeadAttention(size: 10, heads: 3, seed: 1) }
    #expect(throws: RecurrentError.self) { try MultiHeadAttention(size: 10, heads: 0, seed: 1) }
    let multi = try MultiHeadAttention(size: 4, heads: 2, seed: 1)
    #expect(throws: RecurrentError.self) { try multi(beyond, Workspace()) }
    let (_, trace) = try DotAttention()(beyond, Workspace())
    #expect(
      throws: RecurrentError.size(name: "sequence", was: 1, expected: "0 to 0")
    ) { try trace.weights.rows(sequence: 1) }
    #expect(throws: RecurrentError.self) { try trace.weights.rows(sequence: 0, head: 1) }
    #expect(throws: RecurrentError.self) { try DotAttention().backward(zeros(7, 1, 3), trace) }
    // Traces and gradients of another module, and parameters of another count.
    let self4 = AttentionInput(try zeros(3, 1, 4)), one = try MultiHeadAttention(size: 4, heads: 1, seed: 1)
    var gradients = try Gradients(multi)
    let (y4, trace4) = try one(self4, Workspace())
    #expect(
      throws: RecurrentError.size(name: "the heads of the trace", was: 1, expected: "2, those of this module")
    ) { try multi.backward(y4, trace4, into: &gradients, Workspace()) }
    let general = try GeneralAttention(querySize: 3, keySize: 4, seed: 1)
    let wide = try GeneralAttention(querySize: 5, keySize: 4, seed: 1)
    let (yGeneral, generalTrace) = try general(input, Workspace())
    var wideGradients = try Gradients(wide)
    #expect(throws: RecurrentError.self) {
      try wide.backward(yGeneral, generalTrace, into: &wideGradients, Workspace())
    }
    var cut = general
    cut.weight.removeLast()
    var generalGradients = try Gradients(general)
    #expect(throws: RecurrentError.self) {
      try cut.backward(yGeneral, generalTrace, into: &generalGradients, Workspace())
    }
    #expect(throws: RecurrentError.self) { try cut(input, Workspace()) }
    let additive = try AdditiveAttention(querySize: 3, keySize: 4, size: 2, seed: 1)
    let larger = try AdditiveAttention(querySize: 3, keySize: 4, size: 3, seed: 1)
    let (yAdditive, additiveTrace) = try additive(input, Workspace())
    var largerGradients = try Gradients(larger)
    #expect(throws: RecurrentError.self) {
      try larger.backward(yAdditive, additiveTrace, into: &largerGradients, Workspace())
    }
    #expect(throws: RecurrentError.self) {
      try AttentionInput(
        queries: zeros(2, 2, 3), keys: zeros(4, 2, 3), values: zeros(4, 2, 3, lengths: [4, 2]))
    }
    expectError("the window's distance is 0, expected 1 to 1099511627776 steps") {
      try PredictiveAttention(querySize: 3, keySize: 4, size: 2, distance: 0, seed: 1)
    }
    #expect(throws: RecurrentError.self) {
      try PredictiveAttention(querySize: 3, keySize: 4, size: 2, distance: .max, seed: 1)
    }
    expectError("the size of the queries is 3, expected 4, the size of the keys") {
      try PredictiveAttention(querySize: 3, keySize: 4, size: 2, distance: 1, score: .dot, seed: 1)
    }
    var predictive = try PredictiveAttention(querySize: 3, keySize: 4, size: 2, distance: 1, seed: 1)
    let sizes = try PredictiveAttention(querySize: 3, keySize: 4, size: 5, distance: 1, seed: 1)
    expectError("the size of the keys is 3, expected 4, the attention's") { try predictive(beyond, Workspace()) }
    expectError("the size of the queries is 4, expected 3, as in position.weight") {
      try predictive(AttentionInput(zeros(3, 1, 4)), Workspace())
    }
    let (yPredictive, predictiveTrace) = try predictive(input, Workspace())
    var predictiveGradients = try Gradients(predictive), sizesGradients = try Gradients(sizes)
    #expect(throws: RecurrentError.self) {
      try predictive.backward(yPredictive, predictiveTrace, into: &sizesGradients, Workspace())
    }
    #expect(throws: RecurrentError.self) {
      try sizes.backward(yPredictive, predictiveTrace, into: &sizesGradients, Workspace())
    }
    #expect(throws: RecurrentError.self) {
      try predictive.backward(zeros(7, 1, 4), predictiveTrace, into: &predictiveGradients, Workspace())
    }
    expectError("sequence is 1, expected 0 to 0") { try predictiveTrace.positions(sequence: 1) }
    // A position that is not a number has no window.
    predictive.positionScore[0] = .nan
    expectError("the position of the window of step 0 of sequence 0 is NaN, expected a number from 0 to 4") {
      try predictive(input, Workspace())
    }
    predictive.positionScore.removeLast()
    expectError("position.score.weight has 1 values, expected 1·2 = 2") { try predictive(input, Workspace()) }
    // A sequence without queries reads nothing.
    let empty = AttentionInput(try zeros(3, 2, 4, lengths: [3, 0]))
    let (y, _) = try multi(empty, Workspace())
    #expect(y.values.allSatisfy { $0.isFinite })
  }
}
