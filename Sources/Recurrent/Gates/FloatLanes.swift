import CRecurrentKernels

/// 128 bytes of floats.
struct FloatPair: VectorPair {
  fileprivate var lanes: SIMD32<Float>

  @inline(always) fileprivate init(lanes: SIMD32<Float>) { self.lanes = lanes }
  @inline(always) static var count: Int { 32 }
  @inline(always) init(at source: UnsafePointer<Float>) { lanes = lanes_load_f32_pair(source) }
  @inline(always) func store(at target: UnsafeMutablePointer<Float>) { lanes_store_f32_pair(target, lanes) }
  @inline(always) init(_ scalar: Float) { lanes = lanes_splat_f32_pair(scalar) }
  @inline(always) mutating func add(_ value: Float, times weights: UnsafePointer<Float>) {
    lanes_add_products_f32_pair(&lanes, value, weights)
  }
  @inline(always) mutating func add(_ value: Float, timesEvenHalvesAt weights: UnsafePointer<Float>) {
    lanes_add_products_of_even_halves_f32_pair(&lanes, value, weights)
  }
  @inline(always) mutating func add(_ value: Float, timesOddHalvesAt weights: UnsafePointer<Float>) {
    lanes_add_products_of_odd_halves_f32_pair(&lanes, value, weights)
  }
  @inline(always) mutating func add(_ value: Float, timesWordsAt weights: UnsafePointer<Float>) {
    lanes_add_products_of_words_f32_pair(&lanes, value, weights)
  }
  @inline(always) mutating func add(_ value: Float, timesBytesAt weights: UnsafePointer<Float>) {
    lanes_add_products_of_bytes_f32_pair(&lanes, value, weights)
  }
  @inline(always) mutating func add(_ value: Float, timesShortsAt weights: UnsafePointer<Float>) {
    lanes_add_products_of_shorts_f32_pair(&lanes, value, weights)
  }
  @inline(always) var ofIntegers: Self { Self(lanes: lanes_of_integers_f32_pair(lanes)) }
  @inline(always) static func + (a: Self, b: Self) -> Self { Self(lanes: lanes_add_f32_pair(a.lanes, b.lanes)) }
  @inline(always) static func - (a: Self, b: Self) -> Self { Self(lanes: lanes_sub_f32_pair(a.lanes, b.lanes)) }
  @inline(always) static func * (a: Self, b: Self) -> Self { Self(lanes: lanes_mul_f32_pair(a.lanes, b.lanes)) }
  @inline(always) static func / (a: Self, b: Self) -> Self { Self(lanes: lanes_div_f32_pair(a.lanes, b.lanes)) }
  @inline(always) func adding(_ a: Self, times b: Self) -> Self {
    Self(lanes: lanes_muladd_f32_pair(lanes, a.lanes, b.lanes))
  }
  @inline(always) func subtracting(_ a: Self, times b: Self) -> Self {
    Self(lanes: lanes_mulsub_f32_pair(lanes, a.lanes, b.lanes))
  }
  @inline(always) func adding(_ a: Self, times b: Float) -> Self {
    Self(lanes: lanes_muladd_scalar_f32_pair(lanes, a.lanes, b))
  }
  @inline(always) func subtracting(_ a: Self, times b: Float) -> Self {
    Self(lanes: lanes_mulsub_scalar_f32_pair(lanes, a.lanes, b))
  }
  @inline(always) func atMost(_ limit: Float) -> Self { Self(lanes: lanes_at_most_f32_pair(lanes, limit)) }
  @inline(always) func kept(wherePositive x: Self, else other: Self) -> Self {
    Self(lanes: lanes_keep_where_positive_f32_pair(lanes, x.lanes, other.lanes))
  }
  @inline(always) var magnitude: Self { Self(lanes: lanes_magnitude_f32_pair(lanes)) }
  @inline(always) func withSign(of other: Self) -> Self { Self(lanes: lanes_add_sign_f32_pair(lanes, other.lanes)) }
  @inline(always) var exp2OfShifted: Self { Self(lanes: lanes_exp2_of_shifted_f32_pair(lanes)) }

  @inline(always) init(_ first: FloatVector, _ second: FloatVector) {
    lanes = lanes_pair_f32(first.lanes, second.lanes)
  }
  @inline(always) var first: FloatVector { FloatVector(lanes: lanes_first_f32(lanes)) }
  @inline(always) var second: FloatVector { FloatVector(lanes: lanes_second_f32(lanes)) }
}

/// 64 bytes of floats.
struct FloatVector: SingleVector {
  fileprivate let lanes: SIMD16<Float>

  @inline(always) fileprivate init(lanes: SIMD16<Float>) { self.lanes = lanes }
  @inline(always) static var count: Int { 16 }
  @inline(always) init(at source: UnsafePointer<Float>) { lanes = lanes_load_f32(source) }
  @inline(always) func store(at target: UnsafeMutablePointer<Float>) { lanes_store_f32(target, lanes) }
  @inline(always) init(partAt source: UnsafePointer<Float>, _ count: Int) {
    lanes = lanes_load_part_f32(source, count, 0)
  }
  @inline(always) func storePart(at target: UnsafeMutablePointer<Float>, _ count: Int) {
    lanes_store_part_f32(target, lanes, count)
  }
  @inline(always) func adding(_ a: Self, times b: Self) -> Self {
    Self(lanes: lanes_muladd_f32(lanes, a.lanes, b.lanes))
  }
}

/// 32 bytes of floats.
struct FloatHalf: Lanes {
  fileprivate var lanes: SIMD8<Float>

  @inline(always) fileprivate init(lanes: SIMD8<Float>) { self.lanes = lanes }
  @inline(always) static var count: Int { 8 }
  @inline(always) init(at source: UnsafePointer<Float>) { lanes = lanes_load_f32_half(source) }
  @inline(always) func store(at target: UnsafeMutablePointer<Float>) { lanes_store_f32_half(target, lanes) }
  @inline(always) init(_ scalar: Float) { lanes = lanes_splat_f32_half(scalar) }
  @inline(always) mutating func add(_ value: Float, times weights: UnsafePointer<Float>) {
    lanes_add_products_f32_half(&lanes, value, weights)
  }
  @inline(always) mutating func add(_ value: Float, timesEvenHalvesAt weights: UnsafePointer<Float>) {
    lanes_add_products_of_even_halves_f32_half(&lanes, value, weights)
  }
  @inline(always) mutating func add(_ value: Float, timesOddHalvesAt weights: UnsafePointer<Float>) {
    lanes_add_products_of_odd_halves_f32_half(&lanes, value, weights)
  }
  @inline(always) mutating func add(_ value: Float, timesWordsAt weights: UnsafePointer<Float>) {
    lanes_add_products_of_words_f32_half(&lanes, value, weights)
  }
  @inline(always) mutating func add(_ value: Float, timesBytesAt weights: UnsafePointer<Float>) {
    lanes_add_products_of_bytes_f32_half(&lanes, value, weights)
  }
  @inline(always) mutating func add(_ value: Float, timesShortsAt weights: UnsafePointer<Float>) {
    lanes_add_products_of_shorts_f32_half(&lanes, value, weights)
  }
  @inline(always) var ofIntegers: Self { Self(lanes: lanes_of_integers_f32_half(lanes)) }
  @inline(always) static func + (a: Self, b: Self) -> Self { Self(lanes: lanes_add_f32_half(a.lanes, b.lanes)) }
  @inline(always) static func - (a: Self, b: Self) -> Self { Self(lanes: lanes_sub_f32_half(a.lanes, b.lanes)) }
  @inline(always) static func * (a: Self, b: Self) -> Self { Self(lanes: lanes_mul_f32_half(a.lanes, b.lanes)) }
  @inline(always) static func / (a: Self, b: Self) -> Self { Self(lanes: lanes_div_f32_half(a.lanes, b.lanes)) }
  @inline(always) func adding(_ a: Self, times b: Self) -> Self {
    Self(lanes: lanes_muladd_f32_half(lanes, a.lanes, b.lanes))
  }
  @inline(always) func subtracting(_ a: Self, times b: Self) -> Self {
    Self(lanes: lanes_mulsub_f32_half(lanes, a.lanes, b.lanes))
  }
  @inline(always) func adding(_ a: Self, times b: Float) -> Self {
    Self(lanes: lanes_muladd_scalar_f32_half(lanes, a.lanes, b))
  }
  @inline(always) func subtracting(_ a: Self, times b: Float) -> Self {
    Self(lanes: lanes_mulsub_scalar_f32_half(lanes, a.lanes, b))
  }
  @inline(always) func atMost(_ limit: Float) -> Self { Self(lanes: lanes_at_most_f32_half(lanes, limit)) }
  @inline(always) func kept(wherePositive x: Self, else other: Self) -> Self {
    Self(lanes: lanes_keep_where_positive_f32_half(lanes, x.lanes, other.lanes))
  }
  @inline(always) var magnitude: Self { Self(lanes: lanes_magnitude_f32_half(lanes)) }
  @inline(always) func withSign(of other: Self) -> Self { Self(lanes: lanes_add_sign_f32_half(lanes, other.lanes)) }
  @inline(always) var exp2OfShifted: Self { Self(lanes: lanes_exp2_of_shifted_f32_half(lanes)) }
}
