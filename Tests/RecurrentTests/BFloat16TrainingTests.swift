import Recurrent
import Testing

/// Backward of layers with weights in bf16, whose products round the gradients too.
@Suite struct BFloat16TrainingTests {
  private static func problem(
    _ cell: Cell, steps: Int, batch: Int, inputs: Int, hidden: Int, set: InstructionSet? = nil
  ) -> Problem<Float> {
    var problem = Problem<Float>(cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, set: set)
    problem.weights = .bfloat16
    return problem
  }

  /// The reference computes the gates in double precision. A gradient that lies near the middle of two numbers of bf16
  /// can round down in the layer and up there. Further steps amplify the difference, so they have a larger limit.
  @Test(arguments: Cell.all, Processor.available)
  func gradientsAreThoseOfRoundedProducts(cell: Cell, set: InstructionSet) throws {
    for (steps, batch, inputs, hidden, limit) in [
      (1, 1, 3, 5, 2e-4), (1, 14, 40, 33, 2e-4), (1, 40, 70, 150, 4e-4), (4, 1, 1, 1, 4e-3), (4, 13, 65, 32, 4e-3),
      (1, 271, 9, 40, 2e-3), (1, 5, 12, 520, 2e-3), (1, 33, 530, 20, 2e-3), (3, 100, 9, 40, 4e-3),
      (2, 33, 530, 20, 4e-3), (2, 5, 12, 520, 4e-3),
    ] {
      let problem = BFloat16TrainingTests.problem(
        cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, set: set)
      let instance = try problem.instance(), tensors = try instance.tensors()
      for (name, expected) in instance.referenceTensors() {
        let error = relativeError(tensors[name] ?? [], expected)
        #expect(error <= limit, "\(name) of \(problem): \(error)")
      }
      expectSameBits(
        try instance.layer.forward(instance.x, initial: instance.initial).y.values, tensors["y"] ?? [],
        "forward and record of \(problem)")
    }
  }

  /// Rounding changes gradients, but only a little; more if it turns a ReLU on or off.
  @Test(arguments: Cell.all)
  func gradientsAreNearThoseOfFullWeights(cell: Cell) throws {
    var problem = BFloat16TrainingTests.problem(cell, steps: 10, batch: 8, inputs: 50, hidden: 60)
    let rounded = try problem.instance().results()
    problem.weights = .full
    let full = try problem.instance().results(),
      limit = cell == .rnn(nonlinearity: .relu) || cell == .indRNN() ? 0.3 : 0.06
    for (ours, expected) in zip(rounded.inputGradients, full.inputGradients) where !expected.values.isEmpty {
      let error = relativeError(ours.values, expected.values.map(Double.init))
      #expect(error > 1e-4 && error < limit, "\(ours.name) of \(problem): \(error)")
    }
    let error = relativeError(rounded.parameterGradients, full.parameterGradients.map(Double.init))
    #expect(error > 1e-4 && error < limit, "the parameters' gradients of \(problem): \(error)")
  }

  @Test(arguments: Cell.all, Processor.available)
  func threadsChangeNoBit(cell: Cell, set: InstructionSet) throws {
    for (steps, batch, inputs, hidden) in [(3, 40, 70, 200), (9, 1, 5, 530), (2, 300, 9, 100)] {
      var problem = BFloat16TrainingTests.problem(
        cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, set: set)
      let instance = try problem.instance(), expected = try instance.results()
      for count in [2, 3] {
        problem.threads = count
        expectSame(try instance.results(scratch: try problem.scratch()), expected, "\(problem)")
      }
    }
  }

  /// A sequence has the same gradients of x and of its initial state alone as in a batch with others. Those of the
  /// parameters add up to those of the batch.
  @Test(arguments: Cell.all, Direction.allCases)
  func sequencesAreAsAlone(cell: Cell, direction: Direction) throws {
    var problem = BFloat16TrainingTests.problem(cell, steps: 5, batch: 27, inputs: 9, hidden: 40)
    problem.direction = direction
    problem.levels = 2
    problem.lengths = (0..<27).map { $0 * 4 % 6 }
    let instance = try problem.instance(), layer = instance.layer
    func backward(
      _ x: Sequences<Float>, _ initial: State<Float>, _ dy: Sequences<Float>, _ dFinal: StateGradient<Float>,
      _ options: CallOptions
    ) throws -> (dx: Sequences<Float>, dInitial: StateGradient<Float>, parameters: [Double]) {
      let record = try layer.record(x, initial: initial, options: options).record
      var gradients = layer.zeroGradients()
      let back = try layer.backward(consuming: record, x: x, dy: dy, dFinal: dFinal, into: &gradients)
      return (back.dx, back.dInitial, gradients.values.map { Double($0) })
    }
    let whole = try backward(instance.x, instance.initial, instance.dy, instance.dFinal, problem.options)
    var sums = whole.parameters.map { _ in 0.0 }
    for (sequence, length) in problem.lengths!.enumerated() where length > 0 {
      let alone = try backward(
        instance.x.rows(of: sequence, 0..<length), instance.state(instance.initial, of: sequence),
        instance.dy.rows(of: sequence, 0..<length),
        StateGradient(instance.state(State(instance.dFinal), of: sequence)), CallOptions())
      let dInitial = instance.state(State(whole.dInitial), of: sequence)
      expectSameBits(
        alone.dx.values + alone.dInitial.dh + alone.dInitial.dc,
        try whole.dx.rows(of: sequence, 0..<length).values + dInitial.h + dInitial.c,
        "sequence \(sequence) of \(problem)")
      for index in sums.indices { sums[index] += alone.parameters[index] }
    }
    #expect(relativeError(whole.parameters.map { Float($0) }, sums) < 1e-5, "the parameters' gradients of \(problem)")
  }

  /// The parameters stay floats: updates that are too small for bf16 add up.
  @Test func smallUpdatesAddUp() throws {
    var layer = try RNN<Float>(inputSize: 1, hiddenSize: 1, weights: .bfloat16)
    layer.updateEachParameter { _, values in values.update(repeating: 0.5) }
    let x = try Sequences<Float>([1], steps: 1, batchSize: 1, size: 1), before = try layer.forward(x).y.values
    layer.updateEachParameter { name, values in if name == "weight_ih_l0" { values[0] += 0x1p-12 } }
    #expect(try layer.forward(x).y.values == before)
    for _ in 0..<15 { layer.updateEachParameter { name, values in if name == "weight_ih_l0" { values[0] += 0x1p-12 } } }
    #expect(try layer.parameters.values("weight_ih_l0") == [0.5 + 0x1p-8])
    #expect(try layer.forward(x).y.values != before)
  }
}
