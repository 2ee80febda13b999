import Recurrent
import RecurrentTraining
import Testing

@Suite struct AdamTests {
  /// PyTorch 2.15, torch.optim.Adam(lr=0.1), values [1, -2], gradients [0.5, -3] then [0.1, 4].
  @Test func adamMakesPyTorchsSteps() throws {
    var adam = Adam(learningRate: 0.1)
    var values: [Float] = [1, -2]
    for (gradient, expected) in [([0.5, -3], [0.9, -1.9]), ([0.1, 4], [0.81969595, -1.91935098])]
      as [([Float], [Float])]
    {
      try adam.update(count: 2) { update throws(RecurrentError) in
        try values.withUnsafeMutableBufferPointer { values throws(RecurrentError) in
          try update.apply("values", values, gradient: gradient)
        }
      }
      for (value, expected) in zip(values, expected) { #expect(abs(value - expected) < 1e-5, "\(values)") }
    }
  }

  @Test func clippingKeepsTheDirection() throws {
    #expect(try clippingFactor(norm: 5, limit: 1) == 0.2)
    #expect(try clippingFactor(norm: 5, limit: 10) == 1)
    #expect(try clippingFactor(norm: 5, limit: .infinity) == 1)
    for wrong in [Double.nan, .infinity, -1] {
      expectError("norm of the gradients is \(wrong), expected 0 or more, and finite") {
        try clippingFactor(norm: wrong, limit: 1)
      }
    }
    for wrong in [Double.nan, 0, -1] {
      expectError("clipping norm is \(wrong), expected more than 0") { try clippingFactor(norm: 1, limit: wrong) }
    }
  }

  @Test func adamRefusesWhatItCannotApply() throws {
    var values: [Float] = [1, 2], adam = Adam()
    func step(_ adam: inout Adam, _ updates: [(name: String, gradient: [Float])]) throws(RecurrentError) {
      try adam.update(count: 2) { update throws(RecurrentError) in
        for (name, gradient) in updates {
          try values.withUnsafeMutableBufferPointer { values throws(RecurrentError) in
            try update.apply(name, values, gradient: gradient)
          }
        }
      }
    }
    try step(&adam, [("a", [1, 1])])
    let before = (adam, values)
    let changes: [(String, (inout Adam) -> Void)] = [
      ("learning rate is nan, expected 0 or more", { $0.learningRate = .nan }),
      ("learning rate is inf, expected 0 or more", { $0.learningRate = .infinity }),
      ("learning rate is -0.1, expected 0 or more", { $0.learningRate = -0.1 }),
      ("beta1 is 1.0, expected 0 up to less than 1", { $0.beta1 = 1 }),
      ("beta1 is nan, expected 0 up to less than 1", { $0.beta1 = .nan }),
      ("beta2 is -1.0, expected 0 up to less than 1", { $0.beta2 = -1 }),
      ("epsilon is 0.0, expected more than 0", { $0.epsilon = 0 }),
      ("epsilon is nan, expected more than 0", { $0.epsilon = .nan }),
      ("updates is -1, expected 0 to \(Int.max - 1)", { $0.updates = -1 }),
      ("l1 is nan, expected 0 or more", { $0.l1 = .nan }),
      ("l2 is -1.0, expected 0 or more", { $0.l2 = -1 }),
    ]
    for (message, change) in changes {
      var wrong = adam
      change(&wrong)
      let unchanged = wrong
      expectError(message) { try step(&wrong, [("a", [1, 1])]) }
      #expect(wrong.first == unchanged.first && wrong.second == unchanged.second, "\(message)")
      #expect(wrong.updates == unchanged.updates && values == before.1, "\(message)")
    }
    expectError("gradient of a has 1 values, expected the values' count = 2") { try step(&adam, [("a", [1])]) }
    #expect(adam == before.0 && values == before.1)
    // It is an error if a step updates more or fewer values than it said. The arrays before the error stay updated.
    var more = adam
    expectError("the arrays up to b has 4 values, expected the values of all arrays = 2") {
      try step(&more, [("a", [1, 1]), ("b", [1, 1])])
    }
    #expect(more.updates == 2)
    expectError("the updated arrays has 0 values, expected the values of all arrays = 2") { try step(&more, []) }
    // After the error, the optimizer of another model still has its moments.
    let before2 = adam
    expectError("array 'first' of the optimizer has 2 values, expected the parameters' values = 3") {
      try adam.update(count: 3) { _ in Issue.record("must not be called") }
    }
    #expect(adam == before2)
  }
}
