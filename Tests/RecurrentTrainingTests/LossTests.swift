import CRecurrentKernels
import Foundation
import Recurrent
import RecurrentTraining
import Testing

@Suite struct LossTests {
  /// The inputs of Tests/goldens_training.py: y [4,3,21].
  private struct Inputs {
    let lengths = [4, 0, 2]
    let y, targets, answers, weights, positive: [Float]
    let classes: [Int]

    init() {
      var random = SeededGenerator(seed: 3)
      func draw(_ count: Int, _ change: (Double) -> Double) -> [Float] { random.draw(count).map { Float(change($0)) } }
      y = draw(252) { $0 * 4 }
      targets = draw(252) { $0 * 4 }
      classes = (0..<12).map { _ in Int((random.next() >> 32) % 21) }
      answers = draw(252) { $0 / 2 + 0.5 }
      weights = draw(21) { $0 + 1 }
      positive = draw(21) { $0 * 2 + 2 }
    }

    var sequences: Sequences<Float> {
      get throws { try Sequences(y, steps: 4, batchSize: 3, size: 21) }
    }
  }

  @Test func lossesAndGradientsArePyTorchs() throws {
    let goldens = try golden("losses"), inputs = Inputs()
    var names: Set<String> = []
    func check<L: Loss>(_ name: String, _ loss: L, _ targets: L.Targets) throws {
      for (suffix, lengths) in [("", nil), ("_lengths", inputs.lengths)] {
        let (value, gradient) = try loss(inputs.sequences, targets, lengths: lengths)
        let expected = goldens["\(name)\(suffix).loss"]![0], dy = goldens["\(name)\(suffix).gradient"]!
        // Single precision: the errors are of a few roundings of numbers of the loss's size, and of the gradients'.
        #expect(abs(value - expected) < 3e-7 * expected, "\(name)\(suffix): \(value), expected \(expected)")
        let largest = dy.map(abs).max()!
        let error = largestDifference(gradient.values.map(Double.init), dy) / largest
        #expect(error < 5e-7, "\(name)\(suffix): \(error)")
        #expect(zip(gradient.values, dy).allSatisfy { $1 != 0 || $0 == 0 }, "\(name)\(suffix): zeros stay zeros")
        let half = try loss(inputs.sequences, targets, lengths: lengths, weight: 0.5)
        #expect(half.loss == value && half.gradient.values == gradient.values.map { $0 / 2 }, "\(name)\(suffix)")
        // A part of a batch that does not count has a loss all the same.
        let none = try loss(inputs.sequences, targets, lengths: lengths, weight: 0)
        #expect(none.loss == value && none.gradient.values.allSatisfy { $0 == 0 }, "\(name)\(suffix)")
        names.formUnion(["\(name)\(suffix).loss", "\(name)\(suffix).gradient"])
      }
    }
    try check("mse", MeanSquaredError(), inputs.targets)
    try check("l1", MeanAbsoluteError(), inputs.targets)
    try check("huber", HuberLoss(delta: 0.75), inputs.targets)
    try check("bce", BinaryCrossEntropy(), inputs.answers)
    try check("bce_positive", BinaryCrossEntropy(positiveWeights: inputs.positive), inputs.answers)
    try check(
      "bce_weights", BinaryCrossEntropy(positiveWeights: inputs.positive, featureWeights: inputs.weights),
      inputs.answers)
    try check("ce", SoftmaxCrossEntropy(), inputs.classes)
    try check("ce_weights", SoftmaxCrossEntropy(classWeights: inputs.weights), inputs.classes)
    try check("ce_smoothing", SoftmaxCrossEntropy(labelSmoothing: 0.125), inputs.classes)
    try check("ce_both", SoftmaxCrossEntropy(labelSmoothing: 0.125, classWeights: inputs.weights), inputs.classes)
    // A class without weight gets no loss as a target, but its probability counts in what smoothing adds.
    let some = inputs.weights.enumerated().map { $0 % 3 == 0 ? 0 : $1 }
    try check("ce_zero_weights", SoftmaxCrossEntropy(labelSmoothing: 0.125, classWeights: some), inputs.classes)
    #expect(names == Set(goldens.keys))

    let shaped = try Sequences(inputs.targets, steps: 4, batchSize: 3, size: 21)
    #expect(
      try HuberLoss()(inputs.sequences, shaped).gradient == HuberLoss()(inputs.sequences, inputs.targets).gradient)
  }

  /// What lies beyond a length may be anything.
  @Test func whatIsBeyondALengthIsNotRead() throws {
    let nan = Float.nan
    let y = try Sequences<Float>([1, 2, nan, nan, 3, 4, nan, nan], steps: 2, batchSize: 2, size: 2)
    let regression = try MeanSquaredError()(y, [0, 2, nan, nan, 3, 1, nan, nan], lengths: [2, 0])
    #expect(regression.loss == 10.0 / 4 && regression.gradient.values == [0.5, 0, 0, 0, 0, 1.5, 0, 0])
    let classes = try SoftmaxCrossEntropy()(y, [0, 99, 1, -7], lengths: [2, 0])
    #expect(classes.gradient.values[2...3] == [0, 0] && classes.gradient.values[6...] == [0, 0])
    let binary = try BinaryCrossEntropy()(y, [0, 1, nan, 7, 0, 1, nan, 7], lengths: [2, 0])
    #expect(binary.gradient.values[2...3] == [0, 0] && binary.loss.isFinite)
    #expect(try accuracy(y, [0, 99, 1, -7], lengths: [2, 0]) == 0.5)
    #expect(try binaryAccuracy(y, [0, 1, 0, 0, 1, 1, 0, 0], lengths: [2, 0]) == 0.75)
  }

  /// The outputs of a layer have lengths of their own, which need not be passed again.
  @Test func lengthsOfTheOutputsCount() throws {
    let inputs = Inputs()
    let y = try Sequences(inputs.y, steps: 4, batchSize: 3, size: 21, lengths: inputs.lengths)
    let (loss, gradient) = try SoftmaxCrossEntropy()(y, inputs.classes)
    let expected = try SoftmaxCrossEntropy()(inputs.sequences, inputs.classes, lengths: inputs.lengths)
    #expect(loss == expected.loss && gradient.values == expected.gradient.values && gradient.lengths == y.lengths)
    #expect(try SoftmaxCrossEntropy()(y, inputs.classes, lengths: inputs.lengths).loss == loss)
    expectError("lengths is [4, 1, 2], expected those of the outputs = [4, 0, 2], or nil") {
      try SoftmaxCrossEntropy()(y, inputs.classes, lengths: [4, 1, 2])
    }
  }

  @Test func accuracyCountsWhatIsRight() throws {
    let logits = try Sequences<Float>([1, 3, 2, 2, 2, 1, .nan, 1, 0], steps: 3, batchSize: 1, size: 3)
    #expect(try accuracy(logits, [1, 0, 1]) == 2.0 / 3)
    // Of equal logits, the first one is the choice. A NaN is always wrong.
    #expect(try accuracy(logits, [1, 1, 0]) == 1.0 / 3)
    expectError("target of step 2 of sequence 0 is 3, expected 0 to 2") { try accuracy(logits, [0, 0, 3]) }
    expectError("targets has 1 values, expected 3·1 = 3") { try accuracy(logits, [0]) }
    #expect(try binaryAccuracy(logits, [1, 1, 0, 0, 1, 1, 0, 0, 0]) == 5.0 / 9)
  }

  @Test func wrongTargetsAndNumbersAreNamed() throws {
    let y = try Sequences([Float](repeating: 0, count: 12), steps: 2, batchSize: 2, size: 3)
    func check<L: Loss>(_ message: String, _ loss: L, _ targets: L.Targets, lengths: [Int]? = nil) throws {
      var changed = y
      expectError(message) { try loss.replaceWithGradient(&changed, targets, lengths: lengths, weight: 1) }
      #expect(changed == y, "\(message)")
    }
    let softmax = SoftmaxCrossEntropy(), binary = BinaryCrossEntropy(), zeros = [Float](repeating: 0, count: 12)
    try check("target of step 1 of sequence 0 is 3, expected 0 to 2", softmax, [0, 1, 3, 0])
    try check("target of step 0 of sequence 1 is -1, expected 0 to 2", softmax, [0, -1, 3, 0])
    try check("targets has 3 values, expected 2·2 = 4", softmax, [0, 0, 0])
    try check("lengths has 1 values, expected batchSize = 2", softmax, [0, 0, 0, 0], lengths: [1])
    try check("lengths[1] is 3, expected 0 to 2, the steps", softmax, [0, 0, 0, 0], lengths: [1, 3])
    try check(
      "the longest of the lengths is 0, expected at least 1 valid step", softmax, [0, 0, 0, 0], lengths: [0, 0])
    try check("label smoothing is 1.5, expected 0 to 1", SoftmaxCrossEntropy(labelSmoothing: 1.5), [0, 0, 0, 0])
    try check(
      "class weights has 2 values, expected the size of y = 3", SoftmaxCrossEntropy(classWeights: [1, 1]), [0, 0, 0, 0])
    try check(
      "class weights[2] is nan, expected 0 or more", SoftmaxCrossEntropy(classWeights: [1, 1, .nan]), [0, 0, 0, 0])
    try check(
      "class weights is 0 for every target, expected more than 0 for one of them",
      SoftmaxCrossEntropy(classWeights: [0, 1, 1]), [0, 0, 0, 0])
    var labels = zeros
    labels[7] = 2
    try check(
      "the target of step 1 of sequence 0 is 2.0, expected 0 for no, 1 for yes or something between", binary, labels)
    try check("targets has 1 values, expected 2·2·3 = 12", binary, [0])
    try check(
      "positive weights[0] is -1.0, expected 0 or more", BinaryCrossEntropy(positiveWeights: [-1, 0, 0]), zeros)
    labels[7] = .infinity
    try check("the target of step 1 of sequence 0 is inf, expected a finite number", MeanSquaredError(), labels)
    try check("delta is 0.0, expected more than 0", HuberLoss(delta: 0), zeros)
    let other = try Sequences([Float](repeating: 0, count: 12), steps: 4, batchSize: 1, size: 3)
    expectError("targets are of Sequences [4, 1, 3], expected Sequences [2, 2, 3], as the outputs") {
      try MeanSquaredError()(y, other)
    }
  }

  /// A loss that became NaN says where.
  @Test func aLossThatIsNoNumberIsAnError() throws {
    func y(_ value: Float) throws -> Sequences<Float> {
      var values = [Float](repeating: 0.5, count: 36)
      values[25] = value
      return try Sequences(values, steps: 3, batchSize: 2, size: 6)
    }
    let place = "the loss at step 2 of sequence 0 is"
    let zeros = [Float](repeating: 0, count: 36), classes = [0, 1, 2, 3, 4, 5]
    expectError("\(place) nan, expected a finite number") { try MeanAbsoluteError()(y(.nan), zeros) }
    expectError("\(place) inf, expected a finite number") { try MeanSquaredError()(y(.infinity), zeros) }
    expectError("\(place) nan, expected a finite number") { try BinaryCrossEntropy()(y(.nan), zeros) }
    for value in [Float.nan, .infinity] {
      expectError("\(place) nan, expected a finite number") { try SoftmaxCrossEntropy()(y(value), classes) }
      expectError("\(place) nan, expected a finite number") {
        try SoftmaxCrossEntropy(labelSmoothing: 0.1)(y(value), classes)
      }
    }
    // A logit of -∞ is a probability of zero, which is the target's only at an infinite loss.
    #expect(try SoftmaxCrossEntropy()(y(-.infinity), classes).gradient.values[25] == 0)
    expectError("the loss is inf, expected a finite number") {
      try SoftmaxCrossEntropy()(y(-.infinity), [0, 0, 0, 0, 1, 0])
    }
  }

  // MARK: - Kernels

  @Test(arguments: Processor.available)
  func softmaxIsExact(set: InstructionSet) {
    var random = SeededGenerator(seed: 6)
    for count in [1, 2, 15, 16, 17, 65, 100, 1000] {
      for spread in [0.01, 1, 20, 200] {
        let logits = random.draw(count + 20).map { Float($0 * spread) }
        let weights = random.draw(count).map { Float($0 + 1) }
        for (factor, smoothing, hasWeights) in [(1, 0, false), (0.5, 0.25, false), (2, 0.125, true)]
          as [(Float, Float, Bool)]
        {
          var values = logits
          var sums = (largest: Float(0), sum: Float(0), distance: Float(0))
          values.withUnsafeMutableBufferPointer { values in
            weights.withUnsafeBufferPointer { weights in
              var row = softmax_row(
                values: values.baseAddress!, weights: hasWeights ? weights.baseAddress : nil, count: count,
                factor: factor, smoothing: smoothing, has_distance: smoothing != 0, largest: 0, sum: 0, distance: 0)
              softmax_run(set.floatSet, &row)
              sums = (row.largest, row.sum, row.distance)
            }
          }
          let largest = logits[..<count].max()!
          let powers = logits[..<count].map { exp(Double($0) - Double(largest)) }, sum = powers.reduce(0, +)
          let case_ = "\(count) classes within \(spread), smoothing \(smoothing), \(set)"
          #expect(sums.largest == largest && abs(Double(sums.sum) - sum) < 1e-6 * sum, "\(case_)")
          for index in 0..<count {
            let weight = hasWeights ? Double(weights[index]) : 1
            let expected = Double(factor) * powers[index] / sum - Double(smoothing) * weight
            // The distance from the largest logit is rounded to a float before exp magnifies its error.
            let relative = 1e-6 + 6e-8 * Double(largest - logits[index])
            let tolerance = relative * max(abs(expected), smoothing > 0 ? 0.1 : 0) + 1e-37
            #expect(abs(Double(values[index]) - expected) < tolerance, "\(case_)")
          }
          if smoothing > 0 {
            let distance = (0..<count).reduce(0.0) {
              $0 + (hasWeights ? Double(weights[$1]) : 1) * (Double(largest) - Double(logits[$1]))
            }
            #expect(abs(Double(sums.distance) - distance) <= 1e-6 * distance, "\(case_)")
          }
          #expect(values[count...] == logits[count...], "past the end: \(case_)")
        }
      }
    }
  }

  @Test(arguments: Processor.available)
  func errorsAreExact(set: InstructionSet) {
    var random = SeededGenerator(seed: 7)
    for count in [1, 15, 16, 17, 100] {
      let y = random.draw(count + 20).map { Float($0 * 2) }, targets = random.draw(count).map { Float($0 * 2) }
      for kind in [error_squared, error_absolute, error_huber] {
        var values = y, sum = 0.0
        values.withUnsafeMutableBufferPointer { values in
          targets.withUnsafeBufferPointer { targets in
            var errors = error_values(
              kind: kind, y: values.baseAddress!, targets: targets.baseAddress!, count: count, scale: 0.5, delta: 0.75,
              sum: 0)
            sum_errors(set.floatSet, &errors)
            sum = errors.sum
          }
        }
        var expected = 0.0
        for index in 0..<count {
          let d = Double(y[index] - targets[index]), gradient: Double
          switch kind {
          case error_squared: (expected, gradient) = (expected + d * d, 2 * d)
          case error_absolute: (expected, gradient) = (expected + abs(d), d < 0 ? -1 : 1)
          default:
            let isFar = abs(d) > 0.75
            expected += isFar ? 0.75 * (abs(d) - 0.375) : d * d / 2
            gradient = isFar ? (d < 0 ? -0.75 : 0.75) : d
          }
          #expect(abs(Double(values[index]) - gradient / 2) < 1e-6, "\(count) values, kind \(kind.rawValue), \(set)")
        }
        #expect(abs(sum - expected) < 1e-6 * expected, "\(count) values, kind \(kind.rawValue), \(set)")
        #expect(values[count...] == y[count...], "past the end: \(count) values, \(set)")
      }
    }
  }
}
