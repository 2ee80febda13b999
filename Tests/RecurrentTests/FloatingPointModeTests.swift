import CRecurrentKernels
import CTestSupport
import Foundation
import Recurrent
import Testing

/// A call uses the caller's floating-point mode on every thread of its pool.
@Suite struct FloatingPointModeTests {
  enum Mode: CaseIterable {
    case upward, downward, towardZero, flushing

    /// Runs the body in this mode on the calling thread.
    func run<Result>(_ body: () throws -> Result) rethrows -> Result {
      switch self {
      case .flushing:
        let before = flush_to_zero()
        defer { restore_denormals(before) }
        return try body()
      case .upward, .downward, .towardZero:
        let before = fegetround()
        fesetround([.upward: FE_UPWARD, .downward: FE_DOWNWARD, .towardZero: FE_TOWARDZERO][self]!)
        defer { fesetround(before) }
        return try body()
      }
    }
  }

  @Test(arguments: Cell.all, Mode.allCases)
  func threadsComputeInTheCallersMode(cell: Cell, mode: Mode) throws {
    // The gradients of every other sequence are denormal numbers, so that flushing changes bits.
    var problem = Problem<Float>(cell, steps: 3, batch: 24, inputs: 40, hidden: 160)
    problem.hasDenormals = true
    let instance = try problem.instance()
    func results(_ threads: Threads) throws -> Problem<Float>.Results {
      try instance.results(scratch: Scratch(threads: threads))
    }
    func differs(_ a: Problem<Float>.Results, _ b: Problem<Float>.Results) -> Bool {
      zip(a.all, b.all).contains { difference($0.values, $1.values) != nil }
    }

    let one = try Threads(count: 1), usual = try results(one), expected = try mode.run { try results(one) }
    let changesBits = differs(usual, expected)
    #expect(changesBits, "\(problem), \(mode)")
    for count in [2, 3] {
      // The pool is made in the default mode, so its threads start in that mode.
      let threads = try Threads(count: count)
      expectSame(try mode.run { try results(threads) }, expected, "\(problem), \(mode), \(count) threads")
      expectSame(try results(threads), usual, "\(problem) after \(mode), \(count) threads")
    }
  }

  /// If the caller unmasks an exception, the pool's threads keep it masked: nobody expects a signal from them.
  @Test func exceptionsStayMasked() {
    let result = run_in_child(
      { _ in
        guard let threads = try? Threads(count: 2) else { return 1 }
        var numbers: [Float] = [.greatestFiniteMagnitude, .greatestFiniteMagnitude]
        return numbers.withUnsafeMutableBufferPointer { numbers in
          signal_overflows()
          threads.run(Overflow(numbers: numbers))
          return numbers[1] == .infinity ? 0 : 2
        }
      }, nil)
    #expect(result == 0)
  }

  /// Overflows on the second thread only.
  private struct Overflow: SharedWork {
    let numbers: UnsafeMutableBufferPointer<Float>

    func run(_ share: Share) { if share.index == 1 { numbers[1] *= 2 } }
  }
}
