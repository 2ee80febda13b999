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

    @Test(arguments: Cell.all, Processor.available)
    func callsStayInsideTheirBuffers(cell: Cell, set: InstructionSet) throws {
      AlignedBuffer.guardsPages.store(true, ordering: .relaxed)
      defer { AlignedBuffer.guardsPages.store(false, ordering: .relaxed) }
      for (steps, batch, inputs, hidden) in [
        (1, 1, 1, 1), (2, 1, 3, 5), (3, 12, 4, 32), (2, 13, 33, 17), (5, 4, 12, 40), (2, 24, 5, 64), (2, 6, 16, 16),
        (30, 9, 31, 3),
      ] {
        for atStart in [false, true] {
          let layer = try Layer<Float>(cell, inputSize: inputs, hiddenSize: hidden, instructionSet: set)
          let x = Guarded(steps * batch * inputs, atStart: atStart), dx = Guarded(x.floats.count, atStart: atStart)
          let y = Guarded(steps * batch * hidden, atStart: atStart), dy = Guarded(y.floats.count, atStart: atStart)
          var state = try layer.zeroState(batchSize: batch), dState = state
          var gradients = layer.zeroGradients()
          let record = Record<Float>(), scratch = Scratch<Float>()
          try layer.forward(
            UnsafeBufferPointer(x.floats), steps: steps, batchSize: batch, state: &state, into: y.floats,
            scratch: scratch)
          try layer.record(
            UnsafeBufferPointer(x.floats), steps: steps, batchSize: batch, state: &state, into: record, scratch: scratch
          )
          try layer.backward(
            consuming: record, x: UnsafeBufferPointer(x.floats), dy: UnsafeBufferPointer(dy.floats), dState: &dState,
            dx: dx.floats, into: &gradients, scratch: scratch)
          let results = Array(y.floats) + Array(dx.floats) + gradients.weightIH + gradients.weightHH
          let areFinite = results.allSatisfy { $0.isFinite }
          #expect(areFinite, "\(cell), T \(steps), N \(batch), C \(inputs), H \(hidden), \(set)")
        }
      }
    }

    @Test func scratchAndRecordServeAnySizeAfterAnother() throws {
      let record = Record<Float>(), scratch = Scratch<Float>()
      for (cell, steps, batch, inputs, hidden) in [
        (Cell.lstm(linearOutput: false), 4, 5, 6, 40), (.gru(resetBefore: true, zTakesNew: false), 2, 3, 4, 5),
        (.lstm(linearOutput: false), 9, 14, 6, 70), (.rnn(relu: false), 1, 1, 1, 1),
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
        var dState = try fixture.layer.zeroState(batchSize: batch),
          dx = [Float](repeating: .nan, count: fixture.x.values.count)
        var span = dx.mutableSpan
        try fixture.layer.backward(
          consuming: record, x: fixture.x.values.span, dy: fixture.dy.values.span, dState: &dState, dx: &span,
          into: &reused, scratch: scratch)
        #expect(dx == back.dx.values && dState == back.initial && reused == fresh, "\(cell)")
      }
    }
  }
}
