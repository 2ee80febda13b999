import Recurrent
import Testing

/// A stream gives, step by step or in chunks, the bits of one call on the whole.
@Suite struct StreamTests {
  @Test(arguments: Cell.all, Kernels.all)
  func streamsAreTheWhole(cell: Cell, kernels: Kernels) throws {
    try streamsAreTheWhole(kernels.scalar, cell, kernels.set, .full)
  }

  @Test(arguments: Cell.all, Processor.available)
  func streamsOfRoundedWeightsAreTheWhole(cell: Cell, set: InstructionSet) throws {
    for weights in [WeightFormat.bfloat16, .int8] { try streamsAreTheWhole(Float.self, cell, set, weights) }
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  private func streamsAreTheWhole<Scalar: RecurrentScalar>(
    _: Scalar.Type, _ cell: Cell, _ set: InstructionSet, _ weights: WeightFormat
  ) throws {
    var shapes = [
      (30, 1, 3, 17, 1), (11, 5, 40, 33, 3), (6, 13, 130, 150, 2),
      // A batch of one sequence runs in registers, unless C or H is larger than 256.
      (5, 1, 1, 8, 1), (5, 1, 1, 24, 3), (5, 1, 256, 33, 1), (4, 1, 257, 16, 2), (4, 1, 16, 257, 1),
      // On AVX2 and AVX-512, these are few inputs for cells of more than one gate. If a call has several steps, the
      // first runs them by a plan, and the second runs its lower level in registers and its upper one in slots.
      (5, 1, 2, 72, 1), (5, 1, 2, 40, 2),
    ]
    // These give every combination of step blocks, of one to four half vectors. In the second list, there are more
    // inputs than units.
    shapes += [1, 5, 7, 9, 13, 17, 24, 25, 31, 33, 40, 41, 50, 57, 63, 72].map { (4, 1, 2, $0, 1) }
    shapes += [12, 17, 24, 31, 40, 50, 72].map { (4, 1, $0 + 1, $0, 1) }
    for (steps, batch, inputs, hidden, levels) in shapes {
      var problem = Problem<Scalar>(
        cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, levels: levels, set: set)
      problem.weights = weights
      let instance = try problem.instance(), layer = instance.layer, initial = instance.initial
      let whole = try inSlots(instance)
      let forward = try layer.forward(instance.x, initial: initial)
      expectSameBits(forward.y.values, whole.y, "y of forward, \(problem)")
      expectSameBits(forward.final.h + forward.final.c, whole.final, "the final state of forward, \(problem)")
      for pieces in [Array(repeating: 1, count: steps), [steps], [2, 0, 1, steps - 3]] {
        let stream = try layer.stream(batchSize: batch)
        try stream.setState(initial)
        #expect(stream.state == initial)
        var y: [Scalar] = [], done = 0
        for piece in pieces {
          var part = [Scalar](repeating: .nan, count: piece * batch * hidden)
          let frames = Array(instance.frames[done * batch * inputs..<(done + piece) * batch * inputs])
          var span = part.mutableSpan
          if piece == 1 {
            try stream.step(frames.span, into: &span)
          } else {
            try stream.process(frames.span, steps: piece, into: &span)
          }
          y += part
          done += piece
        }
        expectSameBits(y, whole.y, "y in pieces of \(pieces), \(problem)")
        expectSameBits(stream.state.h + stream.state.c, whole.final, "the state of a stream, \(problem)")
        stream.reset()
        #expect(stream.state == (try layer.zeroState(batchSize: batch)))
      }
    }
  }

  /// y and the final h and c of a call whose steps run in slots, not in registers: a call of `record`, or, in 8 bits,
  /// which `record` refuses, calls of `forward` in which each sequence runs beside a copy of itself.
  private func inSlots<Scalar>(_ instance: Problem<Scalar>.Instance) throws -> (y: [Scalar], final: [Scalar]) {
    let problem = instance.problem, initial = instance.initial
    guard problem.weights == .int8 else {
      let output = try instance.layer.record(instance.x, initial: initial).output
      return (output.y.values, output.final.h + output.final.c)
    }
    // Values lie as [steps or levels, batch, size].
    func rows(_ values: [Scalar], _ size: Int, of sequences: [Int], batch: Int) -> [Scalar] {
      stride(from: 0, to: values.count, by: batch * size).flatMap { first in
        sequences.flatMap { values[first + $0 * size..<first + ($0 + 1) * size] }
      }
    }
    let outputs = try (0..<problem.batch).map { sequence in
      func twice(_ values: [Scalar], _ size: Int) -> [Scalar] {
        rows(values, size, of: [sequence, sequence], batch: problem.batch)
      }
      return try instance.layer.forward(
        Sequences(twice(instance.frames, problem.inputs), steps: problem.steps, batchSize: 2, size: problem.inputs),
        initial: State(h: twice(initial.h, problem.hidden), c: twice(initial.c, problem.hidden)))
    }
    func joined(_ values: [[Scalar]]) -> [Scalar] {
      let each = values.map { rows($0, problem.hidden, of: [0], batch: 2) }
      return stride(from: 0, to: each[0].count, by: problem.hidden).flatMap { first in
        each.flatMap { $0[first..<first + problem.hidden] }
      }
    }
    return (joined(outputs.map(\.y.values)), joined(outputs.map(\.final.h)) + joined(outputs.map(\.final.c)))
  }

  /// Each sequence goes on from the state of any sequence, between steps in registers, in slots and in chunks, with
  /// empty seats and without.
  @Test(arguments: Cell.all, Kernels.all)
  func sequencesAreReordered(cell: Cell, kernels: Kernels) throws {
    try sequencesAreReordered(kernels.scalar, cell, kernels.set)
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  private func sequencesAreReordered<Scalar: RecurrentScalar>(
    _: Scalar.Type, _ cell: Cell, _ set: InstructionSet
  ) throws {
    for (batch, hidden, levels, empty) in [
      (1, 8, 2, nil), (1, 72, 2, nil), (4, 19, 1, nil), (5, 33, 2, 1), (40, 17, 2, nil), (41, 70, 1, 7),
    ] as [(Int, Int, Int, Int?)] {
      let layer = try Layer<Scalar>(
        cell, inputSize: 3, hiddenSize: hidden, layerCount: levels, initialization: Initialization(seed: 1),
        instructionSet: set)
      let stream = try layer.stream(batchSize: batch), other = try layer.stream(batchSize: batch)
      if let empty {
        try stream.leave(empty)
        try other.leave(empty)
      }
      var random = SeededGenerator(seed: 3)
      for round in 0..<5 {
        // If all seats are taken, one step can run on prepared operands. Several steps run in chunks, except with 8
        // units.
        let steps = round % 2 + 1
        let x: [Scalar] = numbers(steps * batch * 3, seed: UInt64(round))
        var y = [Scalar](repeating: .nan, count: steps * batch * hidden), expected = y
        var span = y.mutableSpan
        try stream.process(x.span, steps: steps, into: &span)
        var otherSpan = expected.mutableSpan
        try other.process(x.span, steps: steps, into: &otherSpan)
        expectSameBits(y, expected, "\(layer), round \(round)")
        let seats = (0..<batch).filter { $0 != empty }
        let sources = (0..<batch).map { $0 == empty ? -1 : seats.randomElement(using: &random)! }
        let before = stream.state
        try stream.reorder(sources.span)
        func moved(_ values: [Scalar]) -> [Scalar] {
          var moved = values
          for index in values.indices {
            let seat = index / hidden % batch
            if seat != empty { moved[index] = values[index + (sources[seat] - seat) * hidden] }
          }
          return moved
        }
        let state = State(h: moved(before.h), c: moved(before.c))
        #expect(stream.state == state, "\(layer), round \(round)")
        try other.setState(state)
      }
    }
  }

  @Test func aReorderThatDoesNotExistChangesNothing() throws {
    let layer = try LSTM<Float>(inputSize: 2, hiddenSize: 3, initialization: Initialization(seed: 1))
    let stream = try layer.stream(batchSize: 3)
    try stream.setState(State(h: (0..<9).map(Float.init), c: (0..<9).map(Float.init)))
    try stream.leave(1)
    let before = stream.state
    for (sources, error) in [
      ([0, 1], RecurrentError.count(name: "seats", was: 2, expected: 3, shape: "the stream's batch size")),
      ([0, 0, 3], .size(name: "seats[2]", was: 3, expected: "0 to 2, a seat that has a sequence")),
      ([0, 0, -1], .size(name: "seats[2]", was: -1, expected: "0 to 2, a seat that has a sequence")),
      ([1, 0, 2], .size(name: "seats[0]", was: 1, expected: "0 to 2, a seat that has a sequence")),
    ] {
      #expect(throws: error) { try stream.reorder(sources.span) }
      #expect(stream.state == before)
    }
  }

  /// Sequences may join and leave at any step and give the same bits as alone. Empty seats give 0, and the state of a
  /// seat leaves with its sequence.
  @Test(arguments: Cell.all)
  func slotsJoinAndLeave(cell: Cell) throws {
    let layer = try Layer<Float>(
      cell, inputSize: 4, hiddenSize: 19, layerCount: 2, initialization: Initialization(seed: 1))
    let size = 5, stream = try layer.stream(batchSize: size)
    var alone: [RecurrentStream<Float>?] = try (0..<size).map { _ in try layer.stream() }
    var random = SeededGenerator(seed: 6)
    for step in 0..<300 {
      let slot = Int.random(in: 0..<size, using: &random)
      switch Int.random(in: 0..<8, using: &random) {
      case 0, 1:
        try stream.leave(slot)
        alone[slot] = nil
      case 2, 3:
        try stream.join(slot)
        alone[slot] = try layer.stream()
      case 4:
        try stream.reset(slot)
        alone[slot]?.reset()
      default: break
      }
      let steps = step % 10 == 9 ? 60 : 1
      let x: [Float] = numbers(steps * size * 4, seed: UInt64(step))
      var y = [Float](repeating: .nan, count: steps * size * 19)
      var span = y.mutableSpan
      try stream.process(x.span, steps: steps, into: &span)
      for slot in 0..<size {
        #expect(stream.isActive(slot) == (alone[slot] != nil))
        var expected = [Float](repeating: 0, count: steps * 19)
        if let single = alone[slot] {
          let own = rows(x, of: slot, of: size, 4)
          var span = expected.mutableSpan
          try single.process(own.span, steps: steps, into: &span)
        }
        expectSameBits(
          rows(y, of: slot, of: size, 19), expected, "\(cell), N 5, C 4, H 19, step \(step), slot \(slot)")
        let state = stream.state, states = try alone[slot]?.state ?? layer.zeroState(batchSize: 1)
        for level in 0..<2 {
          let at = (level * size + slot) * 19
          #expect(Array(state.h[at..<at + 19]) == Array(states.h[level * 19..<(level + 1) * 19]))
        }
      }
    }
  }

  /// One seat's rows of [T,N,features].
  private func rows(_ values: [Float], of slot: Int, of slots: Int, _ features: Int) -> [Float] {
    var own: [Float] = []
    for first in stride(from: slot * features, to: values.count, by: slots * features) {
      own += values[first..<first + features]
    }
    return own
  }

  @Test func forksGoTheirOwnWay() throws {
    let layer = try LSTM<Float>(inputSize: 3, hiddenSize: 40, layerCount: 2)
    let stream = try layer.stream(batchSize: 3)
    func step(_ stream: RecurrentStream<Float>, _ seed: UInt64) throws -> [Float] {
      let x: [Float] = numbers(9, seed: seed)
      var y = [Float](repeating: 0, count: 120)
      var span = y.mutableSpan
      try stream.step(x.span, into: &span)
      return y
    }
    try stream.leave(1)
    _ = try step(stream, 1)
    let fork = stream.fork()
    #expect(fork.state == stream.state && !fork.isActive(1))
    let (a, b) = (try step(stream, 2), try step(fork, 2))
    #expect(a == b)
    _ = try step(fork, 3)
    #expect(fork.state != stream.state)
  }

  /// A stream keeps the parameters that its layer had when the stream was made.
  @Test func streamsKeepTheirParameters() throws {
    var layer = try GRU<Float>(inputSize: 1, hiddenSize: 8)
    let stream = try layer.stream(), before = layer
    layer.updateEachParameter { _, values in values.update(repeating: 0) }
    var y = [Float](repeating: 0, count: 8)
    var span = y.mutableSpan
    try stream.step([Float(1)].span, into: &span)
    #expect(y == (try before.forward(Sequences([1], steps: 1, batchSize: 1, size: 1)).y.values))
  }

  @Test func streamsOfOneLayerRunAtOnce() async throws {
    let layer = try LSTM<Float>(inputSize: 6, hiddenSize: 50, layerCount: 2)
    let x: [Float] = numbers(200 * 6, seed: 7)
    @Sendable func run() throws -> [Float] {
      let stream = try layer.stream()
      var y = [Float](repeating: 0, count: 200 * 50)
      try y.withUnsafeMutableBufferPointer { y in
        try x.withUnsafeBufferPointer { x in
          for t in 0..<200 {
            try stream.process(
              UnsafeBufferPointer(rebasing: x[t * 6..<t * 6 + 6]), steps: 1,
              into: UnsafeMutableBufferPointer(rebasing: y[t * 50..<t * 50 + 50]))
          }
        }
      }
      return y
    }
    let expected = try run()
    try await withThrowingTaskGroup(of: [Float].self) { group in
      for _ in 0..<8 { group.addTask { try run() } }
      for try await y in group { #expect(y == expected) }
    }
  }

  @Test func wrongCallsAreErrors() throws {
    let layer = try LSTM<Float>(inputSize: 2, hiddenSize: 3)
    let stream = try layer.stream(batchSize: 2)
    var y = [Float](repeating: 7, count: 6)
    func process(_ x: [Float], _ steps: Int) throws {
      var span = y.mutableSpan
      try stream.process(x.span, steps: steps, into: &span)
    }
    #expect(throws: RecurrentError.count(name: "x", was: 3, expected: 4, shape: "1·2·2")) { try process([1, 2, 3], 1) }
    #expect(throws: RecurrentError.count(name: "x", was: 4, expected: 8, shape: "2·2·2")) {
      try process([1, 2, 3, 4], 2)
    }
    for steps in [-1, .max, .min] {
      #expect(throws: RecurrentError.size(name: "steps", was: steps, expected: "0 to \(Int.max / 6)")) {
        try process([], steps)
      }
    }
    #expect(y == Array(repeating: 7, count: 6))
    for slot in [-1, 2, .max, .min] {
      let error = RecurrentError.size(name: "slot", was: slot, expected: "0 to 1, a seat of the stream")
      #expect(throws: error) { try stream.join(slot) }
      #expect(throws: error) { try stream.leave(slot) }
      #expect(throws: error) { try stream.reset(slot) }
      #expect(!stream.isActive(slot))
    }
    #expect(throws: RecurrentError.count(name: "state.h", was: 1, expected: 6, shape: "2·3")) {
      try stream.setState(State(h: [1], c: []))
    }
    for batchSize in [0, -1] {
      #expect(throws: RecurrentError.size(name: "batchSize", was: batchSize, expected: "at least 1")) {
        try layer.stream(batchSize: batchSize)
      }
    }
    #expect(throws: RecurrentError.product(names: ["batchSize"], values: [.max], most: largestCount)) {
      try layer.stream(batchSize: .max)
    }
    for direction in [Direction.reverse, .bidirectional, .bidirectionalSum] {
      let other = try LSTM<Float>(inputSize: 2, hiddenSize: 3, direction: direction)
      #expect(throws: RecurrentError.direction(direction)) { try other.stream() }
    }
  }
}
