import Recurrent
import RecurrentTraining
import Testing

/// One call updates a whole model.
@Suite struct ModelUpdateTests {
  /// A model with gradients of a few symbols, and the same as flat arrays of values and gradients.
  private struct Problem {
    var model: Sentiment
    var gradients: Gradients<Sentiment>
    var random = SeededGenerator(seed: 5)

    init() throws {
      model = try Sentiment(words: 40, cell: .gru(), size: 4)
      gradients = try Gradients(model)
    }

    /// The symbols that have gradients.
    mutating func draw() throws -> [Int] {
      let seen = (0..<3).map { _ in Int.random(in: 0..<40, using: &random) }
      gradients.clear()
      try gradients.embedding.markRows(seen)
      let numbers = random.draw(gradients.list.count).map(Float.init)
      gradients.withMutableValues { values in
        for index in values.indices where index >= 160 || seen.contains(index / 4) { values[index] = numbers[index] }
      }
      return seen
    }

    var values: [Float] { model.namedParameters().flatMap(\.values) }
  }

  private static let optimizers: [any Optimizer] = [
    SGD(), SGD(momentum: 0.9, isNesterov: true, l2: 0.1), RMSProp(momentum: 0.5, isCentered: true, l1: 0.1),
    Adam(l2: 0.1), AdamW(),
  ]

  @Test func aModelHasTheBitsOfOneArray() throws {
    func check(_ start: some Optimizer, _ clipping: Clipping) throws {
      var problem = try Problem(), optimizer = start, flat = start, values = problem.values
      for _ in 0..<5 {
        _ = try problem.draw()
        let gradient = Array(problem.gradients.values)
        let norm = try optimizer.update(&problem.model, problem.gradients, clipping: clipping)
        #expect(norm == problem.gradients.totalNorm)
        let scale = try clippingFactor(norm: norm, limit: clipping.norm)
        try flat.update(count: values.count, clippingValue: clipping.value) { update throws(RecurrentError) in
          try values.withUnsafeMutableBufferPointer { values throws(RecurrentError) in
            try update.apply("all", values, gradient: gradient, scale: scale)
          }
        }
        #expect(problem.values == values && optimizer == flat, "\(start), \(clipping)")
      }
    }
    for optimizer in Self.optimizers {
      for clipping in [Clipping.none, .norm(0.5), .value(0.25), Clipping(norm: 2, value: 0.125)] {
        try check(optimizer, clipping)
      }
    }
  }

  @Test func aLazyOptimizerLeavesOtherSymbols() throws {
    func check(_ start: some Optimizer) throws {
      var problem = try Problem(), optimizer = start, every = start
      optimizer.isLazy = true
      for _ in 0..<3 {
        var same = problem
        let seen = try problem.draw(), before = problem.values, (was, state) = (optimizer.updates, optimizer.state)
        _ = try same.draw()
        try optimizer.update(&problem.model, problem.gradients)
        #expect(optimizer.updates == was + 1)
        // Symbols that were seen, and everything else, change as by an optimizer with the same state that is not lazy.
        every.state = state
        try every.update(&same.model, same.gradients)
        for (index, value) in problem.values.enumerated() {
          let isSeen = index >= 160 || seen.contains(index / 4)
          #expect(value == (isSeen ? same.values[index] : before[index]), "\(start), \(index)")
          for (array, values) in optimizer.state.arrays {
            let others = (isSeen ? every.state : state).arrays.first { $0.name == array }?.values
            #expect(values[index] == others?[index] ?? 0, "\(array) of \(start), \(index)")
          }
        }
      }
    }
    for optimizer in Self.optimizers { try check(optimizer) }
  }

  @Test func whatDoesNotFitIsRefusedAndChangesNothing() throws {
    var problem = try Problem(), adam = Adam()
    _ = try problem.draw()
    try adam.update(&problem.model, problem.gradients)
    let before = problem.values, state = adam
    func check(_ message: String, _ gradients: Gradients<Sentiment>, _ clipping: Clipping = .none) {
      expectError(message) { try adam.update(&problem.model, gradients, clipping: clipping) }
      #expect(problem.values == before && adam == state, "\(message)")
    }
    for wrong in [Float.nan, -.nan, .infinity] {
      var gradients = problem.gradients
      gradients.head.withMutableValues { $0[0] = wrong }
      check("a gradient of head.weight is \(wrong.isNaN ? .nan : wrong), expected a finite number", gradients)
    }
    check("clipping norm is nan, expected more than 0", problem.gradients, .norm(.nan))
    check("clipping value is -1.0, expected more than 0", problem.gradients, .value(-1))

    // A changed count: the gradients of the old model, and then the optimizer of the old model.
    var larger = try Sentiment(words: 41, cell: .gru(), size: 4)
    let count = larger.parameterCount
    expectError("gradients has \(count - 4) values, expected the model's parameters = \(count)") {
      try adam.update(&larger, problem.gradients)
    }
    let gradients = try Gradients(larger)
    expectError("array 'first' of the optimizer has \(count - 4) values, expected the parameters' values = \(count)") {
      try adam.update(&larger, gradients)
    }
    #expect(adam == state)
    adam.learningRate = .nan
    expectError("learning rate is nan, expected 0 or more") { try adam.update(&problem.model, problem.gradients) }
    #expect(problem.values == before && adam.updates == 1)
  }
}
