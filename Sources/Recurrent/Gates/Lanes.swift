/// What gate equations compute with: a vector. Each operation calls the one of the same name in lanes.h, and becomes
/// instructions of the instruction set that the calling gate pass is compiled for. Swift's own SIMD operators become
/// scalar operations.
protocol Lanes: BitwiseCopyable {
  associatedtype Scalar: LaneElement
  /// The number of scalars.
  static var count: Int { get }
  init(_ scalar: Scalar)
  /// The scalars from an address on.
  init(at source: UnsafePointer<Scalar>)
  func store(at target: UnsafeMutablePointer<Scalar>)
  static func + (a: Self, b: Self) -> Self
  static func - (a: Self, b: Self) -> Self
  static func * (a: Self, b: Self) -> Self
  static func / (a: Self, b: Self) -> Self
  /// self + a · b
  func adding(_ a: Self, times b: Self) -> Self
  /// Adds the value times the weights at an address.
  mutating func add(_ value: Scalar, times weights: UnsafePointer<Scalar>)
  /// The same with weights whose upper halves are the lower halves of the scalars in memory.
  mutating func add(_ value: Scalar, timesEvenHalvesAt weights: UnsafePointer<Scalar>)
  /// The same with weights whose upper halves are the upper halves of the scalars in memory.
  mutating func add(_ value: Scalar, timesOddHalvesAt weights: UnsafePointer<Scalar>)
  /// The same with a value and weights that hold two halves each, on AVX512_BF16.
  mutating func add(_ value: Scalar, timesWordsAt weights: UnsafePointer<Scalar>)
  /// The same with a value and weights that hold four bytes each, with VNNI. The lanes of self hold int32 sums.
  mutating func add(_ value: Scalar, timesBytesAt weights: UnsafePointer<Scalar>)
  /// The same with a value and weights that hold two 16-bit numbers each, on AVX2. The lanes of self hold int32 sums.
  mutating func add(_ value: Scalar, timesShortsAt weights: UnsafePointer<Scalar>)
  /// The int32 values that the lanes hold, converted to scalars.
  var ofIntegers: Self { get }
  /// self - a · b
  func subtracting(_ a: Self, times b: Self) -> Self
  func adding(_ a: Self, times b: Scalar) -> Self
  func subtracting(_ a: Self, times b: Scalar) -> Self
  /// The smaller of `self` and `limit`. A NaN stays a NaN.
  func atMost(_ limit: Scalar) -> Self
  /// `self` in the lanes in which `x > 0`, `other` in the other lanes.
  func kept(wherePositive x: Self, else other: Self) -> Self
  var magnitude: Self { get }
  /// `self`, which is not negative, with the sign of `other`.
  func withSign(of other: Self) -> Self
  /// 2^n, if the lanes hold the scalar's `exponentShift` + n.
  var exp2OfShifted: Self { get }
}

/// Two halves of a vector side by side. On AVX-512, they divide in less time than a vector (Intel Ice Lake, GRU's step,
/// H 16: 1.17 times as fast). The compiler would join the two divisions of one vector.
typealias Halves<Half: Lanes> = Joined<Half, Half>

/// Two vectors, or parts of them, side by side.
struct Joined<First: Lanes, Second: Lanes>: Lanes where First.Scalar == Second.Scalar {
  typealias Scalar = First.Scalar
  private var first: First
  private var second: Second

  @inline(always) private init(_ first: First, _ second: Second) {
    self.first = first
    self.second = second
  }
  @inline(always) static var count: Int { First.count &+ Second.count }
  @inline(always) init(_ scalar: Scalar) { self.init(First(scalar), Second(scalar)) }
  @inline(always) init(at source: UnsafePointer<Scalar>) {
    self.init(First(at: source), Second(at: source + First.count))
  }
  @inline(always) func store(at target: UnsafeMutablePointer<Scalar>) {
    first.store(at: target)
    second.store(at: target + First.count)
  }
  @inline(always) static func + (a: Self, b: Self) -> Self { Self(a.first + b.first, a.second + b.second) }
  @inline(always) static func - (a: Self, b: Self) -> Self { Self(a.first - b.first, a.second - b.second) }
  @inline(always) static func * (a: Self, b: Self) -> Self { Self(a.first * b.first, a.second * b.second) }
  @inline(always) static func / (a: Self, b: Self) -> Self { Self(a.first / b.first, a.second / b.second) }
  @inline(always) func adding(_ a: Self, times b: Self) -> Self {
    Self(first.adding(a.first, times: b.first), second.adding(a.second, times: b.second))
  }
  @inline(always) mutating func add(_ value: Scalar, times weights: UnsafePointer<Scalar>) {
    first.add(value, times: weights)
    second.add(value, times: weights + First.count)
  }
  @inline(always) mutating func add(_ value: Scalar, timesEvenHalvesAt weights: UnsafePointer<Scalar>) {
    first.add(value, timesEvenHalvesAt: weights)
    second.add(value, timesEvenHalvesAt: weights + First.count)
  }
  @inline(always) mutating func add(_ value: Scalar, timesOddHalvesAt weights: UnsafePointer<Scalar>) {
    first.add(value, timesOddHalvesAt: weights)
    second.add(value, timesOddHalvesAt: weights + First.count)
  }
  @inline(always) mutating func add(_ value: Scalar, timesWordsAt weights: UnsafePointer<Scalar>) {
    first.add(value, timesWordsAt: weights)
    second.add(value, timesWordsAt: weights + First.count)
  }
  @inline(always) mutating func add(_ value: Scalar, timesBytesAt weights: UnsafePointer<Scalar>) {
    first.add(value, timesBytesAt: weights)
    second.add(value, timesBytesAt: weights + First.count)
  }
  @inline(always) mutating func add(_ value: Scalar, timesShortsAt weights: UnsafePointer<Scalar>) {
    first.add(value, timesShortsAt: weights)
    second.add(value, timesShortsAt: weights + First.count)
  }
  @inline(always) var ofIntegers: Self { Self(first.ofIntegers, second.ofIntegers) }
  @inline(always) func subtracting(_ a: Self, times b: Self) -> Self {
    Self(first.subtracting(a.first, times: b.first), second.subtracting(a.second, times: b.second))
  }
  @inline(always) func adding(_ a: Self, times b: Scalar) -> Self {
    Self(first.adding(a.first, times: b), second.adding(a.second, times: b))
  }
  @inline(always) func subtracting(_ a: Self, times b: Scalar) -> Self {
    Self(first.subtracting(a.first, times: b), second.subtracting(a.second, times: b))
  }
  @inline(always) func atMost(_ limit: Scalar) -> Self { Self(first.atMost(limit), second.atMost(limit)) }
  @inline(always) func kept(wherePositive x: Self, else other: Self) -> Self {
    Self(
      first.kept(wherePositive: x.first, else: other.first), second.kept(wherePositive: x.second, else: other.second))
  }
  @inline(always) var magnitude: Self { Self(first.magnitude, second.magnitude) }
  @inline(always) func withSign(of other: Self) -> Self {
    Self(first.withSign(of: other.first), second.withSign(of: other.second))
  }
  @inline(always) var exp2OfShifted: Self { Self(first.exp2OfShifted, second.exp2OfShifted) }
}

/// Two vectors side by side.
///
/// They keep the multiply-add units busier than one: in an activation, each operation depends on the one before, and
/// the processor looks only some hundred instructions ahead. LSTM forward, one run: 1.36 instead of 1.69 ns a unit on
/// AVX-512, 1.81 instead of 2.27 on AVX2.
protocol VectorPair: Lanes {
  associatedtype Vector: SingleVector where Vector.Scalar == Scalar
  init(_ first: Vector, _ second: Vector)
  var first: Vector { get }
  var second: Vector { get }
}

/// One vector of a pair. A gate tile is read and written one such vector at a time.
protocol SingleVector: BitwiseCopyable {
  associatedtype Scalar: LaneElement
  static var count: Int { get }
  init(at source: UnsafePointer<Scalar>)
  func store(at target: UnsafeMutablePointer<Scalar>)
  /// The first `count` scalars from an address on, fewer than a vector has; the others are zero. No other memory is
  /// touched.
  init(partAt source: UnsafePointer<Scalar>, _ count: Int)
  /// Stores the first `count` scalars, fewer than a vector has. No other memory is touched.
  func storePart(at target: UnsafeMutablePointer<Scalar>, _ count: Int)
  /// self + a · b
  func adding(_ a: Self, times b: Self) -> Self
}
