import Recurrent
import RecurrentTraining

/// A problem whose answer depends on what was read many steps ago.
enum MemoryProblem: String, CaseIterable, Sendable {
  /// Each step has a number from 0 to 1 and a mark. The answer is the sum of the two marked numbers, one of each half
  /// (Hochreiter, Schmidhuber 1997). The constant answer 1 has a mean squared error of 1/6.
  case adding
  /// The first steps show some symbols, then come `lag` blanks and a sign, and then the symbols are asked for in their
  /// order. A guess is right once in `symbols`.
  case copy

  /// The number of different symbols that the copy problem shows.
  static let symbols = 8
  /// How many of them there are to remember.
  static let remembered = 3

  /// C
  var inputSize: Int { self == .adding ? 2 : MemoryProblem.symbols + 2 }
  /// The number of values that the model answers at each step that is asked for.
  var outputSize: Int { self == .adding ? 1 : MemoryProblem.symbols }
  /// The number of steps at the end that are asked for.
  var answers: Int { self == .adding ? 1 : MemoryProblem.remembered }

  /// T
  func steps(lag: Int) -> Int { self == .adding ? lag : lag + 2 * MemoryProblem.remembered }

  /// Random sequences.
  ///
  /// - Throws: `RecurrentError` if there is no memory for them.
  func batch(
    lag: Int, count: Int, using random: inout SeededGenerator
  ) throws(RecurrentError) -> MemoryBatch {
    let steps = steps(lag: lag), size = inputSize
    var x = try Sequences<Float>(steps: steps, batchSize: count, size: size)
    var sums: [Float] = [], symbols = Array(repeating: 0, count: answers * count)
    x.withMutableValues { x in
      for sequence in 0..<count {
        switch self {
        case .adding:
          for step in 0..<steps { x[(step * count + sequence) * 2] = Float.random(in: 0...1, using: &random) }
          let marks = [
            Int.random(in: 0..<steps / 2, using: &random), Int.random(in: steps / 2..<steps, using: &random),
          ]
          for mark in marks { x[(mark * count + sequence) * 2 + 1] = 1 }
          sums.append(marks.reduce(0) { $0 + x[($1 * count + sequence) * 2] })
        case .copy:
          for step in 0..<steps {
            var symbol = MemoryProblem.symbols  // a blank
            if step < answers {
              symbol = Int.random(in: 0..<MemoryProblem.symbols, using: &random)
              symbols[step * count + sequence] = symbol
            } else if step == steps - answers {
              symbol += 1  // the sign
            }
            x[(step * count + sequence) * size + symbol] = 1
          }
        }
      }
    }
    return MemoryBatch(x: x, sums: sums, symbols: symbols)
  }
}

/// Sequences with what is asked for.
struct MemoryBatch {
  /// [T,N,C]
  let x: Sequences<Float>
  /// [N], the sums of the adding problem.
  let sums: [Float]
  /// [answers,N], the symbols of the copy problem.
  let symbols: [Int]
}
