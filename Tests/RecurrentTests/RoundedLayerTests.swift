import Recurrent
import Testing

/// A cell with weights in 8 bits or in bf16.
struct RoundedCell: Sendable, CustomTestStringConvertible, CustomStringConvertible {
  let cell: Cell
  let weights: WeightFormat

  static let all = [WeightFormat.int8, .bfloat16].flatMap { weights in
    Cell.all.map { RoundedCell(cell: $0, weights: weights) }
  }

  var description: String { "\(cell) with weights in \(weights.rawValue)" }
  var testDescription: String { description }
}

extension WeightFormat {
  /// A row of a product, or the weights of a unit, as a layer rounds them.
  func rounded(_ row: [Double]) -> [Double] {
    switch self {
    case .full: row
    case .int8: QuantizedRow(row.map { Float($0) }).values
    case .bfloat16: row.map { Double(Float($0).roundedToBFloat16) }
    }
  }
}

/// Layers with rounded weights: their equations, and the promises that hold for every layer.
@Suite struct RoundedLayerTests {
  static func problem(
    _ cell: RoundedCell, steps: Int, batch: Int, inputs: Int, hidden: Int, levels: Int = 1,
    direction: Direction = .forward,
    lengths: [Int]? = nil, threads: Int = 1, set: InstructionSet? = nil
  ) -> Problem<Float> {
    var problem = Problem<Float>(
      cell.cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, levels: levels, direction: direction,
      lengths: lengths, threads: threads, set: set)
    problem.weights = cell.weights
    return problem
  }

  // MARK: - Equations

  /// Compares one step at a time, each from the stream's own state. If the states differed in their last bits, h' could
  /// round to other numbers, and the errors would grow from step to step.
  @Test(arguments: RoundedCell.all, Processor.available)
  func stepsAreTheReferencesWithRoundedRows(cell: RoundedCell, set: InstructionSet) throws {
    for (batch, inputs, hidden) in [(1, 3, 5), (3, 40, 33), (14, 70, 150), (1, 130, 64)] {
      let steps = 6
      let problem = RoundedLayerTests.problem(
        cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, set: set)
      let instance = try problem.instance(), reference = instance.reference
      let stream = try instance.layer.stream(batchSize: batch)
      try stream.setState(instance.initial)
      for step in 0..<steps {
        let before = stream.state, x = Array(instance.frames[step * batch * inputs..<(step + 1) * batch * inputs])
        var y = [Float](repeating: .nan, count: batch * hidden)
        var span = y.mutableSpan
        try stream.step(x.span, into: &span)
        let run = reference.forward(
          x.map(Double.init), steps: 1, batch: batch, h0: before.h.map(Double.init), c0: before.c.map(Double.init))
        // r∘h' is computed here in double precision. If it lies near the middle of two numbers of bf16, it can round to
        // the other one.
        let limit = "\(cell.cell)".contains("reset before") ? 1e-4 : tolerance("y", of: Float.self)
        #expect(relativeError(y, run.y) <= limit, "y of step \(step) of \(problem)")
        expectClose("cn", stream.state.c, run.cn, "step \(step) of \(problem)")
      }
    }
  }

  /// Rounded weights change the outputs, but only a little.
  @Test(arguments: RoundedCell.all)
  func outputsAreNearThoseOfFullWeights(cell: RoundedCell) throws {
    var problem = RoundedLayerTests.problem(cell, steps: 20, batch: 4, inputs: 50, hidden: 60)
    let rounded = try problem.instance()
    problem.weights = .full
    let full = try problem.instance()
    #expect(rounded.layer.parameters == full.layer.parameters)
    let y = try rounded.layer.forward(rounded.x, initial: rounded.initial).y.values
    let error = relativeError(y, try full.layer.forward(full.x, initial: full.initial).y.values.map(Double.init))
    #expect(error > 1e-4 && error < 0.05, "\(problem), \(cell): \(error)")
  }

  // MARK: - Hostile values and wrong calls

  /// A NaN makes its sequence NaN from that step on, and so does an infinity in 8 bits. No other sequence changes. Huge
  /// and tiny numbers give finite outputs.
  @Test(arguments: RoundedCell.all, Processor.available)
  func notANumberStaysInItsSequence(cell: RoundedCell, set: InstructionSet) throws {
    let steps = 4, batch = 13, inputs = 21, hidden = 35
    let instance = try RoundedLayerTests.problem(
      cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, set: set
    ).instance()
    let whole = try instance.layer.forward(instance.x, initial: instance.initial)
    // In bf16, an infinity stays one, and its gates may be finite.
    for bad in cell.weights == .int8 ? [Float.nan, .infinity, -.infinity] : [.nan] {
      var x = instance.x.values
      x[(1 * batch + 4) * inputs + 20] = bad
      let output = try instance.layer.forward(
        try Sequences(x, steps: steps, batchSize: batch, size: inputs), initial: instance.initial)
      for t in 0..<steps {
        for n in 0..<batch {
          let ours = Array(output.y[t, n])
          if n == 4 && t > 0 {
            // A ReLU's max(0, NaN) is 0.
            #expect(ours.allSatisfy { $0.isNaN || $0 == 0 }, "\(cell) on \(set), \(bad), step \(t)")
          } else {
            expectSameBits(ours, Array(whole.y[t, n]), "\(cell) on \(set), \(bad), step \(t), sequence \(n)")
          }
        }
      }
    }
    for factor in [Float.leastNonzeroMagnitude, .leastNormalMagnitude, 1e30] {
      let x = try Sequences(instance.x.values.map { $0 * factor }, steps: steps, batchSize: batch, size: inputs)
      #expect(try instance.layer.forward(x).y.values.allSatisfy { $0.isFinite }, "\(cell) on \(set), factor \(factor)")
    }
  }

  /// Weights may be zeros. A weight that is not finite changes only the unit that has it.
  @Test(arguments: [WeightFormat.int8, .bfloat16])
  func weightsMayBeAnything(weights: WeightFormat) throws {
    var layer = try RNN<Float>(inputSize: 3, hiddenSize: 20, weights: weights)
    layer.updateEachParameter { _, values in values.update(repeating: 0) }
    let x = try Sequences<Float>([1, -2, 3], steps: 1, batchSize: 1, size: 3)
    #expect(try layer.forward(x).y.values == Array(repeating: 0, count: 20))
    layer.updateEachParameter { name, values in if name == "weight_ih_l0" { values[7 * 3 + 1] = .infinity } }
    let y = try layer.forward(x).y.values
    // In 8 bits, a row with an infinity has no scale. In bf16, the sum is an infinity.
    #expect(weights == .int8 ? y[7].isNaN : y[7] == -1)
    #expect(y.indices.allSatisfy { $0 == 7 || y[$0] == 0 })
  }

  /// A converted layer is one that was made so, and its original is as before.
  @Test(arguments: [WeightFormat.int8, .bfloat16])
  func layersAreConverted(weights: WeightFormat) throws {
    let full = try LSTM<Float>(inputSize: 5, hiddenSize: 40, initialization: Initialization(seed: 1))
    let made = try LSTM<Float>(inputSize: 5, hiddenSize: 40, weights: weights, initialization: Initialization(seed: 1))
    let x = try Sequences<Float>(numbers(30, seed: 2), steps: 3, batchSize: 2, size: 5)
    let before = try full.forward(x), converted = try full.layer.converted(to: weights)
    #expect(converted.weightFormat == weights && full.weightFormat == .full)
    #expect(try converted.forward(x) == made.forward(x))
    #expect(try full.forward(x) == before && converted.converted(to: .full).forward(x) == before)
    #expect(try converted.forward(x) != before)
    #expect(throws: RecurrentError.self) { try LSTM<Double>(inputSize: 5, hiddenSize: 4).layer.converted(to: weights) }
  }

  @Test(arguments: [WeightFormat.int8, .bfloat16])
  func wrongCallsAreErrors(weights: WeightFormat) throws {
    let name = weights == .int8 ? "int8" : "bf16"
    #expect(
      throws: RecurrentError.value(
        name: "weights", was: name, expected: "full for a layer of Double: \(name) needs Float")
    ) { try LSTM<Double>(inputSize: 2, hiddenSize: 3, weights: weights) }
    let layer = try LSTM<Float>(inputSize: 2, hiddenSize: 3, weights: weights)
    #expect("\(layer)" == "LSTM, 2 inputs, 3 units, weights in \(name)")
    #expect(layer.weightFormat == weights)
    guard weights == .int8 else { return }
    let training = RecurrentError.value(
      name: "weights", was: name, expected: "full or bf16: a layer with weights in 8 bits cannot be trained")
    let x = try Sequences<Float>([1, 2], steps: 1, batchSize: 1, size: 2)
    #expect(throws: training) { try layer.record(x) }
    var full = try LSTM<Float>(inputSize: 2, hiddenSize: 3)
    #expect(full.weightFormat == .full)
    try full.setParameters(layer.parameters)
    let record = try full.record(x).record
    var gradients = full.zeroGradients()
    #expect(throws: training) { try layer.backward(consuming: record, x: x, dy: nil, into: &gradients) }
  }

  /// Sums of more products of 8 bits could overflow. Those of bf16 cannot.
  @Test func onlySumsOf8BitsAreLimited() throws {
    let expected = "at most 65536 with weights in int8"
    #expect(throws: RecurrentError.size(name: "inputSize", was: 65537, expected: expected)) {
      try GRU<Float>(inputSize: 65537, hiddenSize: 1, weights: .int8)
    }
    // This layer would not fit into the memory of many machines either, but the error is that of the weights.
    #expect(throws: RecurrentError.size(name: "hiddenSize·directions", was: 65537, expected: expected)) {
      try LSTM<Float>(inputSize: 1, hiddenSize: 65537, weights: .int8)
    }
    _ = try GRU<Float>(inputSize: 65536, hiddenSize: 1, weights: .int8)
    _ = try GRU<Float>(inputSize: 65537, hiddenSize: 1, weights: .bfloat16)
  }
}

extension ProcessMemory {
  @Suite(.serialized) struct RoundedMemoryTests {
    /// Guard pages around every buffer: nothing is read or written outside of one.
    @Test(arguments: RoundedCell.all, Processor.available)
    func callsStayInsideTheirBuffers(cell: RoundedCell, set: InstructionSet) throws {
      try GuardPages.around {
        for (steps, batch, inputs, hidden) in [(3, 1, 5, 17), (4, 14, 33, 40), (2, 3, 130, 64), (1, 1, 1, 1)] {
          var problem = Problem<Float>(
            cell.cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, levels: 2, set: set)
          problem.weights = cell.weights
          let instance = try problem.instance()
          for side in [Memory<Float>.Guard.before, .behind] {
            let calls = try Calls(instance, guarding: side)
            try calls.forward()
            try calls.stepStream()
            try calls.processStream()
            #expect(calls.y.array.allSatisfy { $0.isFinite }, "\(problem)")
            guard cell.weights != .int8 else { continue }
            try calls.keepRecord()
            try calls.backward()
            #expect(calls.gradients.values.allSatisfy { $0.isFinite }, "gradients of \(problem)")
          }
        }
      }
    }
  }
}
