import Foundation
import Recurrent

/// Sequences of brackets of four kinds, nested at random. A bracket must be closed by its own kind, so a model that
/// predicts the next bracket has to remember every one that is open.
struct BracketTask {
  static let kinds = 4
  /// At this depth, a bracket is closed.
  static let largestDepth = 6

  /// Numbers of brackets: kind for an open one, kinds + kind for a closed one.
  private(set) var sequences: [[Int]] = []
  /// The mean of -log p of each bracket but the first, by the probabilities that it was drawn with: no model can expect
  /// less.
  private(set) var lowestLoss = 0.0

  /// - Parameter length: the number of brackets in a sequence, at least 2.
  init(count: Int, length: Int, _ random: inout SeededGenerator) {
    var surprise = 0.0
    for _ in 0..<count {
      var open: [Int] = [], sequence: [Int] = []
      for step in 0..<length {
        var probability = 0.5
        if open.isEmpty || open.count == BracketTask.largestDepth { probability = 1 }
        if open.isEmpty || open.count < BracketTask.largestDepth && Bool.random(using: &random) {
          let kind = Int.random(in: 0..<BracketTask.kinds, using: &random)
          open.append(kind)
          sequence.append(kind)
          probability /= Double(BracketTask.kinds)
        } else {
          sequence.append(BracketTask.kinds + open.removeLast())
        }
        if step > 0 { surprise -= log(probability) }
      }
      sequences.append(sequence)
    }
    lowestLoss = surprise / Double(count * (length - 1))
  }
}
