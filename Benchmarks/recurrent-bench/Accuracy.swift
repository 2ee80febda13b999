import Foundation
import Recurrent
import ToolSupport

/// The largest error of both activations over all 2^32 floats.
enum Accuracy {
  /// In units in the last place of the true value; infinite where a NaN or an infinity is wrong.
  static func ulps(_ value: Float, _ exact: Double) -> Double {
    if exact.isNaN || value.isNaN { return exact.isNaN && value.isNaN ? 0 : .infinity }
    let unit = max(Float(exact).ulp, .leastNonzeroMagnitude)
    // Just below a power of two the unit is that of the true value, not of its rounding.
    let below = abs(exact) < Double(abs(Float(exact))) && Float(exact).significand == 1
    return abs(Double(value) - exact) / Double(below && unit > .leastNonzeroMagnitude ? unit / 2 : unit)
  }

  static func exact(_ activation: Activation, _ x: Float) -> Double {
    switch activation {
    case .sigmoid: 1 / (1 + exp(-Double(x)))
    case .tanh: tanh(Double(x))
    }
  }

  struct Worst: Sendable {
    var ulps = 0.0
    var at: Float = 0
  }

  /// - Parameters:
  ///   - stride: checks every `stride`-th float; 1 for all.
  ///   - progress: called now and then with the fraction done.
  static func worst(
    _ activation: Activation, _ set: InstructionSet, stride: UInt64 = 1, progress: @Sendable @escaping (Double) -> Void
  ) throws -> Worst {
    let parts = max(1, ProcessInfo.processInfo.activeProcessorCount)
    let results = Results(parts)
    let total: UInt64 = 1 << 32
    DispatchQueue.concurrentPerform(iterations: parts) { part in
      let first = total * UInt64(part) / UInt64(parts), end = total * UInt64(part + 1) / UInt64(parts)
      results[part] = Result { () throws -> Worst in
        var worst = Worst()
        var x = [Float](repeating: 0, count: 1 << 12), values = x
        var bits = first
        while bits < end {
          for index in x.indices { x[index] = Float(bitPattern: UInt32(min(bits + UInt64(index) * stride, end - 1))) }
          values = x
          try values.withUnsafeMutableBufferPointer { try activation.apply(to: $0, instructionSet: set) }
          for index in x.indices {
            let error = ulps(values[index], exact(activation, x[index]))
            if error > worst.ulps { worst = Worst(ulps: error, at: x[index]) }
          }
          bits += UInt64(x.count) * stride
          if part == 0 { progress(Double(bits - first) / Double(end - first)) }
        }
        return worst
      }
    }
    return try results.all.max { $0.ulps < $1.ulps }!
  }

  /// One result for each part, each written by one thread.
  private final class Results: @unchecked Sendable {
    private let values: UnsafeMutableBufferPointer<Result<Worst, any Error>?>
    init(_ count: Int) {
      values = .allocate(capacity: count)
      values.initialize(repeating: nil)
    }
    deinit {
      values.deinitialize()
      values.deallocate()
    }
    subscript(_ index: Int) -> Result<Worst, any Error>? {
      get { values[index] }
      set { values[index] = newValue }
    }
    var all: [Worst] { get throws { try values.map { try $0!.get() } } }
  }

  /// Checks everything and prints a table.
  static func report(stride: UInt64) throws -> Bool {
    print("activation  instruction set  largest error       at")
    var good = true
    for activation in Activation.allCases {
      for set in Processor.available {
        let bar = Bar("\(activation.rawValue) \(set.rawValue)")
        let worst = try worst(activation, set, stride: stride) { bar.show($0) }
        bar.finish()
        good = good && worst.ulps <= 2
        let error = String(format: "%.4f ULP", worst.ulps)
        print(
          activation.rawValue.padding(toLength: 12, withPad: " ", startingAt: 0)
            + set.rawValue.padding(toLength: 17, withPad: " ", startingAt: 0)
            + error.padding(toLength: 20, withPad: " ", startingAt: 0) + "\(worst.at)")
      }
    }
    print(good ? "all within 2 ULP" : "NOT within 2 ULP")
    return good
  }

  /// A progress bar that one thread draws.
  private final class Bar: @unchecked Sendable {
    private var bar: ProgressBar
    init(_ label: String) { bar = ProgressBar(label) }
    func show(_ fraction: Double) { bar.show(fraction, "of 2^32 floats") }
    func finish() { bar.finish() }
  }
}
