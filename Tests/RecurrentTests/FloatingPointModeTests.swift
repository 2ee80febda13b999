import CRecurrentKernels
import CTestSupport
import Foundation
import Recurrent
import Testing

/// The caller's floating-point mode is the mode of the call, on every thread of a pool.
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
    let fixture = try Fixture(cell, steps: 3, batch: 24, inputSize: 40, hiddenSize: 160)
    // The gradients of every other sequence are denormal numbers, so that flushing is seen.
    let dy = fixture.dy.values.enumerated().map { $1 * ($0 / 160 % 2 == 0 ? 0x1p-126 : 1) }

    func results(_ threads: Threads) throws -> [UInt32] {
      let scratch = Scratch<Float>(threads: threads)
      let forward = try fixture.layer.forward(fixture.x, initial: fixture.initial, scratch: scratch)
      let (record, _) = try fixture.layer.record(fixture.x, initial: fixture.initial, scratch: scratch)
      var gradients = fixture.layer.zeroGradients()
      let back = try fixture.layer.backward(
        consuming: record, x: fixture.x,
        dy: try Sequences(dy, steps: 3, batchSize: 24, size: 160), into: &gradients, scratch: scratch)
      return bits(forward.y.values + forward.final.h + back.dx.values + gradients.weightHH + gradients.biasIH)
    }

    let one = try Threads(count: 1), usual = try results(one), expected = try mode.run { try results(one) }
    #expect(usual != expected, "\(mode) changes bits")
    for count in [2, 3] {
      // Made in the usual mode, in which its threads start.
      let threads = try Threads(count: count)
      #expect(try mode.run { try results(threads) } == expected, "\(cell), \(mode), \(count) threads")
      #expect(try results(threads) == usual, "\(cell) after \(mode), \(count) threads")
    }
  }

  /// What the caller wants to be a signal is none on the threads of a pool, whose signal nobody expects.
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

  /// On the second thread only.
  private struct Overflow: SharedWork {
    let numbers: UnsafeMutableBufferPointer<Float>

    func run(_ share: Share) { if share.index == 1 { numbers[1] *= 2 } }
  }
}
