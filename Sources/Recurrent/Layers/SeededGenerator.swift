#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A random number generator with a seed (SplitMix64: Steele, Lea, Flood 2014, doi 10.1145/2714064.2660195).
///
/// To save a generator, save its `state`: `SeededGenerator(seed: state)` goes on with the same numbers.
public struct SeededGenerator: RandomNumberGenerator, Sendable, Equatable {
  /// The seed, and how many numbers have been drawn since.
  public var state: UInt64

  /// Equal seeds give equal numbers.
  public init(seed: UInt64) { state = seed }

  /// The next 64 bits, uniformly distributed.
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
  }

  /// A normally distributed number (Box and Muller 1958).
  public mutating func nextNormal() -> Double {
    let radius = (-2 * log(Double.random(in: Double.leastNormalMagnitude...1, using: &self))).squareRoot()
    return radius * cos(2 * .pi * Double.random(in: 0..<1, using: &self))
  }
}
