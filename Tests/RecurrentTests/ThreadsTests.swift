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
        threads.run { share in
          for round in 1...50 {
            // What all wrote before the barrier, read after it.
            let before = round == 1 ? 0 : sums[(share.index + 1) % count]
            share.barrier()
            sums[share.index] = before + 1
            share.barrier()
          }
        }
        #expect(sums.allSatisfy { $0 == 50 }, "\(count) threads: \(Array(sums))")
      }
      #expect((0..<count).flatMap { Array(Share(index: $0, count: count).part(of: 13)) } == Array(0..<13))
    }
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
      if round % 2 == 0 { threads.run { $0.barrier() } }
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
}
