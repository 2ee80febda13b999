import Recurrent
import RecurrentTraining
import Testing

@Suite struct ScheduleTests {
  /// Rates in single precision, which are computed in double precision, against PyTorch's.
  @Test func ratesArePyTorchs() throws {
    let goldens = try golden("schedules")
    func check(_ name: String, _ schedule: some Schedule) {
      let expected = goldens[name]!
      for (step, rate) in expected.enumerated() {
        let ours = Double(schedule.rate(atStep: step))
        #expect(abs(ours - rate) < 1e-7 * rate, "\(name) at \(step): \(ours), expected \(rate)")
      }
    }
    check("step", try StepSchedule(rate: 0.5, period: 7, factor: 0.75))
    check("cosine", try CosineSchedule(rate: 0.5, steps: 99, lowest: 0.0625))
    check(
      "warm_up", try WarmUpSchedule(steps: 16, start: 0.125, then: CosineSchedule(rate: 0.5, steps: 64, lowest: 0.0625))
    )

    var random = SeededGenerator(seed: 4)
    let metrics = random.draw(100).enumerated().map { $1 / 8 + 1 / Double(1 + $0) }
    for goal in Goal.allCases {
      var plateau = try PlateauSchedule(
        rate: 0.5, goal: goal, factor: 0.5, patience: 3, threshold: 0x1p-10, cooldown: 2, lowest: 0.0625)
      var rates: [Double] = []
      for (step, metric) in metrics.enumerated() {
        if step == 50 {
          // A checkpoint keeps the state.
          let state = plateau.state
          plateau = try PlateauSchedule(
            rate: 1, goal: goal, factor: 0.5, patience: 3, threshold: 0x1p-10, cooldown: 2, lowest: 0.0625)
          plateau.state = state
        }
        rates.append(Double(try plateau.update(metric: metric)))
        #expect(plateau.rate == Float(rates[step]))
      }
      #expect(rates == goldens["plateau_\(goal)"]!, "\(goal)")
    }
  }

  @Test func ratesStayAtTheirEnd() throws {
    #expect(try ConstantSchedule(rate: 0.5).rate(atStep: 7) == 0.5)
    let cosine = try CosineSchedule(rate: 1, steps: 10, lowest: 0.25)
    #expect(cosine.rate(atStep: 10) == 0.25 && cosine.rate(atStep: 1000) == 0.25)
    let warm = try WarmUpSchedule(steps: 4, then: ConstantSchedule(rate: 2))
    #expect((0..<6).map(warm.rate(atStep:)) == [0, 0.5, 1, 1.5, 2, 2])
  }

  @Test func earlyStoppingSaysWhenAndWhich() throws {
    var stopping = try EarlyStopping(patience: 2, minimumImprovement: 0.125)
    var stops: [Bool] = [], bests: [Bool] = []
    for metric in [1, 0.5, 0.4375, 0.25, 0.25, 0.2] {
      stops.append(try stopping.update(metric: metric))
      bests.append(stopping.isBest)
    }
    // 0.4375 is better than 0.5 by too little.
    #expect(stops == [false, false, false, false, false, true] && stops.last == stopping.shouldStop)
    #expect(bests == [true, true, false, true, false, false])
    #expect(stopping.bestEpoch == 3 && stopping.best == 0.25)
    var resumed = try EarlyStopping(patience: 2, minimumImprovement: 0.125)
    resumed.state = stopping.state
    #expect(resumed == stopping)
    let before = stopping
    expectError("metric is nan, expected a finite number") { try stopping.update(metric: .nan) }
    #expect(stopping == before)

    var accuracy = try EarlyStopping(patience: 1, goal: .highest)
    #expect(try !accuracy.update(metric: 0.5) && !accuracy.update(metric: 0.75) && accuracy.update(metric: 0.75))
    #expect(accuracy.bestEpoch == 1)
  }

  /// A damaged file can hold any counts: they are errors, and nothing overflows.
  @Test func impossibleStatesAreRefused() throws {
    let counts: [(epochs: Int, best: Int?)] = [
      (.max, nil), (.max, 3), (-1, nil), (.min, 0), (2, 2), (2, .max), (2, -1), (2, .min), (0, 0),
    ]
    for (epochs, best) in counts {
      var stopping = try EarlyStopping(patience: 1)
      (stopping.state.epochs, stopping.state.bestEpoch, stopping.state.best) = (epochs, best, 1)
      let before = stopping
      #expect(!stopping.shouldStop, "\(epochs), \(String(describing: best))")
      expectError(
        "the state is epoch \(epochs) with the best one \(best.map { "\($0)" } ?? "unknown"), "
          + "expected 0 or more epochs, of which the best one is one"
      ) { try stopping.update(metric: 1) }
      #expect(stopping == before)
    }
    var last = try EarlyStopping(patience: 1)
    (last.state.epochs, last.state.bestEpoch, last.state.best) = (.max - 1, 0, 1)
    #expect(last.shouldStop)
    #expect(try !last.update(metric: 0.5) && last.state.epochs == .max && !last.shouldStop)

    let changes: [(String, (inout PlateauSchedule.State) -> Void)] = [
      ("badCount of the state is \(Int.max), expected 0 or more, and less than \(Int.max)", { $0.badCount = .max }),
      ("badCount of the state is -1, expected 0 or more, and less than \(Int.max)", { $0.badCount = -1 }),
      ("cooldown of the state is \(Int.min), expected 0 or more, and less than \(Int.max)", { $0.cooldown = .min }),
      ("learning rate of the state is nan, expected 0 or more", { $0.rate = .nan }),
      ("learning rate of the state is -1.0, expected 0 or more", { $0.rate = -1 }),
    ]
    for (message, change) in changes {
      var plateau = try PlateauSchedule(rate: 1)
      change(&plateau.state)
      expectError(message) { try plateau.update(metric: 1) }
    }
  }

  @Test func numbersOutOfRangeAreRefused() throws {
    expectError("learning rate is nan, expected 0 or more") { try ConstantSchedule(rate: .nan) }
    expectError("period is 0, expected at least 1") { try StepSchedule(rate: 1, period: 0) }
    expectError("factor is -1.0, expected 0 or more") { try StepSchedule(rate: 1, period: 1, factor: -1) }
    expectError("steps is 0, expected at least 1") { try CosineSchedule(rate: 1, steps: 0) }
    expectError("lowest learning rate is inf, expected 0 or more") {
      try CosineSchedule(rate: 1, steps: 1, lowest: .infinity)
    }
    expectError("warm-up steps is 0, expected at least 1") {
      try WarmUpSchedule(steps: 0, then: ConstantSchedule(rate: 1))
    }
    expectError("start of the warm-up is 2.0, expected 0 to 1") {
      try WarmUpSchedule(steps: 1, start: 2, then: ConstantSchedule(rate: 1))
    }
    expectError("factor is 1.0, expected 0 up to less than 1") { try PlateauSchedule(rate: 1, factor: 1) }
    expectError("patience is -1, expected 0 or more") { try PlateauSchedule(rate: 1, patience: -1) }
    expectError("threshold is nan, expected 0 or more") { try PlateauSchedule(rate: 1, threshold: .nan) }
    expectError("patience is 0, expected at least 1") { try EarlyStopping(patience: 0) }
    expectError("minimum improvement is -1.0, expected 0 or more") {
      try EarlyStopping(patience: 1, minimumImprovement: -1)
    }
    var plateau = try PlateauSchedule(rate: 1)
    expectError("metric is inf, expected a finite number") { try plateau.update(metric: .infinity) }
  }
}
