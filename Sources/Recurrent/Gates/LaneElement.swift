import CRecurrentKernels

/// A scalar that gate equations are compiled for.
protocol LaneElement: BinaryFloatingPoint, BitwiseCopyable, ExpConstants {
  /// 64 bytes.
  associatedtype Register: PartialRegister where Register.Element == Self
  /// 32 bytes.
  associatedtype HalfRegister: LaneRegister where HalfRegister.Element == Self
  /// Whether weights may be rounded to half as many bits. Nothing that reads halves is compiled for other scalars.
  static var canBeHalves: Bool { get }
  /// The p with 1 - exp(-2^k·r) = 2^k·(r + p·r²), where `factor` is 2^k, 1 or 2. It is the factor times minus
  /// (exp(y) - 1 - y) / y², computed by a minimax polynomial in y = -2^k·r.
  ///
  /// Few operations depend on each other: with few units, nothing else runs while they wait.
  static func expSeries<L: Lanes>(_ r: L, squared: L, factor: Self) -> L where L.Scalar == Self
}
extension LaneElement {
  /// The number of scalars in a register of 64 bytes.
  @inline(always) static var laneCount: Int { Register.count }
}
extension Float: LaneElement {
  typealias Register = FloatRegister
  typealias HalfRegister = FloatHalfRegister
  @inline(always) static var canBeHalves: Bool { true }
}
extension Double: LaneElement {
  typealias Register = DoubleRegister
  typealias HalfRegister = DoubleHalfRegister
  @inline(always) static var canBeHalves: Bool { false }
}

/// A vector. Each operation calls the one of the same name in lanes.h. It works in place, and its operands pass by
/// address.
protocol LaneRegister: BitwiseCopyable {
  associatedtype Element: LaneElement
  /// The number of scalars.
  static var count: Int { get }
  static func splat(_ value: Element) -> Self
  static func add(_ a: inout Self, _ b: inout Self)
  static func sub(_ a: inout Self, _ b: inout Self)
  static func mul(_ a: inout Self, _ b: inout Self)
  static func div(_ a: inout Self, _ b: inout Self)
  /// sum += a · b
  static func muladd(_ sum: inout Self, _ a: inout Self, _ b: inout Self)
  /// sum -= a · b
  static func mulsub(_ sum: inout Self, _ a: inout Self, _ b: inout Self)
  static func atMost(_ a: inout Self, _ limit: inout Self)
  static func keepWherePositive(_ a: inout Self, _ x: inout Self, _ other: inout Self)
  static func magnitude(_ a: inout Self)
  static func addSign(_ a: inout Self, _ b: inout Self)
  static func exp2OfShifted(_ a: inout Self)
  static func evenHalves(_ a: inout Self, _ source: UnsafePointer<Element>)
  static func oddHalves(_ a: inout Self, _ source: UnsafePointer<Element>)
}

/// A vector of which parts can be loaded and stored.
protocol PartialRegister: LaneRegister {
  static func loadPart(_ a: inout Self, _ source: UnsafePointer<Element>, _ count: Int)
  static func storePart(_ target: UnsafeMutablePointer<Element>, _ a: inout Self, _ count: Int)
}

struct FloatRegister: PartialRegister {
  private var lanes: SIMD16<Float>

  @inline(always) static var count: Int { 16 }
  @inline(always) static func splat(_ value: Float) -> FloatRegister { FloatRegister(lanes: SIMD16(repeating: value)) }
  @inline(always) static func add(_ a: inout FloatRegister, _ b: inout FloatRegister) { lanes_add_f32(&a, &b) }
  @inline(always) static func sub(_ a: inout FloatRegister, _ b: inout FloatRegister) { lanes_sub_f32(&a, &b) }
  @inline(always) static func mul(_ a: inout FloatRegister, _ b: inout FloatRegister) { lanes_mul_f32(&a, &b) }
  @inline(always) static func div(_ a: inout FloatRegister, _ b: inout FloatRegister) { lanes_div_f32(&a, &b) }
  @inline(always) static func muladd(_ sum: inout FloatRegister, _ a: inout FloatRegister, _ b: inout FloatRegister) {
    lanes_muladd_f32(&sum, &a, &b)
  }
  @inline(always) static func mulsub(_ sum: inout FloatRegister, _ a: inout FloatRegister, _ b: inout FloatRegister) {
    lanes_mulsub_f32(&sum, &a, &b)
  }
  @inline(always) static func atMost(_ a: inout FloatRegister, _ limit: inout FloatRegister) {
    lanes_at_most_f32(&a, &limit)
  }
  @inline(always) static func keepWherePositive(
    _ a: inout FloatRegister, _ x: inout FloatRegister, _ other: inout FloatRegister
  ) {
    lanes_keep_where_positive_f32(&a, &x, &other)
  }
  @inline(always) static func magnitude(_ a: inout FloatRegister) { lanes_magnitude_f32(&a) }
  @inline(always) static func addSign(_ a: inout FloatRegister, _ b: inout FloatRegister) { lanes_add_sign_f32(&a, &b) }
  @inline(always) static func exp2OfShifted(_ a: inout FloatRegister) { lanes_exp2_of_shifted_f32(&a) }
  @inline(always) static func evenHalves(_ a: inout FloatRegister, _ source: UnsafePointer<Float>) {
    lanes_even_halves_f32(&a, source)
  }
  @inline(always) static func oddHalves(_ a: inout FloatRegister, _ source: UnsafePointer<Float>) {
    lanes_odd_halves_f32(&a, source)
  }
  @inline(always) static func loadPart(_ a: inout FloatRegister, _ source: UnsafePointer<Float>, _ count: Int) {
    lanes_load_part_f32(&a, source, count)
  }
  @inline(always) static func storePart(_ target: UnsafeMutablePointer<Float>, _ a: inout FloatRegister, _ count: Int) {
    lanes_store_part_f32(target, &a, count)
  }
}

struct FloatHalfRegister: LaneRegister {
  private var lanes: SIMD8<Float>

  @inline(always) static var count: Int { 8 }
  @inline(always) static func splat(_ value: Float) -> FloatHalfRegister {
    FloatHalfRegister(lanes: SIMD8(repeating: value))
  }
  @inline(always) static func add(_ a: inout FloatHalfRegister, _ b: inout FloatHalfRegister) {
    lanes_add_f32_half(&a, &b)
  }
  @inline(always) static func sub(_ a: inout FloatHalfRegister, _ b: inout FloatHalfRegister) {
    lanes_sub_f32_half(&a, &b)
  }
  @inline(always) static func mul(_ a: inout FloatHalfRegister, _ b: inout FloatHalfRegister) {
    lanes_mul_f32_half(&a, &b)
  }
  @inline(always) static func div(_ a: inout FloatHalfRegister, _ b: inout FloatHalfRegister) {
    lanes_div_f32_half(&a, &b)
  }
  @inline(always) static func muladd(
    _ sum: inout FloatHalfRegister, _ a: inout FloatHalfRegister, _ b: inout FloatHalfRegister
  ) {
    lanes_muladd_f32_half(&sum, &a, &b)
  }
  @inline(always) static func mulsub(
    _ sum: inout FloatHalfRegister, _ a: inout FloatHalfRegister, _ b: inout FloatHalfRegister
  ) {
    lanes_mulsub_f32_half(&sum, &a, &b)
  }
  @inline(always) static func atMost(_ a: inout FloatHalfRegister, _ limit: inout FloatHalfRegister) {
    lanes_at_most_f32_half(&a, &limit)
  }
  @inline(always) static func keepWherePositive(
    _ a: inout FloatHalfRegister, _ x: inout FloatHalfRegister, _ other: inout FloatHalfRegister
  ) {
    lanes_keep_where_positive_f32_half(&a, &x, &other)
  }
  @inline(always) static func magnitude(_ a: inout FloatHalfRegister) { lanes_magnitude_f32_half(&a) }
  @inline(always) static func addSign(_ a: inout FloatHalfRegister, _ b: inout FloatHalfRegister) {
    lanes_add_sign_f32_half(&a, &b)
  }
  @inline(always) static func exp2OfShifted(_ a: inout FloatHalfRegister) { lanes_exp2_of_shifted_f32_half(&a) }
  @inline(always) static func evenHalves(_ a: inout FloatHalfRegister, _ source: UnsafePointer<Float>) {
    lanes_even_halves_f32_half(&a, source)
  }
  @inline(always) static func oddHalves(_ a: inout FloatHalfRegister, _ source: UnsafePointer<Float>) {
    lanes_odd_halves_f32_half(&a, source)
  }
}

struct DoubleRegister: PartialRegister {
  private var lanes: SIMD8<Double>

  @inline(always) static var count: Int { 8 }
  @inline(always) static func splat(_ value: Double) -> DoubleRegister {
    DoubleRegister(lanes: SIMD8(repeating: value))
  }
  @inline(always) static func add(_ a: inout DoubleRegister, _ b: inout DoubleRegister) { lanes_add_f64(&a, &b) }
  @inline(always) static func sub(_ a: inout DoubleRegister, _ b: inout DoubleRegister) { lanes_sub_f64(&a, &b) }
  @inline(always) static func mul(_ a: inout DoubleRegister, _ b: inout DoubleRegister) { lanes_mul_f64(&a, &b) }
  @inline(always) static func div(_ a: inout DoubleRegister, _ b: inout DoubleRegister) { lanes_div_f64(&a, &b) }
  @inline(always) static func muladd(_ sum: inout DoubleRegister, _ a: inout DoubleRegister, _ b: inout DoubleRegister)
  {
    lanes_muladd_f64(&sum, &a, &b)
  }
  @inline(always) static func mulsub(_ sum: inout DoubleRegister, _ a: inout DoubleRegister, _ b: inout DoubleRegister)
  {
    lanes_mulsub_f64(&sum, &a, &b)
  }
  @inline(always) static func atMost(_ a: inout DoubleRegister, _ limit: inout DoubleRegister) {
    lanes_at_most_f64(&a, &limit)
  }
  @inline(always) static func keepWherePositive(
    _ a: inout DoubleRegister, _ x: inout DoubleRegister, _ other: inout DoubleRegister
  ) {
    lanes_keep_where_positive_f64(&a, &x, &other)
  }
  @inline(always) static func magnitude(_ a: inout DoubleRegister) { lanes_magnitude_f64(&a) }
  @inline(always) static func addSign(_ a: inout DoubleRegister, _ b: inout DoubleRegister) {
    lanes_add_sign_f64(&a, &b)
  }
  @inline(always) static func exp2OfShifted(_ a: inout DoubleRegister) { lanes_exp2_of_shifted_f64(&a) }
  @inline(always) static func evenHalves(_ a: inout DoubleRegister, _ source: UnsafePointer<Double>) {
    lanes_even_halves_f64(&a, source)
  }
  @inline(always) static func oddHalves(_ a: inout DoubleRegister, _ source: UnsafePointer<Double>) {
    lanes_odd_halves_f64(&a, source)
  }
  @inline(always) static func loadPart(_ a: inout DoubleRegister, _ source: UnsafePointer<Double>, _ count: Int) {
    lanes_load_part_f64(&a, source, count)
  }
  @inline(always) static func storePart(_ target: UnsafeMutablePointer<Double>, _ a: inout DoubleRegister, _ count: Int)
  {
    lanes_store_part_f64(target, &a, count)
  }
}

struct DoubleHalfRegister: LaneRegister {
  private var lanes: SIMD4<Double>

  @inline(always) static var count: Int { 4 }
  @inline(always) static func splat(_ value: Double) -> DoubleHalfRegister {
    DoubleHalfRegister(lanes: SIMD4(repeating: value))
  }
  @inline(always) static func add(_ a: inout DoubleHalfRegister, _ b: inout DoubleHalfRegister) {
    lanes_add_f64_half(&a, &b)
  }
  @inline(always) static func sub(_ a: inout DoubleHalfRegister, _ b: inout DoubleHalfRegister) {
    lanes_sub_f64_half(&a, &b)
  }
  @inline(always) static func mul(_ a: inout DoubleHalfRegister, _ b: inout DoubleHalfRegister) {
    lanes_mul_f64_half(&a, &b)
  }
  @inline(always) static func div(_ a: inout DoubleHalfRegister, _ b: inout DoubleHalfRegister) {
    lanes_div_f64_half(&a, &b)
  }
  @inline(always) static func muladd(
    _ sum: inout DoubleHalfRegister, _ a: inout DoubleHalfRegister, _ b: inout DoubleHalfRegister
  ) {
    lanes_muladd_f64_half(&sum, &a, &b)
  }
  @inline(always) static func mulsub(
    _ sum: inout DoubleHalfRegister, _ a: inout DoubleHalfRegister, _ b: inout DoubleHalfRegister
  ) {
    lanes_mulsub_f64_half(&sum, &a, &b)
  }
  @inline(always) static func atMost(_ a: inout DoubleHalfRegister, _ limit: inout DoubleHalfRegister) {
    lanes_at_most_f64_half(&a, &limit)
  }
  @inline(always) static func keepWherePositive(
    _ a: inout DoubleHalfRegister, _ x: inout DoubleHalfRegister, _ other: inout DoubleHalfRegister
  ) {
    lanes_keep_where_positive_f64_half(&a, &x, &other)
  }
  @inline(always) static func magnitude(_ a: inout DoubleHalfRegister) { lanes_magnitude_f64_half(&a) }
  @inline(always) static func addSign(_ a: inout DoubleHalfRegister, _ b: inout DoubleHalfRegister) {
    lanes_add_sign_f64_half(&a, &b)
  }
  @inline(always) static func exp2OfShifted(_ a: inout DoubleHalfRegister) { lanes_exp2_of_shifted_f64_half(&a) }
  @inline(always) static func evenHalves(_ a: inout DoubleHalfRegister, _ source: UnsafePointer<Double>) {
    lanes_even_halves_f64_half(&a, source)
  }
  @inline(always) static func oddHalves(_ a: inout DoubleHalfRegister, _ source: UnsafePointer<Double>) {
    lanes_odd_halves_f64_half(&a, source)
  }
}
