import CTestSupport
import Foundation
import Recurrent
import Testing

/// Tests the pool itself. BitTests checks that the number of threads changes no bit.
@Suite struct ThreadsTests {
  @Test func countsOutOfRangeAreErrors() {
    for count in [0, -1, 1025, .max] {
      #expect(throws: RecurrentError.size(name: "count", was: count, expected: "1 to 1024 threads")) {
        try Threads(count: count)
      }
    }
  }

  @Test func everyShareIsRunOnceAndBarriersHold() throws {
    for count in [1, 2, 3, 8] {
      let threads = try Threads(count: count)
      let sums = UnsafeMutableBufferPointer<Int>.allocate(capacity: count)
      defer { sums.deallocate() }
      for _ in 0..<20 {
        sums.initialize(repeating: 0)
        threads.run(Rounds(sums: sums))
        #expect(sums.allSatisfy { $0 == 50 }, "\(count) threads: \(Array(sums))")
      }
      #expect((0..<count).flatMap { Array(Share(index: $0, count: count).range(of: 13)) } == Array(0..<13))
    }
  }

  private struct Rounds: SharedWork {
    let sums: UnsafeMutableBufferPointer<Int>

    func run(_ share: Share) {
      for round in 1...50 {
        // Reads what another thread wrote before the last barrier.
        let before = round == 1 ? 0 : sums[(share.index + 1) % share.count]
        share.barrier()
        sums[share.index] = before + 1
        share.barrier()
      }
    }
  }

  private struct OneBarrier: SharedWork {
    func run(_ share: Share) { share.barrier() }
  }

  @Test func callsFromSeveralThreadsTakeTurns() throws {
    let problem = Problem<Float>(.lstm(), steps: 4, batch: 24, inputs: 8, hidden: 160)
    let instance = try problem.instance(), expected = try instance.results()
    let threads = try Threads(count: 2)
    let failures = FailureCount()
    DispatchQueue.concurrentPerform(iterations: 4) { _ in
      let scratch = Scratch<Float>(threads: threads)
      for _ in 0..<10 {
        do {
          let results = try instance.results(scratch: scratch)
          if !zip(results.all, expected.all).allSatisfy({ difference($0.values, $1.values) == nil }) { failures.add() }
        } catch { failures.add() }
      }
    }
    #expect(failures.count == 0)
  }

  @Test func poolsComeAndGo() throws {
    for round in 0..<50 {
      let threads = try Threads(count: 2 + round % 3)
      if round % 2 == 0 { threads.run(OneBarrier()) }
    }
  }

  private final class FailureCount: @unchecked Sendable {
    private let lock = NSLock()
    private(set) var count = 0
    func add() { lock.withLock { count += 1 } }
  }

  /// After fork, the child has the pool but not its threads. A call there must not wait for them, and must give the
  /// same results.
  @Test func callsInAForkedChildComeBack() throws {
    final class Call {
      let instance: Problem<Float>.Instance, scratch: Scratch<Float>, expected: Output<Float>
      init() throws {
        instance = try Problem<Float>(.lstm(), steps: 3, batch: 24, inputs: 40, hidden: 160, threads: 2).instance()
        scratch = try instance.problem.scratch()
        expected = try instance.layer.forward(instance.x, initial: instance.initial, scratch: scratch)
      }
      func isRight() -> Bool {
        (try? instance.layer.forward(instance.x, initial: instance.initial, scratch: scratch)) == expected
      }
    }
    let call = try Call()
    let result = run_in_child(
      { context in Unmanaged<Call>.fromOpaque(context!).takeUnretainedValue().isRight() ? 42 : 1 },
      Unmanaged.passUnretained(call).toOpaque())
    #expect(result == 42)
    #expect(call.isRight())
  }

  /// Runs in a child process, in which no other test allocates, because the allocations of all threads count.
  @Test(.enabled(if: counts_allocations()), arguments: Cell.all)
  func callsOnThreadsAllocateNothing(cell: Cell) {
    final class Case {
      let cell: Cell
      init(_ cell: Cell) { self.cell = cell }

      /// The number of allocations of some calls; 100 if one of them fails.
      func allocations() -> Int32 {
        var count = 0
        do {
          for (direction, hidden, threads) in [
            (Direction.forward, 160, 2), (.bidirectional, 96, 2), (.forward, 160, 3),
          ] {
            count += try allocations(direction, hidden: hidden, threads: threads)
          }
        } catch { return 100 }
        return Int32(min(count, 99))
      }

      private func allocations(_ direction: Direction, hidden: Int, threads: Int) throws -> Int {
        var problem = Problem<Float>(
          cell, steps: 6, batch: 24, inputs: 40, hidden: hidden, levels: 2, direction: direction, threads: threads)
        let whole = problem.options, calls = try Calls(try problem.instance())
        problem.lengths = (0..<24).map { $0 % 7 }
        problem.resets = (0..<6 * 24).map { $0 % 5 == 0 }
        var count = 0
        for round in 0..<4 {
          for options in [whole, problem.options] {
            calls.options = options
            let before = allocations_of_this_process()
            try calls.forward()
            try calls.train()
            // Memory grows in the first two rounds.
            if round >= 2 { count += allocations_of_this_process() - before }
          }
        }
        return count
      }
    }
    let counted = Case(cell)
    let result = withExtendedLifetime(counted) {
      run_in_child(
        { context in Unmanaged<Case>.fromOpaque(context!).takeUnretainedValue().allocations() },
        Unmanaged.passUnretained(counted).toOpaque())
    }
    #expect(result == 0, "\(cell): \(result) allocations")
  }
}
