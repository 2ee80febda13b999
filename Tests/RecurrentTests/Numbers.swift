import Foundation
import Recurrent
import Testing

extension SeededGenerator {
  /// Uniform in [-bound, bound), in multiples of bound/2²³, as Tests/goldens.py draws them. If `bound` is a power of
  /// two, they are exact in any scalar. No function of the C library is called, so they are the same on any machine.
  mutating func numbers<Scalar: RecurrentScalar>(_ count: Int, bound: Double = 1) -> [Scalar] {
    // In double precision and without closures, to be fast enough in debug builds.
    [Scalar](unsafeUninitializedCapacity: count) { values, initialized in
      while initialized < count {
        (values.baseAddress! + initialized).initialize(to: Scalar((Double(next() >> 40) / 8_388_608 - 1) * bound))
        initialized += 1
      }
    }
  }

  /// Flags that are true once in `rarity` times on average.
  mutating func flags(_ count: Int, rarity: UInt64) -> [Bool] { (0..<count).map { _ in (next() >> 32) % rarity == 0 } }
}

/// Numbers in [-1, 1) that depend on the seed only.
func numbers<Scalar: RecurrentScalar>(_ count: Int, seed: UInt64) -> [Scalar] {
  var random = SeededGenerator(seed: seed)
  return random.numbers(count)
}

// MARK: - Comparing

/// Says how many values have other bits, and the first of them; nil if none has.
func difference<Scalar: RecurrentScalar>(_ ours: [Scalar], _ expected: [Scalar]) -> String? {
  guard ours.count == expected.count else { return "\(ours.count) values, expected \(expected.count)" }
  let isSame = ours.withUnsafeBytes { ours in
    expected.withUnsafeBytes { ours.count == 0 || memcmp(ours.baseAddress!, $0.baseAddress!, ours.count) == 0 }
  }
  if isSame { return nil }
  func bits(_ value: Scalar) -> (FloatingPointSign, Scalar.RawExponent, Scalar.RawSignificand) {
    (value.sign, value.exponentBitPattern, value.significandBitPattern)
  }
  let different = ours.indices.filter { bits(ours[$0]) != bits(expected[$0]) }
  return different.first.map {
    "\(different.count) of \(ours.count) values differ, the first at \($0): \(ours[$0]), expected \(expected[$0])"
  }
}

/// Expects two tensors to have the same bits.
///
/// - Parameter what: names the tensor and the problem with its cell, T, N, C, H and instruction set.
func expectSameBits<Scalar: RecurrentScalar>(
  _ ours: [Scalar], _ expected: [Scalar], _ what: @autoclosure () -> String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  let difference = difference(ours, expected)
  #expect(difference == nil, "\(what())", sourceLocation: sourceLocation)
}

/// max|a - b| / max|b|: the measure in which the package promises its accuracy.
func relativeError<Scalar: RecurrentScalar>(_ a: [Scalar], _ b: [Double]) -> Double {
  guard a.count == b.count else { return .infinity }
  var largest = 0.0, difference = 0.0
  for (a, b) in zip(a, b) {
    largest = max(largest, abs(b))
    difference = a.isNaN ? .infinity : max(difference, abs(Double(a) - b))
  }
  return difference == 0 ? 0 : difference / largest
}

/// The promised tolerance of a tensor. Gradients, whose names begin with d, have ten times that of outputs.
func tolerance<Scalar: RecurrentScalar>(_ name: String, of scalar: Scalar.Type) -> Double {
  (scalar == Float.self ? 1e-5 : 1e-12) * (name.hasPrefix("d") ? 10 : 1)
}

/// Expects a tensor to agree with double precision within the promised tolerance.
func expectClose<Scalar: RecurrentScalar>(
  _ name: String, _ ours: [Scalar], _ reference: [Double], _ what: @autoclosure () -> String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  let error = relativeError(ours, reference)
  #expect(error <= tolerance(name, of: Scalar.self), "\(name) of \(what())", sourceLocation: sourceLocation)
}
