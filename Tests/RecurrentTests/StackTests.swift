import Recurrent
import Testing

/// A layer of several levels and directions gives what its parts give if they are run one after the other.
@Suite struct StackTests {
  @Test(arguments: Cell.all, Direction.allCases)
  func levelsAndDirectionsAreTheirParts(cell: Cell, direction: Direction) throws {
    for kernels in Kernels.all { try levelsAndDirectionsAreTheirParts(kernels.scalar, cell, direction, kernels.set) }
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  private func levelsAndDirectionsAreTheirParts<Scalar: RecurrentScalar>(
    _: Scalar.Type, _ cell: Cell, _ direction: Direction, _ set: InstructionSet
  ) throws {
    for (levels, steps, batch, inputs, hidden) in [(1, 5, 3, 4, 6), (2, 4, 14, 3, 33), (3, 3, 2, 40, 17)] {
      let problem = Problem<Scalar>(
        cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, levels: levels, direction: direction,
        set: set)
      let instance = try problem.instance(), expected = try composed(instance), tensors = try instance.tensors()
      for (name, values) in expected { expectSameBits(tensors[name] ?? [], values, "\(name) of \(problem)") }
      let forward = try instance.layer.forward(instance.x, initial: instance.initial)
      expectSameBits(forward.y.values, expected["y"] ?? [], "y of \(problem)")
      expectSameBits(forward.final.h, expected["hn"] ?? [], "hn of \(problem)")
      expectSameBits(forward.final.c, expected["cn"] ?? [], "cn of \(problem)")
      #expect(Set(tensors.keys) == Set(expected.keys), "\(problem)")
    }
  }

  /// A reverse layer gives what a forward layer gives on sequences in reverse order of time.
  @Test(arguments: Cell.all)
  func reverseIsForwardOverTurnedSequences(cell: Cell) throws {
    let problem = Problem<Float>(cell, steps: 7, batch: 5, inputs: 3, hidden: 20, direction: .reverse)
    let instance = try problem.instance(), forward = try instance.sublayer(0..<1, .forward)
    let output = try instance.layer.forward(instance.x, initial: instance.initial)
    let turned = try forward.forward(try turn(instance.x), initial: instance.initial)
    expectSameBits(output.y.values, try turn(turned.y).values, "y of \(problem)")
    #expect(output.final == turned.final, "\(problem)")
    let tensors = try instance.tensors()
    let record = try forward.record(try turn(instance.x), initial: instance.initial).record
    var gradients = forward.zeroGradients()
    let back = try forward.backward(
      consuming: record, x: try turn(instance.x), dy: try turn(instance.dy), dFinal: instance.dFinal, into: &gradients)
    expectSameBits(tensors["dx"] ?? [], try turn(back.dx).values, "dx of \(problem)")
    expectSameBits(tensors["dh0"] ?? [], back.dInitial.dh, "dh0 of \(problem)")
    expectSameBits(tensors["dc0"] ?? [], back.dInitial.dc, "dc0 of \(problem)")
    for name in gradients.names {
      let error = relativeError(tensors["d\(name)_reverse"] ?? [], try gradients.values(name).map(Double.init))
      #expect(error < 1e-6, "\(name) of \(problem)")
    }
  }

  @Test(arguments: Direction.allCases)
  func directionsRunOnTwoThreads(direction: Direction) throws {
    for cell in Cell.all {
      var problem = Problem<Float>(
        cell, steps: 20, batch: 9, inputs: 70, hidden: 72, levels: 2, direction: direction)
      let instance = try problem.instance(), expected = try instance.results()
      for count in [1, 2, 3] {
        problem.threads = count
        expectSame(try instance.results(scratch: try problem.scratch()), expected, "\(problem)")
      }
    }
  }

  @Test func namesAndShapesArePyTorchs() throws {
    let layer = try GRU<Float>(inputSize: 5, hiddenSize: 3, layerCount: 2, direction: .bidirectional)
    #expect(
      layer.parameters.names == [
        "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_ih_l0_reverse", "weight_hh_l0_reverse",
        "bias_ih_l0_reverse", "bias_hh_l0_reverse", "weight_ih_l1", "weight_hh_l1", "bias_ih_l1", "bias_hh_l1",
        "weight_ih_l1_reverse", "weight_hh_l1_reverse", "bias_ih_l1_reverse", "bias_hh_l1_reverse",
      ])
    #expect(layer.parameters.shape("weight_ih_l0_reverse") == [9, 5])
    #expect(layer.parameters.shape("weight_ih_l1") == [9, 6] && layer.outputSize == 6 && layer.stateCount == 4)
    let summed = try LSTM<Float>(inputSize: 5, hiddenSize: 3, layerCount: 2, direction: .bidirectionalSum)
    #expect(summed.parameters.shape("weight_ih_l1_reverse") == [12, 3] && summed.outputSize == 3)
    let reverse = try RNN<Float>(inputSize: 5, hiddenSize: 3, direction: .reverse, bias: false)
    #expect(reverse.parameters.names == ["weight_ih_l0_reverse", "weight_hh_l0_reverse"])
    for count in [0, -1] {
      #expect(throws: RecurrentError.size(name: "layerCount", was: count, expected: "at least 1")) {
        try RNN<Float>(inputSize: 5, hiddenSize: 3, layerCount: count)
      }
    }
    #expect(throws: RecurrentError.product(names: ["layerCount"], values: [.max], most: largestCount)) {
      try RNN<Float>(inputSize: 5, hiddenSize: 3, layerCount: .max)
    }
    for rate: Float in [-0.1, 1.1, .nan] {
      #expect(throws: RecurrentError.value(name: "dropout", was: "\(rate)", expected: "0 to 1")) {
        try RNN<Float>(inputSize: 5, hiddenSize: 3, dropout: rate)
      }
    }
  }

  // MARK: - Single parts put together

  /// The tensors of a layer by their names, computed from layers of one part each.
  private func composed<Scalar>(_ instance: Problem<Scalar>.Instance) throws -> [String: [Scalar]] {
    let problem = instance.problem, directions = problem.directions, summed = problem.direction == .bidirectionalSum
    let count = problem.batch * problem.hidden
    func own(_ all: State<Scalar>, _ part: Int) -> State<Scalar> {
      let range = part * count..<(part + 1) * count
      return State(h: Array(all.h[range]), c: all.c.isEmpty ? [] : Array(all.c[range]))
    }
    let parts = try (0..<problem.parts).map { part in
      let isReversed = directions == 2 ? part % 2 == 1 : problem.direction == .reverse
      return try instance.sublayer(part..<part + 1, isReversed ? .reverse : .forward)
    }
    var x = instance.x, inputs: [Sequences<Scalar>] = [], records: [Record<Scalar>] = []
    var hn: [Scalar] = [], cn: [Scalar] = []
    for level in 0..<problem.levels {
      inputs.append(x)
      var outputs: [Sequences<Scalar>] = []
      for part in level * directions..<(level + 1) * directions {
        let (record, output) = try parts[part].record(x, initial: own(instance.initial, part))
        records.append(record)
        outputs.append(output.y)
        hn += output.final.h
        cn += output.final.c
      }
      x = try joined(outputs, summed: summed)
    }
    var tensors = ["y": x.values, "hn": hn]
    var dy = instance.dy, dh0: [Scalar] = [], dc0: [Scalar] = []
    for level in (0..<problem.levels).reversed() {
      var dx: Sequences<Scalar>?
      var dh: [Scalar] = [], dc: [Scalar] = []
      for direction in 0..<directions {
        let part = level * directions + direction
        var gradients = parts[part].zeroGradients()
        let back = try parts[part].backward(
          consuming: records[part], x: inputs[level], dy: summed ? dy : try split(dy, direction, of: directions),
          dFinal: StateGradient(own(State(instance.dFinal), part)), into: &gradients)
        for (name, ours) in zip(gradients.names, instance.parameterNames(part..<part + 1)) {
          tensors["d\(ours)"] = try gradients.values(name)
        }
        dh += back.dInitial.dh
        dc += back.dInitial.dc
        dx = try dx.map { try joined([$0, back.dx], summed: true) } ?? back.dx
      }
      (dh0, dc0) = (dh + dh0, dc + dc0)
      dy = dx!
    }
    (tensors["dx"], tensors["dh0"]) = (dy.values, dh0)
    if !cn.isEmpty { (tensors["cn"], tensors["dc0"]) = (cn, dc0) }
    return tensors
  }

  private func joined<Scalar>(_ parts: [Sequences<Scalar>], summed: Bool) throws -> Sequences<Scalar> {
    guard parts.count == 2 else { return parts[0] }
    let (a, b) = (parts[0], parts[1])
    var values: [Scalar] = []
    for t in 0..<a.steps {
      for n in 0..<a.batchSize {
        values += summed ? zip(a[t, n], b[t, n]).map { $0 + $1 } : Array(a[t, n]) + Array(b[t, n])
      }
    }
    return try Sequences(values, steps: a.steps, batchSize: a.batchSize, size: summed ? a.size : 2 * a.size)
  }

  private func split<Scalar>(_ both: Sequences<Scalar>, _ direction: Int, of directions: Int) throws -> Sequences<
    Scalar
  > {
    let size = both.size / directions
    var values: [Scalar] = []
    for t in 0..<both.steps {
      for n in 0..<both.batchSize { values += both[t, n].dropFirst(direction * size).prefix(size) }
    }
    return try Sequences(values, steps: both.steps, batchSize: both.batchSize, size: size)
  }

  private func turn<Scalar>(_ sequences: Sequences<Scalar>) throws -> Sequences<Scalar> {
    var values: [Scalar] = []
    for t in (0..<sequences.steps).reversed() {
      for n in 0..<sequences.batchSize { values += sequences[t, n] }
    }
    return try Sequences(values, steps: sequences.steps, batchSize: sequences.batchSize, size: sequences.size)
  }
}
