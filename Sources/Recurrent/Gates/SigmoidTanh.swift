import CRecurrentKernels

/// σ(x) = 1 / (1 + exp(-x))
///
/// Max error: float 1.62 ULP (1.48 with fused multiply-adds), all 2^32 floats, denormal results included; double 1.61
/// ULP (1.48 with them) on the 2·10^7 arguments of `recurrent-bench --accuracy`.
/// Special values: σ(-∞) = 0, σ(+∞) = 1, σ(NaN) = NaN.
///
/// With e = exp(-|x|) and q = e / (1 + e): σ(x) = 1 - q for x > 0 and e - e·q otherwise. Dividing once more by the
/// rounded 1 + e instead would count its rounding error twice (2.4 ULP in float). e and q are scaled by a power of two,
/// so that they are not denormal. Only e without its scale can be denormal, and then the result is too.
@inline(always) func sigmoid<L: Lanes>(_ x: L) -> L {
  typealias E = L.Scalar
  let magnitude = x.magnitude.atMost(E.sigmoidLimit)
  let shift = L(E.exponentShift + E.sigmoidScale.k)
  let shifted = shift.subtracting(magnitude, times: E.log2OfE)
  let n = shifted - shift
  // r = |x| + n·ln 2, with ln 2 as the sum of two numbers, because n goes down to -150 in float and to -1075 in double
  let r = magnitude.adding(n, times: E.ln2.high).adding(n, times: E.ln2.low)
  let r2 = r * r
  let p = E.expSeries(r, squared: r2, factor: 1)
  let t = r.adding(p, times: r2)  // 1 - exp(-r)
  let power = shifted.exp2OfShifted  // 2^n, scaled
  let e = power.subtracting(t, times: power)
  let q = e / (power + L(E.sigmoidScale.power)).subtracting(t, times: power)
  let whole = L(1).kept(wherePositive: x, else: e * L(1 / E.sigmoidScale.power))
  return whole.subtracting(whole, times: q)
}

/// tanh(x)
///
/// Max error: float 1.99 ULP (1.96 with fused multiply-adds), all 2^32 floats, denormals included; double 1.95 ULP
/// (1.88 with them) on the 2·10^7 arguments of `recurrent-bench --accuracy`. Special values: tanh(±∞) = ±1,
/// tanh(±0) = ±0, tanh(NaN) = NaN.
///
/// With e = exp(-2|x|) = 2^n·(1 - 2t): |tanh(x)| = (1 - e) / (1 + e). Numerator and denominator are both halved, and
/// each is rounded once from t. So neither has the other's error, and small arguments keep their digits. In double that
/// would be 2.1 ULP. There the division gives the distance from a center (0, 1/4 or 1/2, depending on n); its rounding
/// errors are smaller.
@inline(always) func tanh<L: Lanes>(_ x: L) -> L {
  typealias E = L.Scalar
  let magnitude = x.magnitude.atMost(E.tanhLimit)
  let shift = L(E.exponentShift)
  let shifted = shift.subtracting(magnitude, times: 2 * E.log2OfE)
  let n = shifted - shift
  let r = magnitude.adding(n, times: E.halfLn2)  // |x| + n·ln 2 / 2
  let r2 = r * r
  let p = E.expSeries(r, squared: r2, factor: 2)
  let t = r.adding(p, times: r2)  // (1 - exp(-2r)) / 2
  let power = shifted.exp2OfShifted
  let half = L(0.5)
  let below = half.subtracting(power, times: half), above = half.adding(power, times: half)
  let sum = above.subtracting(t, times: power)
  guard E.centersTanh else { return (below.adding(t, times: power) / sum).withSign(of: x) }
  let center = (n * L(-0.25)).atMost(0.5)
  let difference = below.subtracting(center, times: above).adding(t, times: power).adding(t, times: center * power)
  return (center + difference / sum).withSign(of: x)
}
