import CRecurrentKernels

/// 128 bytes of doubles.
struct DoublePair: VectorPair {
  fileprivate var lanes: SIMD16<Double>

  @inline(always) fileprivate init(lanes: SIMD16<Double>) { self.lanes = lanes }
  @inline(always) static var count: Int { 16 }
  @inline(always) init(at source: UnsafePointer<Double>) { lanes = lanes_load_f64_pair(source) }
  @inline(always) func store(at target: UnsafeMutablePointer<Double>) { lanes_store_f64_pair(target, lanes) }
  @inline(always) init(_ scalar: Double) { lanes = lanes_splat_f64_pair(scalar) }
  @inline(always) mutating func add(_ value: Double, times weights: UnsafePointer<Double>) {
    lanes_add_products_f64_pair(&lanes, value, weights)
  }
  @inline(always) static func + (a: Self, b: Self) -> Self { Self(lanes: lanes_add_f64_pair(a.lanes, b.lanes)) }
  @inline(always) static func - (a: Self, b: Self) -> Self { Self(lanes: lanes_sub_f64_pair(a.lanes, b.lanes)) }
  @inline(always) static func * (a: Self, b: Self) -> Self { Self(lanes: lanes_mul_f64_pair(a.lanes, b.lanes)) }
  @inline(always) static func / (a: Self, b: Self) -> Self { Self(lanes: lanes_div_f64_pair(a.lanes, b.lanes)) }
  @inline(always) func adding(_ a: Self, times b: Self) -> Self {
    Self(lanes: lanes_muladd_f64_pair(lanes, a.lanes, b.lanes))
  }
  @inline(always) func subtracting(_ a: Self, times b: Self) -> Self {
    Self(lanes: lanes_mulsub_f64_pair(lanes, a.lanes, b.lanes))
  }
  @inline(always) func adding(_ a: Self, times b: Double) -> Self {
    Self(lanes: lanes_muladd_scalar_f64_pair(lanes, a.lanes, b))
  }
  @inline(always) func subtracting(_ a: Self, times b: Double) -> Self {
    Self(lanes: lanes_mulsub_scalar_f64_pair(lanes, a.lanes, b))
  }
  @inline(always) func atMost(_ limit: Double) -> Self { Self(lanes: lanes_at_most_f64_pair(lanes, limit)) }
  @inline(always) func kept(wherePositive x: Self, else other: Self) -> Self {
    Self(lanes: lanes_keep_where_positive_f64_pair(lanes, x.lanes, other.lanes))
  }
  @inline(always) var magnitude: Self { Self(lanes: lanes_magnitude_f64_pair(lanes)) }
  @inline(always) func withSign(of other: Self) -> Self { Self(lanes: lanes_add_sign_f64_pair(lanes, other.lanes)) }
  @inline(always) var exp2OfShifted: Self { Self(lanes: lanes_exp2_of_shifted_f64_pair(lanes)) }

  @inline(always) init(_ first: DoubleVector, _ second: DoubleVector) {
    lanes = lanes_pair_f64(first.lanes, second.lanes)
  }
  @inline(always) var first: DoubleVector { DoubleVector(lanes: lanes_first_f64(lanes)) }
  @inline(always) var second: DoubleVector { DoubleVector(lanes: lanes_second_f64(lanes)) }
}

/// 64 bytes of doubles.
struct DoubleVector: SingleVector {
  fileprivate let lanes: SIMD8<Double>

  @inline(always) fileprivate init(lanes: SIMD8<Double>) { self.lanes = lanes }
  @inline(always) static var count: Int { 8 }
  @inline(always) init(at source: UnsafePointer<Double>) { lanes = lanes_load_f64(source) }
  @inline(always) func store(at target: UnsafeMutablePointer<Double>) { lanes_store_f64(target, lanes) }
  @inline(always) init(partAt source: UnsafePointer<Double>, _ count: Int) {
    lanes = lanes_load_part_f64(source, count, 0)
  }
  @inline(always) func storePart(at target: UnsafeMutablePointer<Double>, _ count: Int) {
    lanes_store_part_f64(target, lanes, count)
  }
  @inline(always) func adding(_ a: Self, times b: Self) -> Self {
    Self(lanes: lanes_muladd_f64(lanes, a.lanes, b.lanes))
  }
}

/// 32 bytes of doubles.
struct DoubleHalf: Lanes {
  fileprivate var lanes: SIMD4<Double>

  @inline(always) fileprivate init(lanes: SIMD4<Double>) { self.lanes = lanes }
  @inline(always) static var count: Int { 4 }
  @inline(always) init(at source: UnsafePointer<Double>) { lanes = lanes_load_f64_half(source) }
  @inline(always) func store(at target: UnsafeMutablePointer<Double>) { lanes_store_f64_half(target, lanes) }
  @inline(always) init(_ scalar: Double) { lanes = lanes_splat_f64_half(scalar) }
  @inline(always) mutating func add(_ value: Double, times weights: UnsafePointer<Double>) {
    lanes_add_products_f64_half(&lanes, value, weights)
  }
  @inline(always) static func + (a: Self, b: Self) -> Self { Self(lanes: lanes_add_f64_half(a.lanes, b.lanes)) }
  @inline(always) static func - (a: Self, b: Self) -> Self { Self(lanes: lanes_sub_f64_half(a.lanes, b.lanes)) }
  @inline(always) static func * (a: Self, b: Self) -> Self { Self(lanes: lanes_mul_f64_half(a.lanes, b.lanes)) }
  @inline(always) static func / (a: Self, b: Self) -> Self { Self(lanes: lanes_div_f64_half(a.lanes, b.lanes)) }
  @inline(always) func adding(_ a: Self, times b: Self) -> Self {
    Self(lanes: lanes_muladd_f64_half(lanes, a.lanes, b.lanes))
  }
  @inline(always) func subtracting(_ a: Self, times b: Self) -> Self {
    Self(lanes: lanes_mulsub_f64_half(lanes, a.lanes, b.lanes))
  }
  @inline(always) func adding(_ a: Self, times b: Double) -> Self {
    Self(lanes: lanes_muladd_scalar_f64_half(lanes, a.lanes, b))
  }
  @inline(always) func subtracting(_ a: Self, times b: Double) -> Self {
    Self(lanes: lanes_mulsub_scalar_f64_half(lanes, a.lanes, b))
  }
  @inline(always) func atMost(_ limit: Double) -> Self { Self(lanes: lanes_at_most_f64_half(lanes, limit)) }
  @inline(always) func kept(wherePositive x: Self, else other: Self) -> Self {
    Self(lanes: lanes_keep_where_positive_f64_half(lanes, x.lanes, other.lanes))
  }
  @inline(always) var magnitude: Self { Self(lanes: lanes_magnitude_f64_half(lanes)) }
  @inline(always) func withSign(of other: Self) -> Self { Self(lanes: lanes_add_sign_f64_half(lanes, other.lanes)) }
  @inline(always) var exp2OfShifted: Self { Self(lanes: lanes_exp2_of_shifted_f64_half(lanes)) }
}

/// `Lanes` asks for these, but only floats have fewer bits (`LaneElement.canBeRounded`).
extension Lanes where Scalar == Double {
  @inline(always) mutating func add(_ value: Scalar, timesEvenHalvesAt weights: UnsafePointer<Scalar>) {
    stop_at_wrong_step()
  }
  @inline(always) mutating func add(_ value: Scalar, timesOddHalvesAt weights: UnsafePointer<Scalar>) {
    stop_at_wrong_step()
  }
  @inline(always) mutating func add(_ value: Scalar, timesWordsAt weights: UnsafePointer<Scalar>) {
    stop_at_wrong_step()
  }
  @inline(always) mutating func add(_ value: Scalar, timesBytesAt weights: UnsafePointer<Scalar>) {
    stop_at_wrong_step()
  }
  @inline(always) mutating func add(_ value: Scalar, timesShortsAt weights: UnsafePointer<Scalar>) {
    stop_at_wrong_step()
  }
  @inline(always) var ofIntegers: Self {
    stop_at_wrong_step()
    return self
  }
}
