import Recurrent

extension Problem {
  /// The problems whose bits are kept in a file: each shape with every cell. They cover every H from 1 to 40 and some
  /// larger ones, first without options, then with random options. Each problem is small, so that a difference points
  /// to its cause.
  static var digestProblems: [Problem] {
    (plain + drawn + large).enumerated().flatMap { index, shape in
      Cell.all.map { cell in
        var problem = shape
        problem.cell = cell
        problem.seed = UInt64(index + 1)
        return problem
      }
    }
  }

  /// Some of them with rounded weights. Layers with weights in 8 bits cannot be trained.
  static var roundedDigestProblems: [Problem] {
    let all = digestProblems
    return [WeightFormat.int8, .bfloat16].enumerated().flatMap { index, weights in
      // Every seventh visits all cells, because their number has no factor in common with seven.
      stride(from: index, to: all.count, by: 7).map {
        var problem = all[$0]
        problem.weights = weights
        return problem
      }
    }
  }

  private static var batches: [Int] { [1, 2, 5, 13, 30, 64] }
  private static var inputSizes: [Int] { [1, 3, 8, 16, 31, 40, 100, 17, 2, 130, 600] }
  private static var anyCell: Cell { .rnn() }

  /// One level that runs forward, without options.
  private static var plain: [Problem] {
    (1...40).map { hidden in
      Problem(
        anyCell, steps: 1 + hidden * 7 % 10, batch: batches[hidden % batches.count],
        inputs: inputSizes[hidden % inputSizes.count], hidden: hidden
      ).shortened
    }
  }

  /// Sizes and options drawn from a fixed seed.
  private static var drawn: [Problem] {
    var random = SeededGenerator(seed: 20)
    func number(below end: Int) -> Int { Int(truncatingIfNeeded: random.next() >> 33) % end }
    func one<Choice>(of choices: [Choice]) -> Choice { choices[number(below: choices.count)] }
    return (0..<48).map { index in
      var problem = Problem(
        anyCell, steps: one(of: [1, 2, 3, 5, 8, 13, 40]), batch: one(of: batches),
        inputs: one(of: inputSizes.dropLast()),
        hidden: index % 4 == 3 ? one(of: [64, 100, 129]) : 1 + number(below: 40))
      problem.levels = 1 + index % 3
      problem.direction = Direction.allCases[index / 3 % 4]
      problem.bias = index % 5 != 0
      problem.dropout = one(of: [0, 0.3, 1])
      problem.flushesDenormals = index % 7 == 0
      problem.hasDenormals = index % 7 < 2
      if one(of: [true, false]) { problem.lengths = (0..<problem.batch).map { _ in number(below: problem.steps + 1) } }
      if index % 3 == 1 { problem.resets = (0..<problem.steps * problem.batch).map { _ in number(below: 4) == 0 } }
      problem.xPlacing = one(of: Placing.allCases)
      problem.yPlacing = one(of: Placing.allCases)
      problem.threads = 1 + index % 2
      return problem.shortened
    }
  }

  /// The problem with so few steps that all problems together take seconds.
  private var shortened: Problem {
    var problem = self
    problem.steps = max(1, min(steps, 300_000 / (batch * hidden * (inputs + hidden) * parts)))
    problem.lengths = lengths.map { $0.map { min($0, problem.steps) } }
    problem.resets = resets.map { Array($0.prefix(problem.steps * batch)) }
    return problem
  }

  /// Problems with more than one block of k, panel, tile or chunk, or with enough work for two threads.
  private static var large: [Problem] {
    func problem(
      _ steps: Int, _ batch: Int, _ inputs: Int, _ hidden: Int, threads: Int = 1,
      change: (inout Problem) -> Void = { _ in }
    ) -> Problem {
      var problem = Problem(anyCell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, threads: threads)
      change(&problem)
      return problem
    }
    return [
      problem(2, 1, 1, 64), problem(3, 13, 64, 64), problem(2, 5, 100, 100), problem(2, 2, 129, 200),
      problem(2, 5, 600, 129), problem(2, 5, 3, 520), problem(2, 1, 600, 33), problem(1, 30, 520, 64),
      problem(100, 3, 9, 12), problem(70, 2, 3, 40), problem(2, 30, 70, 160, threads: 2),
      problem(2, 24, 40, 160, threads: 2) { $0.levels = 2 },
      problem(2, 24, 40, 96, threads: 2) { $0.direction = .bidirectional },
      problem(3, 1, 5, 520, threads: 2),
      problem(2, 24, 40, 160, threads: 2) {
        $0.lengths = (0..<24).map { $0 % 3 }
        $0.resets = (0..<48).map { $0 % 5 == 0 }
      },
    ]
  }
}
