import Foundation
import Recurrent
import Testing

/// What concerns the memory of the whole process, one test after the other.
@Suite(.serialized) enum ProcessMemory {}

/// Nothing is read or written outside the buffers: guard pages around the caller's memory, and around panels, tiles,
/// records and scratch with their slack. AddressSanitizer does not see into BLIS's micro-kernels.
extension ProcessMemory {
  @Suite(.serialized) struct MemoryTests {
    /// Floats that end at a page which must not be touched, or start behind one.
    private final class Guarded {
      let floats: UnsafeMutableBufferPointer<Float>
      private let address: UnsafeMutableRawPointer
      private let bytes: Int

      init(_ count: Int, atStart: Bool) {
        let page = sysconf(Int32(_SC_PAGESIZE)), inside = (count * 4 + page - 1) / page * page
        bytes = inside + 2 * page
        address = mmap(nil, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
        mprotect(address + page, inside, PROT_READ | PROT_WRITE)
        let start = atStart ? address + page : address + page + inside - count * 4
        floats = UnsafeMutableBufferPointer(start: start.bindMemory(to: Float.self, capacity: count), count: count)
        for index in floats.indices { floats[index] = Float(index % 7) * 0.1 - 0.3 }
      }
      deinit { munmap(address, bytes) }
    }

    private struct Shape {
      var steps: Int, batch: Int, inputs: Int, hidden: Int
      var levels = 1, direction = Direction.forward, lengths: [Int]?, threads = 1
    }

    private static let shapes: [Shape] =
      [
        (1, 1, 1, 1), (2, 1, 3, 5), (3, 12, 4, 32), (2, 13, 33, 17), (5, 4, 12, 40), (2, 24, 5, 64), (2, 6, 16, 16),
        (30, 9, 31, 3),
      ].map { Shape(steps: $0, batch: $1, inputs: $2, hidden: $3) } + [
        Shape(steps: 3, batch: 5, inputs: 4, hidden: 17, levels: 3),
        Shape(steps: 4, batch: 3, inputs: 33, hidden: 20, levels: 2, direction: .reverse, lengths: [0, 4, 1]),
        Shape(steps: 5, batch: 4, inputs: 3, hidden: 33, levels: 2, direction: .bidirectional, lengths: [5, 2, 0, 4]),
        Shape(steps: 3, batch: 13, inputs: 17, hidden: 5, levels: 3, direction: .bidirectional),
        Shape(steps: 5, batch: 3, inputs: 9, hidden: 16, levels: 2, direction: .bidirectionalSum, lengths: [1, 5, 3]),
        // On two threads: units divided among them, and a direction for each.
        Shape(steps: 2, batch: 24, inputs: 40, hidden: 160, levels: 2, threads: 2),
        Shape(steps: 3, batch: 24, inputs: 40, hidden: 160, lengths: (0..<24).map { $0 % 4 }, threads: 2),
        Shape(steps: 3, batch: 24, inputs: 7, hidden: 130, levels: 2, direction: .bidirectional, threads: 2),
      ]

    @Test(arguments: Cell.all, Processor.available)
    func callsStayInsideTheirBuffers(cell: Cell, set: InstructionSet) throws {
      GuardPages.areOn.store(true, ordering: .relaxed)
      defer { GuardPages.areOn.store(false, ordering: .relaxed) }
      for shape in MemoryTests.shapes {
        for atStart in [false, true] { try runInsideBuffers(cell, set, shape, atStart: atStart) }
      }
    }

    private func runInsideBuffers(_ cell: Cell, _ set: InstructionSet, _ shape: Shape, atStart: Bool) throws {
      let (steps, batch) = (shape.steps, shape.batch)
      let layer = try Layer<Float>(
        cell, inputSize: shape.inputs, hiddenSize: shape.hidden, layerCount: shape.levels, direction: shape.direction,
        dropout: 0.5, instructionSet: set)
      let options = CallOptions(lengths: shape.lengths, dropout: .seed(1))
      let x = Guarded(steps * batch * shape.inputs, atStart: atStart), dx = Guarded(x.floats.count, atStart: atStart)
      let outputs = steps * batch * layer.outputSize
      let y = Guarded(outputs, atStart: atStart), dy = Guarded(outputs, atStart: atStart)
      var state = try layer.zeroState(batchSize: batch), dState = try layer.zeroStateGradient(batchSize: batch)
      var gradients = layer.zeroGradients()
      let record = Record<Float>()
      let scratch = Scratch<Float>(threads: shape.threads == 1 ? nil : try Threads(count: shape.threads))
      try layer.forward(
        UnsafeBufferPointer(x.floats), steps: steps, batchSize: batch, state: &state, into: y.floats, options: options,
        scratch: scratch)
      try layer.record(
        UnsafeBufferPointer(x.floats), steps: steps, batchSize: batch, state: &state, into: record, options: options,
        scratch: scratch)
      try layer.backward(
        consuming: record, x: UnsafeBufferPointer(x.floats), dy: UnsafeBufferPointer(dy.floats), dState: &dState,
        dx: dx.floats, into: &gradients, scratch: scratch)
      var results = Array(y.floats) + Array(dx.floats) + gradients.values + state.h + state.c + dState.dh + dState.dc
      if shape.direction == .forward {
        let stream = try layer.stream(batchSize: batch)
        try stream.process(UnsafeBufferPointer(x.floats), steps: steps, into: y.floats)
        try stream.fork().process(UnsafeBufferPointer(x.floats), steps: steps, into: y.floats)
        results += Array(y.floats)
      }
      let areFinite = results.allSatisfy { $0.isFinite }
      #expect(areFinite, "\(layer), \(shape), \(set)")
    }

    @Test func scratchAndRecordServeAnySizeAfterAnother() throws {
      let record = Record<Float>(), scratch = Scratch<Float>()
      for (cell, steps, batch, inputs, hidden) in [
        (Cell.lstm(), 4, 5, 6, 40), (.gru(reset: .beforeProduct), 2, 3, 4, 5),
        (.lstm(), 9, 14, 6, 70), (.rnn(), 1, 1, 1, 1),
      ] {
        let fixture = try Fixture(cell, steps: steps, batch: batch, inputSize: inputs, hiddenSize: hidden)
        let expected = try fixture.layer.record(fixture.x, initial: fixture.initial)
        var fresh = fixture.layer.zeroGradients(), reused = fresh
        let back = try fixture.layer.backward(consuming: expected.record, x: fixture.x, dy: fixture.dy, into: &fresh)
        var state = fixture.initial
        try fixture.layer.record(
          fixture.x.values.span, steps: steps, batchSize: batch, state: &state, into: record, scratch: scratch)
        let y = record.withY { Array($0) }
        #expect(y == expected.output.y.values)
        var dState = try fixture.layer.zeroStateGradient(batchSize: batch),
          dx = [Float](repeating: .nan, count: fixture.x.values.count)
        var span = dx.mutableSpan
        try fixture.layer.backward(
          consuming: record, x: fixture.x.values.span, dy: fixture.dy.values.span, dState: &dState, dx: &span,
          into: &reused, scratch: scratch)
        #expect(dx == back.dx.values && dState == back.dInitial && reused == fresh, "\(cell)")
      }
    }
  }
}
