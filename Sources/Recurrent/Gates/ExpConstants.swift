/// The constants with which activations compute exp in one scalar: exp(-x) = 2^n·exp(-r) with r = x + n·ln 2,
/// |r| ≤ ln 2 / 2.
protocol ExpConstants {
  /// 1.5·2^m plus the bias of the exponent, where m is the number of bits after the point. Adding it rounds to an
  /// integer n and leaves the exponent field of 2^n in the low bits.
  static var exponentShift: Self { get }
  /// 1 / ln 2
  static var log2OfE: Self { get }
  /// ln 2 as the sum of two numbers. The product of the first one and any n of σ is exact.
  static var ln2: (high: Self, low: Self) { get }
  /// ln 2 / 2
  static var halfLn2: Self { get }
  /// 2^k, and k. exp(-sigmoidLimit)·2^k is not denormal.
  static var sigmoidScale: (power: Self, k: Self) { get }
  /// exp(-sigmoidLimit) rounds to zero.
  static var sigmoidLimit: Self { get }
  /// tanh(tanhLimit) rounds to one.
  static var tanhLimit: Self { get }
  /// Whether the division in tanh gives the distance from a center near the value. That takes six more operations and
  /// saves up to 0.2 ULP.
  static var centersTanh: Bool { get }
}

extension Float {
  @inline(always) static var exponentShift: Float { 12_582_912 + 127 }
  @inline(always) static var log2OfE: Float { 1.442_695_04 }
  @inline(always) static var ln2: (high: Float, low: Float) { (0.693_359_375, -2.121_944_40e-4) }
  @inline(always) static var halfLn2: Float { 0.346_573_59 }
  @inline(always) static var sigmoidScale: (power: Float, k: Float) { (16_777_216, 24) }
  @inline(always) static var sigmoidLimit: Float { 104 }
  @inline(always) static var tanhLimit: Float { 9.1 }
  @inline(always) static var centersTanh: Bool { false }

  /// A polynomial of degree 4, whose error is 3.1e-9 of exp.
  @inline(always) static func expSeries<L: Lanes>(_ r: L, squared r2: L, factor f: Float) -> L
  where L.Scalar == Float {
    let f2 = f * f, f4 = f2 * f2
    let high = L(f4 * 0.008_368_781).adding(r, times: f4 * f * -0.001_381_446_5)
    let rest = L(f2 * 0.166_665_196).adding(r, times: f2 * f * -0.041_668_393).adding(high, times: r2)
    return L(f * -0.499_999_94).adding(rest, times: r)
  }
}

extension Double {
  @inline(always) static var exponentShift: Double { 0x1.8p52 + 1023 }
  @inline(always) static var log2OfE: Double { 1.442_695_040_888_963_4 }
  @inline(always) static var ln2: (high: Double, low: Double) { (0x1.62e42fefa38p-1, 0x1.ef35793c7673p-45) }
  @inline(always) static var halfLn2: Double { 0.346_573_590_279_972_64 }
  @inline(always) static var sigmoidScale: (power: Double, k: Double) { (0x1p54, 54) }
  @inline(always) static var sigmoidLimit: Double { 745.2 }
  @inline(always) static var tanhLimit: Double { 19.1 }
  @inline(always) static var centersTanh: Bool { true }

  /// A polynomial of degree 10, whose error is 2.9e-19 of exp.
  @inline(always) static func expSeries<L: Lanes>(_ r: L, squared r2: L, factor f: Double) -> L
  where L.Scalar == Double {
    let f2 = f * f, f4 = f2 * f2, f8 = f4 * f4, r4 = r2 * r2
    let p01 = L(f * -0.5).adding(r, times: f2 * 0x1.5555555555557p-3)
    let p23 = L(f2 * f * -0x1.5555555555558p-5).adding(r, times: f4 * 0x1.11111111100dfp-7)
    let p45 = L(f4 * f * -0x1.6c16c16c15203p-10).adding(r, times: f4 * f2 * 0x1.a01a01abe650bp-13)
    let p67 = L(f4 * f2 * f * -0x1.a01a01acf844ep-16).adding(r, times: f8 * 0x1.71de0236ee8f8p-19)
    let p89 = L(f8 * f * -0x1.27e4ccd3e878p-22).adding(r, times: f8 * f2 * 0x1.af4dde4d2b6acp-26)
    let p8 = p89.adding(r2, times: f8 * f2 * f * -0x1.1f8b425d6e9ffp-29)
    let low = p01.adding(p23, times: r2), high = p45.adding(p67, times: r2).adding(p8, times: r4)
    return low.adding(high, times: r4)
  }
}
