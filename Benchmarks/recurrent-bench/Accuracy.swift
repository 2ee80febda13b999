import Foundation
import Recurrent
import ToolSupport

/// The largest error of both activations over all 2^32 floats.
enum Accuracy {
  struct Worst: Sendable {
    /// In units in the last place of the true value; infinite where a NaN or an infinity is wrong.
    var ulps = 0.0
    var at: Float = 0
    var checked = 0
  }

  static func exact(_ activation: Activation, _ x: Float) -> Double {
    let x = Double(x)
    switch activation {
    case .sigmoid: return 1 / (1 + exp(-x))
    case .tanh:
      // libm's own tanh takes five times as long.
      let e = expm1(-2 * abs(x))
      return x.sign == .minus ? e / (2 + e) : -e / (2 + e)
    }
  }

  static func ulps(_ value: Float, _ exact: Double) -> Double {
    if exact.isNaN || value.isNaN { return exact.isNaN && value.isNaN ? 0 : .infinity }
    // The unit of the true value: a rounding up to a power of two has twice that.
    let rounded = Float(exact), unit = rounded.ulp
    let isBelow = abs(exact) < Double(abs(rounded)) && rounded.significand == 1 && unit > .leastNonzeroMagnitude
    return abs(Double(value) - exact) / Double(isBelow ? unit / 2 : unit)
  }

  /// Checks every `stride`-th float on every instruction set that the processor has.
  static func worst(
    _ activation: Activation, stride: UInt64, progress: @Sendable @escaping (Double) -> Void
  ) throws -> [Worst] {
    let parts = max(1, ProcessInfo.processInfo.activeProcessorCount), total: UInt64 = 1 << 32
    let results = Results(parts)
    DispatchQueue.concurrentPerform(iterations: parts) { part in
      let first = (total * UInt64(part) / UInt64(parts) + stride - 1) / stride * stride
      let end = total * UInt64(part + 1) / UInt64(parts)
      results[part] = Result {
        try check(activation, first..<end, stride: stride) { if part == 0 { progress($0) } }
      }
    }
    var worst = try results.all[0]
    for other in try results.all.dropFirst() {
      for index in worst.indices {
        let checked = worst[index].checked + other[index].checked
        if other[index].ulps > worst[index].ulps { worst[index] = other[index] }
        worst[index].checked = checked
      }
    }
    return worst
  }

  /// One thread's floats: their bits are `range`, `stride` apart. Returns the worst for each instruction set.
  private static func check(
    _ activation: Activation, _ range: Range<UInt64>, stride: UInt64, progress: (Double) -> Void
  ) throws -> [Worst] {
    let sets = Processor.available
    var worst = sets.map { _ in Worst() }
    var x = [Float](), values = [Float](), expected = [Double]()
    var bits = range.lowerBound
    while bits < range.upperBound {
      let count = Int(min(1 << 12, (range.upperBound - bits + stride - 1) / stride))
      x = (0..<count).map { Float(bitPattern: UInt32(bits + UInt64($0) * stride)) }
      expected = x.map { exact(activation, $0) }
      for (index, set) in sets.enumerated() {
        values = x
        try values.withUnsafeMutableBufferPointer { try activation.apply(to: $0, instructionSet: set) }
        for at in 0..<count {
          let error = ulps(values[at], expected[at])
          if error > worst[index].ulps { worst[index] = Worst(ulps: error, at: x[at], checked: worst[index].checked) }
        }
        worst[index].checked += count
      }
      bits += UInt64(count) * stride
      progress(Double(bits - range.lowerBound) / Double(range.upperBound - range.lowerBound))
    }
    return worst
  }

  /// One result for each part, each written by one thread.
  private final class Results: @unchecked Sendable {
    private let values: UnsafeMutableBufferPointer<Result<[Worst], any Error>?>
    init(_ count: Int) {
      values = .allocate(capacity: count)
      values.initialize(repeating: nil)
    }
    deinit {
      values.deinitialize()
      values.deallocate()
    }
    subscript(_ index: Int) -> Result<[Worst], any Error>? {
      get { values[index] }
      set { values[index] = newValue }
    }
    var all: [[Worst]] { get throws { try values.map { try $0!.get() } } }
  }

  /// Checks both activations and prints a table; false where one is more than 2 ULP off.
  static func report(stride: UInt64) throws -> Bool {
    printLine("activation  instruction set  largest error       at                floats")
    var isGood = true
    for activation in Activation.allCases {
      let bar = Bar(activation.rawValue)
      let worst = try worst(activation, stride: stride) { bar.show($0) }
      bar.finish()
      for (set, worst) in zip(Processor.available, worst) {
        // A largest error below half a unit would mean that nothing was checked.
        isGood = isGood && worst.ulps <= 2 && worst.ulps > 0.4
        let cells = [activation.rawValue, set.rawValue, String(format: "%.4f ULP", worst.ulps), "\(worst.at)"]
        printLine(
          zip(cells, [12, 17, 20, 18]).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }.joined()
            + "\(worst.checked)")
      }
    }
    print(isGood ? "all within 2 ULP" : "NOT within 2 ULP")
    return isGood
  }

  /// A progress bar that one thread draws.
  private final class Bar: @unchecked Sendable {
    private var bar: ProgressBar
    init(_ label: String) { bar = ProgressBar(label) }
    func show(_ fraction: Double) { bar.show(fraction, ["of 2^32 floats"]) }
    func finish() { bar.finish() }
  }
}
