import CTestSupport
import Foundation
import Recurrent
import Testing

/// On one thread, calls on the caller's memory allocate nothing and make no system call, once scratch and record have
/// grown.
extension ProcessMemory {
  @Suite(.serialized) struct RealTimeTests {
    private static func cases() throws -> [Calls<Float>] {
      try Cell.all.flatMap { cell in
        func problem(
          _ direction: Direction, levels: Int, _ dropout: RecordDropout, _ steps: Int, _ batch: Int, _ inputs: Int,
          _ hidden: Int, lengths: [Int]? = nil, placing: Problem<Float>.Placing = .timeMajor,
          weights: WeightFormat = .full
        ) -> Problem<Float> {
          var problem = Problem<Float>(
            cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, levels: levels, direction: direction,
            dropout: 0.5, lengths: lengths)
          (problem.recordDropout, problem.flushesDenormals) = (dropout, true)
          problem.weights = weights
          (problem.xPlacing, problem.yPlacing) = (placing, placing)
          return problem
        }
        return try [
          problem(.forward, levels: 1, .drawn, 40, 1, 16, 16), problem(.forward, levels: 2, .off, 5, 9, 140, 150),
          problem(.forward, levels: 1, .drawn, 5000, 1, 2, 8),
          problem(.bidirectional, levels: 2, .seed(1), 5, 4, 7, 33, lengths: [5, 2, 0, 4]),
          problem(.bidirectionalSum, levels: 3, .seed(2), 5, 4, 7, 33, placing: .batchMajor),
          problem(.forward, levels: 2, .off, 5, 1, 14, 33, weights: .int8),
          problem(.forward, levels: 2, .off, 5, 1, 14, 33, weights: .bfloat16),
          problem(.forward, levels: 1, .off, 5, 40, 140, 150, weights: .bfloat16),
          problem(
            .bidirectional, levels: 1, .off, 5, 9, 140, 150, lengths: [5, 2, 0, 4, 1, 1, 3, 2, 5], weights: .int8),
        ].map { try Calls(try $0.instance()) }
      }
    }

    @Test(.enabled(if: counts_allocations())) func nothingIsAllocated() throws {
      let before = allocations_of_this_thread()
      let array = [Int](unsafeUninitializedCapacity: 1000) { $1 = 0 }
      #expect(allocations_of_this_thread() > before && array.isEmpty, "allocations are counted")
      for calls in try RealTimeTests.cases() {
        for (call, body) in [
          ("forward", calls.forward), ("record and backward", calls.train), ("a stream's step", calls.stepStream),
          ("a stream's chunk", calls.processStream),
        ] {
          for _ in 0..<2 { try body() }  // memory grows here only
          let before = allocations_of_this_thread()
          for _ in 0..<10 { try body() }
          let count = allocations_of_this_thread() - before
          #expect(count == 0, "\(count) allocations in ten calls of \(call), \(calls.problem)")
        }
      }
    }

    @Test func noSystemIsCalled() throws {
      // These two show that the mode works: it must notice a forbidden call, and a body that fails.
      let noticed = run_without_system_calls({ _ in getppid() == 0 ? 1 : 0 }, nil)
      guard noticed >= 0 else { return }
      #expect(noticed == SIGKILL)
      #expect(run_without_system_calls({ _ in 3 }, nil) == FAILED_CHILD + 3)
      for calls in try RealTimeTests.cases() {
        // Twice, so that memory has grown and the dynamic linker has bound every function.
        for _ in 0..<2 {
          try calls.stepStream()
          try calls.processStream()
          try calls.forward()
          try calls.train()
        }
        let end = run_without_system_calls(
          { context in
            let calls = Unmanaged<Calls<Float>>.fromOpaque(context!).takeUnretainedValue()
            do {
              for _ in 0..<3 {
                try calls.stepStream()
                try calls.processStream()
                try calls.forward()
                try calls.train()
              }
              return 0
            } catch { return 1 }
          }, Unmanaged.passUnretained(calls).toOpaque())
        #expect(end == 0, "\(end < FAILED_CHILD ? "killed by signal \(end)" : "a call threw"): \(calls.problem)")
      }
    }
  }
}
