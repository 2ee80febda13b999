import Foundation
import Recurrent
import RecurrentTraining
import Testing

@Suite struct CTCTests {
  /// The inputs of `ctc` in Tests/goldens_sequences.py: y [9,4,6].
  private static func inputs() throws -> (y: Sequences<Float>, lengths: [Int], labels: [[Int]]) {
    var random = SeededGenerator(seed: 6)
    let y = try Sequences(random.draw(9 * 4 * 6).map { Float($0 * 4) }, steps: 9, batchSize: 4, size: 6)
    return (y, [9, 5, 7, 1], [[1, 2, 2, 5], [3, 3, 3], [], [4]])
  }

  @Test func lossAndGradientArePyTorchs() throws {
    let goldens = try golden("ctc"), (y, lengths, labels) = try CTCTests.inputs()
    let (loss, gradient) = try CTCLoss()(y, labels, lengths: lengths)
    #expect(abs(loss - goldens["loss"]![0]) < 1e-9 * loss)
    let expected = goldens["gradient"]!, largest = expected.map(abs).max()!
    #expect(largestDifference(gradient.values.map(Double.init), expected) < 1e-7 * largest)
    let (other, otherGradient) = try CTCLoss(blank: 5)(y, [[1, 2, 2, 4], [3, 3, 3], [], [0]], lengths: lengths)
    #expect(abs(other - goldens["blank.loss"]![0]) < 1e-9 * other)
    #expect(largestDifference(otherGradient.values.map(Double.init), goldens["blank.gradient"]!) < 1e-7)
    let half = try CTCLoss()(y, labels, lengths: lengths, weight: 0.5)
    #expect(half.loss == loss && half.gradient.values == gradient.values.map { $0 / 2 })
  }

  /// Every way to choose a class at each of four steps, added up by the labels that it spells.
  private static func exact(_ y: Sequences<Float>) -> [[Int]: Double] {
    var sums: [[Int]: Double] = [:]
    let probabilities = (0..<4).map { step in
      let values = y[step, 0].map { exp(Double($0)) }, sum = values.reduce(0, +)
      return values.map { $0 / sum }
    }
    for way in 0..<81 {
      let classes = [way % 3, way / 3 % 3, way / 9 % 3, way / 27]
      var labels: [Int] = [], last = 0
      for symbol in classes {
        if symbol != last, symbol != 0 { labels.append(symbol) }
        last = symbol
      }
      sums[labels, default: 0] += zip(probabilities, classes).reduce(1) { $0 * $1.0[$1.1] }
    }
    return sums
  }

  @Test func aWideSearchIsExactAndAgreesWithTheLoss() throws {
    var random = SeededGenerator(seed: 7)
    var differs = false
    for _ in 0..<20 {
      let y = try Sequences(random.draw(12).map { Float($0) }, steps: 4, batchSize: 1, size: 3)
      let exact = CTCTests.exact(y), readings = try CTCDecoder().beam(y, width: 1000)[0]
      #expect(readings.count == exact.count)
      for reading in readings {
        #expect(abs(exp(reading.logProbability) - exact[reading.labels]!) < 1e-12)
        let loss = try CTCLoss()(y, [reading.labels]).loss * Double(max(1, reading.labels.count))
        #expect(abs(loss + reading.logProbability) < 1e-9)
      }
      #expect(zip(readings, readings.dropFirst()).allSatisfy { $0.logProbability >= $1.logProbability })
      #expect(abs(exact[readings[0].labels]! - exact.values.max()!) < 1e-12)
      let narrow = try CTCDecoder().beam(y, width: 2)[0]
      #expect(narrow.count == 2)
      differs = try differs || CTCDecoder().greedy(y)[0] != readings[0].labels
    }
    #expect(differs, "the most probable way is not always of the most probable labels")
  }

  @Test func greedyJoinsEqualLabelsAndLeavesOutBlanks() throws {
    func logits(_ classes: [Int], lengths: [Int]? = nil) throws -> Sequences<Float> {
      try Sequences(
        classes.flatMap { symbol in (0..<3).map { $0 == symbol ? 5 : 0 } }, steps: classes.count, batchSize: 1, size: 3,
        lengths: lengths)
    }
    #expect(try CTCDecoder().greedy(logits([1, 1, 0, 1, 2, 2, 0, 0])) == [[1, 1, 2]])
    #expect(try CTCDecoder().greedy(logits([1, 1, 0, 1, 2, 2, 0, 0], lengths: [3])) == [[1]])
    #expect(try CTCDecoder(blank: 2).greedy(logits([0, 0, 2, 1])) == [[0, 1]])
    #expect(try CTCDecoder().beam(logits([1, 0, 1]), width: 5)[0][0].labels == [1, 1])
    #expect(try CTCDecoder().greedy(logits([1, 2]), lengths: [0]) == [[]])
  }

  @Test func badInputIsNamed() throws {
    let y = try Sequences<Float>(steps: 3, batchSize: 2, size: 4)
    #expect(
      throws: RecurrentError.size(
        name: "the steps of sequence 1", was: 3,
        expected: "at least 4, for its 3 labels and a blank between equal ones")
    ) { try CTCLoss()(y, [[1], [2, 2, 1]]) }
    #expect(
      throws: RecurrentError.size(
        name: "a label of sequence 0", was: 4, expected: "0 to 3, and not the blank, 0")
    ) { try CTCLoss()(y, [[4], []]) }
    #expect(throws: RecurrentError.self) { try CTCLoss()(y, [[0], []]) }
    #expect(throws: RecurrentError.self) { try CTCLoss(blank: 4)(y, [[1], []]) }
    #expect(throws: RecurrentError.self) { try CTCLoss()(y, [[1]]) }
    #expect(throws: RecurrentError.self) { try CTCLoss()(y, [[1], []], lengths: [0, 3]) }
    #expect(try CTCLoss()(y, [[], [1]], lengths: [0, 3]).loss.isFinite)
    var broken = y
    broken.withMutableValues { $0[4] = .nan }
    #expect(throws: RecurrentError.self) { try CTCLoss()(broken, [[1], [2]]) }
    #expect(throws: RecurrentError.size(name: "width", was: 0, expected: "at least 1")) {
      try CTCDecoder().beam(y, width: 0)
    }
    #expect(throws: RecurrentError.self) { try CTCDecoder(blank: -1).greedy(y) }
    #expect(throws: RecurrentError.self) { try CTCDecoder().greedy(broken) }
    #expect(throws: RecurrentError.self) { try CTCDecoder().beam(broken, width: 2) }
    #expect(throws: RecurrentError.self) { try CTCDecoder().greedy(y, lengths: [4, 0]) }
  }

  @Test func editDistancesAreTheFewestChanges() {
    let cases: [(String, String, Int)] = [
      ("", "", 0), ("abc", "abc", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2),
      ("abc", "cab", 2), ("aaaa", "a", 3), ("intention", "execution", 5),
    ]
    for (first, second, expected) in cases {
      #expect(editDistance(Array(first), Array(second)) == expected, "\(first), \(second)")
      #expect(editDistance(Array(second), Array(first)) == expected, "\(second), \(first)")
    }
  }
}
