import Foundation
import Recurrent
import Testing

/// Tests that look at the memory of the whole process run one after the other.
@Suite(.serialized) enum ProcessMemory {}

/// Nothing is read or written outside the buffers. The caller's memory has guard pages, and so have panels, tiles,
/// records and scratches behind their slack. AddressSanitizer cannot check this, because it does not see the accesses
/// of BLIS's micro-kernels.
extension ProcessMemory {
  @Suite(.serialized) struct MemoryTests {
    private typealias Shape = (Int, Int, Int, Int)

    /// Plain layers, given by T, N, C and H; then layers with levels, directions, lengths and threads.
    private static func problems<Scalar>(_ cell: Cell, _ set: InstructionSet) -> [Problem<Scalar>] {
      let plain: [Shape] = [
        (1, 1, 1, 1), (2, 1, 3, 5), (3, 12, 4, 32), (2, 13, 33, 17), (5, 4, 12, 40), (2, 24, 5, 64), (2, 6, 16, 16),
        (30, 9, 31, 3), (2, 1, 3, 25), (2, 1, 3, 33),
      ]
      func problem(
        _ shape: Shape, levels: Int = 1, _ direction: Direction = .forward, lengths: [Int]? = nil, threads: Int = 1
      ) -> Problem<Scalar> {
        Problem(
          cell, steps: shape.0, batch: shape.1, inputs: shape.2, hidden: shape.3, levels: levels, direction: direction,
          dropout: 0.5, lengths: lengths, threads: threads, set: set)
      }
      return plain.map { problem($0) } + [
        problem((3, 5, 4, 17), levels: 3),
        problem((4, 3, 33, 20), levels: 2, .reverse, lengths: [0, 4, 1]),
        problem((5, 4, 3, 33), levels: 2, .bidirectional, lengths: [5, 2, 0, 4]),
        problem((3, 13, 17, 5), levels: 3, .bidirectional),
        problem((5, 3, 9, 16), levels: 2, .bidirectionalSum, lengths: [1, 5, 3]),
        // On two threads, which divide the units, or each take one direction.
        problem((2, 24, 40, 160), levels: 2, threads: 2),
        problem((3, 24, 40, 160), lengths: (0..<24).map { $0 % 4 }, threads: 2),
        problem((3, 24, 7, 130), levels: 2, .bidirectional, threads: 2),
      ]
    }

    @Test(arguments: Cell.all, Kernels.all)
    func callsStayInsideTheirBuffers(cell: Cell, kernels: Kernels) throws {
      try GuardPages.around { try callsStayInsideTheirBuffers(kernels.scalar, cell, kernels.set) }
    }

    @specialized(where Scalar == Float)
    @specialized(where Scalar == Double)
    private func callsStayInsideTheirBuffers<Scalar: RecurrentScalar>(
      _: Scalar.Type, _ cell: Cell, _ set: InstructionSet
    ) throws {
      let problems: [Problem<Scalar>] = MemoryTests.problems(cell, set)
      for problem in problems {
        let instance = try problem.instance()
        for side in [Memory<Scalar>.Guard.before, .behind] {
          let calls = try Calls(instance, guarding: side)
          try calls.forward()
          try calls.train()
          try calls.stepStream()
          try calls.processStream()
          try calls.stream?.fork().process(
            UnsafeBufferPointer(calls.frames.values), steps: problem.steps, into: calls.streamed.values)
          let results =
            calls.y.array + calls.dx.array + calls.streamed.array + calls.gradients.values + calls.state.h
            + calls.state.c + calls.dState.dh + calls.dState.dc
          let areFinite = results.allSatisfy { $0.isFinite }
          #expect(areFinite, "\(problem)")
        }
      }
    }

    @Test func scratchAndRecordServeAnySizeAfterAnother() throws {
      let record = Record<Float>(), scratch = Scratch<Float>()
      for (cell, steps, batch, inputs, hidden) in [
        (Cell.lstm(), 4, 5, 6, 40), (.gru(reset: .beforeProduct), 2, 3, 4, 5),
        (.lstm(), 9, 14, 6, 70), (.rnn(), 1, 1, 1, 1),
      ] {
        let problem = Problem<Float>(cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden)
        let instance = try problem.instance()
        expectSame(
          try instance.results(scratch: scratch, record: record), try instance.results(), "\(problem)")
      }
    }
  }
}
