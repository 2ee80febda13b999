import Recurrent
import Testing

/// Levels and directions are what single parts give, put together.
@Suite struct StackTests {
  /// A layer of several parts, inputs, and a layer for each part alone.
  struct Stack {
    let layer: Layer<Float>
    let parts: [Layer<Float>]
    let x: Sequences<Float>
    let dy: Sequences<Float>
    let initial: State<Float>
    let dFinal: StateGradient<Float>

    init(
      _ cell: Cell, steps: Int, batch: Int, inputs: Int, hidden: Int, levels: Int, direction: Direction,
      set: InstructionSet? = nil
    ) throws {
      layer = try Layer(
        cell, inputSize: inputs, hiddenSize: hidden, layerCount: levels, direction: direction,
        initialization: Initialization(seed: 3), instructionSet: set)
      var parts: [Layer<Float>] = []
      for part in 0..<layer.stateCount {
        let isFirst = part < layer.shape.directions
        var single = try Layer<Float>(
          cell, inputSize: isFirst ? inputs : layer.outputSize, hiddenSize: hidden,
          direction: layer.shape.isReversed(part: part) ? .reverse : .forward, instructionSet: set)
        var parameters = single.parameters
        for name in parameters.names {
          let kind = name.split(separator: "l0").first ?? ""
          try parameters.set(name, to: layer.parameters.values("\(kind)\(layer.shape.suffix(part: part))"))
        }
        try single.setParameters(parameters)
        parts.append(single)
      }
      self.parts = parts
      var random = SeededGenerator(seed: 4)
      func draw(_ count: Int) -> [Float] { (0..<count).map { _ in Float.random(in: -1...1, using: &random) } }
      x = try Sequences(draw(steps * batch * inputs), steps: steps, batchSize: batch, size: inputs)
      dy = try Sequences(draw(steps * batch * layer.outputSize), steps: steps, batchSize: batch, size: layer.outputSize)
      let states = layer.stateCount * batch * hidden
      initial = State(h: draw(states), c: cell.hasCellState ? draw(states) : [])
      dFinal = StateGradient(dh: draw(states), dc: cell.hasCellState ? draw(states) : [])
    }

    func part(_ state: State<Float>, _ part: Int) -> State<Float> {
      let count = state.h.count / parts.count, range = part * count..<(part + 1) * count
      return State(h: Array(state.h[range]), c: state.c.isEmpty ? [] : Array(state.c[range]))
    }
  }

  @Test(arguments: Cell.all, Direction.allCases)
  func levelsAndDirectionsAreTheirParts(cell: Cell, direction: Direction) throws {
    for set in Processor.available {
      for (levels, steps, batch, inputs, hidden) in [(1, 5, 3, 4, 6), (2, 4, 14, 3, 33), (3, 3, 2, 40, 17)] {
        let stack = try Stack(
          cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, levels: levels, direction: direction,
          set: set)
        let name = "\(cell), \(direction), \(levels) levels, H \(hidden), \(set)"
        let expected = try composed(stack)
        let forward = try stack.layer.forward(stack.x, initial: stack.initial)
        let (record, recorded) = try stack.layer.record(stack.x, initial: stack.initial)
        var gradients = stack.layer.zeroGradients()
        let back = try stack.layer.backward(
          consuming: record, x: stack.x, dy: stack.dy, dFinal: stack.dFinal, into: &gradients)
        #expect(bits(forward.y.values) == bits(expected.y), "y of \(name)")
        #expect(bits(recorded.y.values) == bits(expected.y), "recorded y of \(name)")
        #expect(bits(forward.final.h + forward.final.c) == bits(expected.final.h + expected.final.c), "\(name)")
        #expect(forward.final == recorded.final)
        #expect(bits(back.dx.values) == bits(expected.dx), "dx of \(name)")
        #expect(bits(back.dInitial.dh) == bits(expected.dInitial.dh), "dh of \(name)")
        #expect(bits(back.dInitial.dc) == bits(expected.dInitial.dc), "dc of \(name)")
        for (part, single) in expected.gradients.enumerated() {
          for parameter in single.names {
            let kind = parameter.split(separator: "l0").first ?? ""
            let ours = try gradients.values("\(kind)\(stack.layer.shape.suffix(part: part))")
            #expect(bits(ours) == bits(try single.values(parameter)), "\(parameter) of part \(part), \(name)")
          }
        }
      }
    }
  }

  /// A layer that runs in reverse is one that runs forward over turned sequences.
  @Test(arguments: Cell.all)
  func reverseIsForwardOverTurnedSequences(cell: Cell) throws {
    let stack = try Stack(cell, steps: 7, batch: 5, inputs: 3, hidden: 20, levels: 1, direction: .reverse)
    var forward = try Layer<Float>(cell, inputSize: 3, hiddenSize: 20)
    var parameters = forward.parameters
    for name in parameters.names { try parameters.set(name, to: stack.layer.parameters.values("\(name)_reverse")) }
    try forward.setParameters(parameters)
    let output = try stack.layer.forward(stack.x, initial: stack.initial)
    let turned = try forward.forward(try turn(stack.x), initial: stack.initial)
    #expect(bits(output.y.values) == bits(try turn(turned.y).values) && output.final == turned.final)
    let record = try stack.layer.record(stack.x, initial: stack.initial).record
    let turnedRecord = try forward.record(try turn(stack.x), initial: stack.initial).record
    var gradients = stack.layer.zeroGradients(), turnedGradients = forward.zeroGradients()
    let back = try stack.layer.backward(
      consuming: record, x: stack.x, dy: stack.dy, dFinal: stack.dFinal, into: &gradients)
    let turnedBack = try forward.backward(
      consuming: turnedRecord, x: try turn(stack.x), dy: try turn(stack.dy), dFinal: stack.dFinal,
      into: &turnedGradients)
    #expect(bits(back.dx.values) == bits(try turn(turnedBack.dx).values) && back.dInitial == turnedBack.dInitial)
    #expect(relativeError(gradients.values, turnedGradients.values.map(Double.init)) < 1e-6)
  }

  @Test(arguments: Direction.allCases)
  func directionsRunOnTwoThreads(direction: Direction) throws {
    for cell in Cell.all {
      let stack = try Stack(cell, steps: 20, batch: 9, inputs: 70, hidden: 72, levels: 2, direction: direction)
      var results: [[UInt32]] = []
      for count in [1, 2, 3] {
        let scratch = Scratch<Float>(threads: try Threads(count: count))
        let forward = try stack.layer.forward(stack.x, initial: stack.initial, scratch: scratch)
        let record = try stack.layer.record(stack.x, initial: stack.initial, scratch: scratch).record
        var gradients = stack.layer.zeroGradients()
        let back = try stack.layer.backward(
          consuming: record, x: stack.x, dy: stack.dy, dFinal: stack.dFinal, into: &gradients, scratch: scratch)
        results.append(bits(forward.y.values + forward.final.h + back.dx.values + back.dInitial.dh + gradients.values))
      }
      #expect(results[0] == results[1] && results[0] == results[2], "\(cell), \(direction)")
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
    let names = [
      "layerCount", "directions", "gates", "paddedHiddenSize", "(inputSize + hiddenSize·directions + 2)", "copies",
    ]
    #expect(throws: RecurrentError.product(names: names, values: [.max, 1, 1, 32, 10, 3], most: largestCount)) {
      try RNN<Float>(inputSize: 5, hiddenSize: 3, layerCount: .max)
    }
    for rate: Float in [-0.1, 1.1, .nan] {
      #expect(throws: RecurrentError.value(name: "dropout", was: "\(rate)", expected: "0 ... 1")) {
        try RNN<Float>(inputSize: 5, hiddenSize: 3, dropout: rate)
      }
    }
  }

  // MARK: - Single parts put together

  private struct Expected {
    var y: [Float], final: State<Float>, dx: [Float], dInitial: StateGradient<Float>, gradients: [Parameters<Float>]
  }

  private func composed(_ stack: Stack) throws -> Expected {
    let directions = stack.layer.shape.directions, summed = stack.layer.shape.isSummed
    var x = stack.x, inputs: [Sequences<Float>] = [], records: [Record<Float>] = []
    var final = State<Float>(h: [], c: [])
    for level in 0..<stack.layer.layerCount {
      inputs.append(x)
      var outputs: [Sequences<Float>] = []
      for part in level * directions..<(level + 1) * directions {
        let (record, output) = try stack.parts[part].record(x, initial: stack.part(stack.initial, part))
        records.append(record)
        outputs.append(output.y)
        final.h += output.final.h
        final.c += output.final.c
      }
      x = try joined(outputs, summed: summed)
    }
    var dy = stack.dy, dInitial = StateGradient<Float>(dh: [])
    var gradients = stack.parts.map { $0.zeroGradients() }
    for level in (0..<stack.layer.layerCount).reversed() {
      var dx: Sequences<Float>?
      var dh: [Float] = [], dc: [Float] = []
      for direction in 0..<directions {
        let part = level * directions + direction
        let back = try stack.parts[part].backward(
          consuming: records[part], x: inputs[level], dy: summed ? dy : try split(dy, direction, of: directions),
          dFinal: StateGradient(stack.part(State(stack.dFinal), part)), into: &gradients[part])
        dh += back.dInitial.dh
        dc += back.dInitial.dc
        dx = try dx.map { try joined([$0, back.dx], summed: true) } ?? back.dx
      }
      dInitial = StateGradient(dh: dh + dInitial.dh, dc: dc + dInitial.dc)
      dy = dx!
    }
    return Expected(y: x.values, final: final, dx: dy.values, dInitial: dInitial, gradients: gradients)
  }

  private func joined(_ parts: [Sequences<Float>], summed: Bool) throws -> Sequences<Float> {
    guard parts.count == 2 else { return parts[0] }
    let (a, b) = (parts[0], parts[1])
    var values: [Float] = []
    for t in 0..<a.steps {
      for n in 0..<a.batchSize {
        values += summed ? zip(a[t, n], b[t, n]).map { $0 + $1 } : Array(a[t, n]) + Array(b[t, n])
      }
    }
    return try Sequences(values, steps: a.steps, batchSize: a.batchSize, size: summed ? a.size : 2 * a.size)
  }

  private func split(_ both: Sequences<Float>, _ direction: Int, of directions: Int) throws -> Sequences<Float> {
    let size = both.size / directions
    var values: [Float] = []
    for t in 0..<both.steps {
      for n in 0..<both.batchSize { values += both[t, n].dropFirst(direction * size).prefix(size) }
    }
    return try Sequences(values, steps: both.steps, batchSize: both.batchSize, size: size)
  }

  private func turn(_ sequences: Sequences<Float>) throws -> Sequences<Float> {
    var values: [Float] = []
    for t in (0..<sequences.steps).reversed() {
      for n in 0..<sequences.batchSize { values += sequences[t, n] }
    }
    return try Sequences(values, steps: sequences.steps, batchSize: sequences.batchSize, size: sequences.size)
  }
}

func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }
