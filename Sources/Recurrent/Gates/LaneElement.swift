import CRecurrentKernels

/// A scalar with vectors of 64 bytes. Gate passes are generic over it.
///
/// Each operation calls the one of the same name in lanes.h. It works in place, and its operands pass by address.
protocol LaneElement: BinaryFloatingPoint, BitwiseCopyable, ExpConstants {
  associatedtype Register: BitwiseCopyable
  /// The number of scalars in a register.
  static var laneCount: Int { get }
  static func splat(_ value: Self) -> Register
  static func add(_ a: inout Register, _ b: inout Register)
  static func sub(_ a: inout Register, _ b: inout Register)
  static func mul(_ a: inout Register, _ b: inout Register)
  static func div(_ a: inout Register, _ b: inout Register)
  /// sum += a · b
  static func muladd(_ sum: inout Register, _ a: inout Register, _ b: inout Register)
  /// sum -= a · b
  static func mulsub(_ sum: inout Register, _ a: inout Register, _ b: inout Register)
  static func atMost(_ a: inout Register, _ limit: inout Register)
  static func keepWherePositive(_ a: inout Register, _ x: inout Register, _ other: inout Register)
  static func magnitude(_ a: inout Register)
  static func addSign(_ a: inout Register, _ b: inout Register)
  static func exp2OfShifted(_ a: inout Register)
  static func loadPart(_ a: inout Register, _ source: UnsafePointer<Self>, _ count: Int)
  static func storePart(_ target: UnsafeMutablePointer<Self>, _ a: inout Register, _ count: Int)
  /// The p with 1 - exp(-2^k·r) = 2^k·(r + p·r²), where `factor` is 2^k, 1 or 2. It is the factor times minus
  /// (exp(y) - 1 - y) / y², computed by a minimax polynomial in y = -2^k·r.
  static func expSeries<L: Lanes>(_ r: L, factor: Self) -> L where L.Scalar == Self
}

extension Float: LaneElement {
  typealias Register = SIMD16<Float>
  @inline(always) static var laneCount: Int { 16 }
  @inline(always) static func splat(_ value: Float) -> Register { Register(repeating: value) }
  @inline(always) static func add(_ a: inout Register, _ b: inout Register) { lanes_add_f32(&a, &b) }
  @inline(always) static func sub(_ a: inout Register, _ b: inout Register) { lanes_sub_f32(&a, &b) }
  @inline(always) static func mul(_ a: inout Register, _ b: inout Register) { lanes_mul_f32(&a, &b) }
  @inline(always) static func div(_ a: inout Register, _ b: inout Register) { lanes_div_f32(&a, &b) }
  @inline(always) static func muladd(_ sum: inout Register, _ a: inout Register, _ b: inout Register) {
    lanes_muladd_f32(&sum, &a, &b)
  }
  @inline(always) static func mulsub(_ sum: inout Register, _ a: inout Register, _ b: inout Register) {
    lanes_mulsub_f32(&sum, &a, &b)
  }
  @inline(always) static func atMost(_ a: inout Register, _ limit: inout Register) { lanes_at_most_f32(&a, &limit) }
  @inline(always) static func keepWherePositive(_ a: inout Register, _ x: inout Register, _ other: inout Register) {
    lanes_keep_where_positive_f32(&a, &x, &other)
  }
  @inline(always) static func magnitude(_ a: inout Register) { lanes_magnitude_f32(&a) }
  @inline(always) static func addSign(_ a: inout Register, _ b: inout Register) { lanes_add_sign_f32(&a, &b) }
  @inline(always) static func exp2OfShifted(_ a: inout Register) { lanes_exp2_of_shifted_f32(&a) }
  @inline(always) static func loadPart(_ a: inout Register, _ source: UnsafePointer<Float>, _ count: Int) {
    lanes_load_part_f32(&a, source, count)
  }
  @inline(always) static func storePart(_ target: UnsafeMutablePointer<Float>, _ a: inout Register, _ count: Int) {
    lanes_store_part_f32(target, &a, count)
  }
}

extension Double: LaneElement {
  typealias Register = SIMD8<Double>
  @inline(always) static var laneCount: Int { 8 }
  @inline(always) static func splat(_ value: Double) -> Register { Register(repeating: value) }
  @inline(always) static func add(_ a: inout Register, _ b: inout Register) { lanes_add_f64(&a, &b) }
  @inline(always) static func sub(_ a: inout Register, _ b: inout Register) { lanes_sub_f64(&a, &b) }
  @inline(always) static func mul(_ a: inout Register, _ b: inout Register) { lanes_mul_f64(&a, &b) }
  @inline(always) static func div(_ a: inout Register, _ b: inout Register) { lanes_div_f64(&a, &b) }
  @inline(always) static func muladd(_ sum: inout Register, _ a: inout Register, _ b: inout Register) {
    lanes_muladd_f64(&sum, &a, &b)
  }
  @inline(always) static func mulsub(_ sum: inout Register, _ a: inout Register, _ b: inout Register) {
    lanes_mulsub_f64(&sum, &a, &b)
  }
  @inline(always) static func atMost(_ a: inout Register, _ limit: inout Register) { lanes_at_most_f64(&a, &limit) }
  @inline(always) static func keepWherePositive(_ a: inout Register, _ x: inout Register, _ other: inout Register) {
    lanes_keep_where_positive_f64(&a, &x, &other)
  }
  @inline(always) static func magnitude(_ a: inout Register) { lanes_magnitude_f64(&a) }
  @inline(always) static func addSign(_ a: inout Register, _ b: inout Register) { lanes_add_sign_f64(&a, &b) }
  @inline(always) static func exp2OfShifted(_ a: inout Register) { lanes_exp2_of_shifted_f64(&a) }
  @inline(always) static func loadPart(_ a: inout Register, _ source: UnsafePointer<Double>, _ count: Int) {
    lanes_load_part_f64(&a, source, count)
  }
  @inline(always) static func storePart(_ target: UnsafeMutablePointer<Double>, _ a: inout Register, _ count: Int) {
    lanes_store_part_f64(target, &a, count)
  }
}
