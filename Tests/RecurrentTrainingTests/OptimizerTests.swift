import Recurrent
import RecurrentTraining
import Testing

@Suite struct OptimizerTests {
  private static let optimizers: [any Optimizer] = [
    SGD(), SGD(momentum: 0.9), SGD(momentum: 0.9, isNesterov: true), RMSProp(), RMSProp(momentum: 0.9),
    RMSProp(isCentered: true), RMSProp(momentum: 0.9, isCentered: true), Adam(), AdamW(),
  ]

  private static func step(
    _ optimizer: inout some Optimizer, _ values: inout [Float], _ gradient: [Float], clippingValue: Float = .infinity
  ) throws(RecurrentError) {
    try optimizer.update(count: values.count, clippingValue: clippingValue) { update throws(RecurrentError) in
      try values.withUnsafeMutableBufferPointer { values throws(RecurrentError) in
        try update.apply("values", values, gradient: gradient)
      }
    }
  }

  /// A training goes on with the same bits from what a checkpoint keeps.
  @Test func aRestoredStateGoesOnWithTheSameBits() throws {
    func check(_ start: some Optimizer) throws {
      var random = SeededGenerator(seed: 3), optimizer = start
      var values = random.draw(37).map(Float.init)
      for _ in 0..<5 { try Self.step(&optimizer, &values, random.draw(37).map(Float.init)) }
      var restored = start, same = values
      let saved = optimizer.state
      try restored.state.restore(updates: saved.updates, arrays: saved.arrays)
      #expect(restored == optimizer)
      let gradient = random.draw(37).map(Float.init)
      try Self.step(&optimizer, &values, gradient)
      try Self.step(&restored, &same, gradient)
      #expect(restored == optimizer && same == values, "\(start)")
    }
    for optimizer in Self.optimizers { try check(optimizer) }
  }

  @Test func aStateThatDoesNotFitIsRefused() throws {
    var state = RMSProp().state
    let wrong: [(String, Int, [(name: String, values: [Float])])] = [
      ("updates is -1, expected 0 to \(Int.max - 1)", -1, []),
      ("array of the optimizer 'first' does not exist, there are: second, momentum, mean", 1, [("first", [1])]),
      ("array 'mean' of the optimizer is there twice, expected once", 1, [("mean", [1]), ("mean", [1])]),
      ("array 'mean' of the optimizer has 1 values, expected second = 2", 1, [("second", [1, 2]), ("mean", [1])]),
      ("second[1] of the optimizer is -1.0, expected 0 or more", 1, [("second", [1, -1])]),
      ("second[0] of the optimizer is nan, expected 0 or more", 1, [("second", [.nan, 1])]),
      ("mean[1] of the optimizer is inf, expected a finite number", 1, [("mean", [1, .infinity])]),
    ]
    for (message, updates, arrays) in wrong {
      expectError(message) { try state.restore(updates: updates, arrays: arrays) }
      #expect(state == RMSProp().state, "\(message)")
    }
  }

  /// The state of another kind of optimizer has other arrays.
  @Test func theStateOfAnotherKindIsRefused() throws {
    func check(_ start: some Optimizer, _ state: OptimizerState) {
      var optimizer = start, values: [Float] = [1, 2]
      optimizer.state = state
      expectError("the arrays of the optimizer's state is \(state.names), expected \(start.state.names)") {
        try Self.step(&optimizer, &values, [1, 1])
      }
      #expect(values == [1, 2] && optimizer.state == state, "\(start)")
    }
    for optimizer in Self.optimizers {
      for other in Self.optimizers where other.state.names != optimizer.state.names { check(optimizer, other.state) }
    }
    var adam = Adam()
    adam.state = SGD().state
    #expect(adam.first.isEmpty && adam.second.isEmpty)
  }

  /// A number that is wrong is refused before anything changes.
  @Test func hyperparametersAreChecked() throws {
    func check<O: Optimizer>(_ message: String, _ optimizer: O, clippingValue: Float = .infinity) {
      var changed = optimizer, values: [Float] = [1, 2]
      expectError(message) { try Self.step(&changed, &values, [1, 1], clippingValue: clippingValue) }
      #expect(values == [1, 2] && changed.updates == 0 && changed.state.arrays.isEmpty, "\(message)")
    }
    check("learning rate is nan, expected 0 or more", SGD(learningRate: .nan))
    check("momentum is 1.0, expected 0 up to less than 1", SGD(momentum: 1))
    check("Nesterov's momentum is 0.0, expected more than 0", SGD(isNesterov: true))
    check("l1 is -1.0, expected 0 or more", SGD(l1: -1))
    check("l2 is inf, expected 0 or more", SGD(l2: .infinity))
    check("decay is nan, expected 0 up to less than 1", RMSProp(decay: .nan))
    check("momentum is -0.5, expected 0 up to less than 1", RMSProp(momentum: -0.5))
    check("epsilon is 0.0, expected more than 0", RMSProp(epsilon: 0))
    check("learning rate is -1.0, expected 0 or more", AdamW(learningRate: -1))
    check("beta2 is 1.0, expected 0 up to less than 1", AdamW(beta2: 1))
    check("weight decay is nan, expected 0 to 1 / learning rate", AdamW(weightDecay: .nan))
    check("weight decay is 11.0, expected 0 to 1 / learning rate", AdamW(learningRate: 0.1, weightDecay: 11))
    check("clipping value is 0.0, expected more than 0", Adam(), clippingValue: 0)
    check("clipping value is nan, expected more than 0", Adam(), clippingValue: .nan)
  }

  /// A changed momentum needs an array that was not there before; it begins with zeros.
  @Test func momentumCanBeginLater() throws {
    var sgd = SGD(learningRate: 0.5), values: [Float] = [1]
    try Self.step(&sgd, &values, [1])
    #expect(values == [0.5] && sgd.state.arrays.isEmpty)
    sgd.momentum = 0.5
    for expected: Float in [0, -0.75] {
      try Self.step(&sgd, &values, [1])
      #expect(values == [expected])
    }
    #expect(sgd.state.arrays.map(\.name) == ["momentum"] && sgd.updates == 3)
  }
}
