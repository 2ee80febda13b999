import CExact
import Foundation
import Recurrent
import ToolSupport

/// The largest error of both activations: over all 2^32 floats, and over doubles of every exponent and at every place
/// at which the code branches.
enum Accuracy {
  struct Worst: Sendable {
    /// The error in units in the last place of the true value; infinite if a NaN or an infinity is wrong.
    var ulps = 0.0
    var at = 0.0
    var checked = 0
  }

  /// Arguments by index, and how a value of one is judged.
  private struct Question<E: BinaryFloatingPoint & Sendable, Truth: Sendable>: Sendable {
    let count: UInt64
    let argument: @Sendable (UInt64) -> E
    let truth: @Sendable (E) -> Truth
    let ulps: @Sendable (E, Truth) -> Double
    let apply: @Sendable (UnsafeMutableBufferPointer<E>, InstructionSet) throws -> Void
  }

  /// Checks both activations in both scalars and prints a table. Returns false if an error is more than 2 ULP.
  static func report(stride: UInt64) throws -> Bool {
    printLine("activation      instruction set  largest error       at                      checked")
    var isGood = true
    func show<E, Truth>(_ activation: Activation, _ question: Question<E, Truth>) throws {
      let name = E.self == Double.self ? "\(activation.rawValue), double" : activation.rawValue
      let bar = Bar(name)
      let worst = try worst(question) { bar.show($0) }
      bar.finish()
      for (set, worst) in zip(Processor.setsOfFloats, worst) {
        // A largest error below half a unit would mean that nothing was checked.
        isGood = isGood && worst.ulps <= 2 && worst.ulps > 0.4
        let cells = [name, set.rawValue, String(format: "%.4f ULP", worst.ulps), "\(E(worst.at))"]
        printLine(
          zip(cells, [16, 17, 20, 24]).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }.joined()
            + "\(worst.checked)")
      }
    }
    for activation in Activation.allCases { try show(activation, floats(activation, stride: stride)) }
    for activation in Activation.allCases { try show(activation, doubles(activation, stride: stride)) }
    printLine(isGood ? "all within 2 ULP" : "NOT within 2 ULP")
    return isGood
  }

  // MARK: - Floats

  private static func floats(_ activation: Activation, stride: UInt64) -> Question<Float, Double> {
    Question(
      count: ((1 << 32) + stride - 1) / stride, argument: { Float(bitPattern: UInt32($0 * stride)) },
      truth: { exact(activation, $0) }, ulps: ulps, apply: { try activation.apply(to: $0, instructionSet: $1) })
  }

  private static func exact(_ activation: Activation, _ x: Float) -> Double {
    let x = Double(x)
    switch activation {
    case .sigmoid: return 1 / (1 + exp(-x))
    case .tanh:
      // libm's own tanh takes five times as long.
      let e = expm1(-2 * abs(x))
      return x.sign == .minus ? e / (2 + e) : -e / (2 + e)
    }
  }

  private static func ulps(_ value: Float, _ exact: Double) -> Double {
    if exact.isNaN || value.isNaN { return exact.isNaN && value.isNaN ? 0 : .infinity }
    // The unit of the true value: a rounding up to a power of two has twice that.
    let rounded = Float(exact), unit = rounded.ulp
    let isBelow = abs(exact) < Double(abs(rounded)) && rounded.significand == 1 && unit > .leastNonzeroMagnitude
    return abs(Double(value) - exact) / Double(isBelow ? unit / 2 : unit)
  }

  // MARK: - Doubles

  /// 10^7 doubles uniform in their bits, 10^7 more of those from 2^-12 to 2^10, and the neighbors of every place where
  /// n changes or |x| is clamped; fewer of the first two if `stride` leaves fewer floats.
  private static func doubles(_ activation: Activation, stride: UInt64) -> Question<Double, exact> {
    let places = places(activation), neighbors: UInt64 = 64
    let random = min(20_000_000, (1 << 32) / stride)
    return Question(
      count: UInt64(places.count) * neighbors + random,
      argument: { index in
        if index >= random {
          let (place, neighbor) = (index - random).quotientAndRemainder(dividingBy: neighbors)
          return Double(bitPattern: places[Int(place)].bitPattern - neighbors / 2 + neighbor)
        }
        let bits = mixed(index)
        if index % 2 == 0 {
          let x = Double(bitPattern: bits)
          return x.isFinite ? x : 0
        }
        let sign = bits & (1 << 63), fraction = bits & ((1 << 52) - 1), exponent = (bits >> 52 & 0x7ff) % 22 + 1023 - 12
        return Double(bitPattern: sign | exponent << 52 | fraction)
      },
      truth: { activation == .sigmoid ? exact_sigmoid($0) : exact_tanh($0) },
      ulps: { exact_ulps($1, $0) }, apply: { try activation.apply(to: $0, instructionSet: $1) })
  }

  /// Where the code takes another way: n changes at the odd multiples of ln 2 / 2, of |x| or of 2|x|.
  private static func places(_ activation: Activation) -> [Double] {
    let isSigmoid = activation == .sigmoid, ln2 = 0.693_147_180_559_945_3, unit = isSigmoid ? ln2 / 2 : ln2 / 4
    let limits = isSigmoid ? [745.2, 745.13, 708.396, 1] : [19.1, 19.0615, 1]
    let places = (0..<(isSigmoid ? 1076 : 57)).map { Double(2 * $0 + 1) * unit } + limits
    return places + places.map { -$0 }
  }

  /// SplitMix64 as a function of its place.
  private static func mixed(_ index: UInt64) -> UInt64 {
    var value = (index &+ 1) &* 0x9E37_79B9_7F4A_7C15
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }

  // MARK: - All arguments, on every instruction set that the processor has

  private static func worst<E, Truth>(
    _ question: Question<E, Truth>, progress: @Sendable @escaping (Double) -> Void
  ) throws -> [Worst] {
    let parts = max(1, ProcessInfo.processInfo.activeProcessorCount)
    let results = Results(parts)
    DispatchQueue.concurrentPerform(iterations: parts) { part in
      let first = question.count * UInt64(part) / UInt64(parts)
      let end = question.count * UInt64(part + 1) / UInt64(parts)
      results[part] = Result { try check(question, first..<end) { if part == 0 { progress($0) } } }
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

  /// One thread's arguments. Returns the worst for each instruction set.
  private static func check<E, Truth>(
    _ question: Question<E, Truth>, _ range: Range<UInt64>, progress: (Double) -> Void
  ) throws -> [Worst] {
    let sets = Processor.setsOfFloats
    var worst = sets.map { _ in Worst() }
    var values = [E]()
    var index = range.lowerBound
    while index < range.upperBound {
      let end = min(index + 4096, range.upperBound)
      let x = (index..<end).map(question.argument)
      let expected = x.map(question.truth)
      for (at, set) in sets.enumerated() {
        values = x
        try values.withUnsafeMutableBufferPointer { try question.apply($0, set) }
        for (value, (x, truth)) in zip(values, zip(x, expected)) {
          let error = question.ulps(value, truth)
          if error > worst[at].ulps { worst[at] = Worst(ulps: error, at: Double(x), checked: worst[at].checked) }
        }
        worst[at].checked += x.count
      }
      index = end
      progress(Double(index - range.lowerBound) / Double(range.upperBound - range.lowerBound))
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

  /// A progress bar that one thread draws.
  private final class Bar: @unchecked Sendable {
    private var bar: ProgressBar
    init(_ label: String) { bar = ProgressBar(label) }
    func show(_ fraction: Double) { bar.show(fraction, ["of its arguments"]) }
    func finish() { bar.finish() }
  }
}
