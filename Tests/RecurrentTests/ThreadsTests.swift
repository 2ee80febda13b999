import CTestSupport
import Foundation
import Recurrent
import Testing

/// The pool itself; that its results are the same bits is BitTests'.
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
      #expect((0..<count).flatMap { Array(Share(index: $0, count: count).part(of: 13)) } == Array(0..<13))
    }
  }

  private struct Rounds: SharedWork {
    let sums: UnsafeMutableBufferPointer<Int>

    func run(_ share: Share) {
      for round in 1...50 {
        // What all wrote before the barrier, read after it.
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
    let fixture = try Fixture(
      .lstm(), steps: 4, batch: 24, inputSize: 8, hiddenSize: 160)
    let expected = try fixture.layer.forward(fixture.x, initial: fixture.initial)
    let threads = try Threads(count: 2)
    let failures = FailureCount()
    DispatchQueue.concurrentPerform(iterations: 4) { _ in
      let scratch = Scratch<Float>(threads: threads)
      for _ in 0..<10 {
        var state = fixture.initial
        var y = expected.y
        do {
          y.withMutableValues { $0.update(repeating: .nan) }
          try fixture.x.values.withUnsafeBufferPointer { x in
            try y.withMutableValues { y in
              try fixture.layer.forward(x, steps: 4, batchSize: 24, state: &state, into: y, scratch: scratch)
            }
          }
          if y != expected.y || state != expected.final { failures.add() }
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

  /// A child of fork has the pool but not its threads: it must neither wait for them nor give anything else.
  @Test func callsInAForkedChildComeBack() throws {
    final class Call {
      let fixture: Fixture, scratch: Scratch<Float>, expected: Output<Float>
      init() throws {
        fixture = try Fixture(.lstm(), steps: 3, batch: 24, inputSize: 40, hiddenSize: 160)
        scratch = Scratch(threads: try Threads(count: 2))
        expected = try fixture.layer.forward(fixture.x, initial: fixture.initial, scratch: scratch)
      }
      func isRight() -> Bool {
        (try? fixture.layer.forward(fixture.x, initial: fixture.initial, scratch: scratch)) == expected
      }
    }
    let call = try Call()
    let result = run_in_child(
      { context in Unmanaged<Call>.fromOpaque(context!).takeUnretainedValue().isRight() ? 42 : 1 },
      Unmanaged.passUnretained(call).toOpaque())
    #expect(result == 42)
    #expect(call.isRight())
  }

  /// In a child, where no other test allocates: a pool's threads count too.
  @Test(.enabled(if: counts_allocations()), arguments: Cell.all)
  func callsOnThreadsAllocateNothing(cell: Cell) {
    final class Case {
      let cell: Cell
      init(_ cell: Cell) { self.cell = cell }

      /// The allocations of some calls, or 100 when one of them fails.
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
        let steps = 6, batch = 24, inputs = 40
        let layer = try Layer<Float>(cell, inputSize: inputs, hiddenSize: hidden, layerCount: 2, direction: direction)
        let scratch = Scratch<Float>(threads: try Threads(count: threads)), record = Record<Float>()
        let x = [Float](repeating: 0.25, count: steps * batch * inputs)
        var y = [Float](repeating: 0, count: steps * batch * layer.outputSize), dx = x
        var state = try layer.zeroState(batchSize: batch), dState = try layer.zeroStateGradient(batchSize: batch)
        var gradients = layer.zeroGradients()
        let ragged = CallOptions(
          lengths: (0..<batch).map { $0 % 7 }, resets: (0..<steps * batch).map { $0 % 5 == 0 })
        var count = 0
        for round in 0..<4 {
          for options in [CallOptions(), ragged] {
            let before = allocations_of_this_process()
            try x.withUnsafeBufferPointer { x in
              try y.withUnsafeMutableBufferPointer { y in
                try layer.forward(
                  x, steps: steps, batchSize: batch, state: &state, into: y, options: options, scratch: scratch)
                try layer.record(
                  x, steps: steps, batchSize: batch, state: &state, into: record, options: options, scratch: scratch)
                try dx.withUnsafeMutableBufferPointer { dx in
                  try layer.backward(
                    consuming: record, x: x, dy: UnsafeBufferPointer(y), dState: &dState, dx: dx, into: &gradients,
                    scratch: scratch)
                }
              }
            }
            // Memory grows at the first two.
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
