import CRecurrentKernels

/// 1.5·2^23 + 127: adding it rounds to an integer n and leaves 127 + n, the exponent field of 2^n, in the low bits.
private let roundingShift: Float = 12_582_912 + 127

/// (exp(r) - 1 - r) / r², |r| ≤ ln 2 / 2, of degree 4: minimax, 3.1e-9 of exp(r).
@inline(always) private var expSeries: (Float, Float, Float, Float, Float) {
  (0.499_999_94, 0.166_665_196, 0.041_668_393, 0.008_368_781, 0.001_381_446_5)
}

/// σ(x) = 1 / (1 + exp(-x))
///
/// Max error: 1.87 ULP (1.66 with fused multiply-adds), all 2^32 floats, denormal results included.
/// Special values: σ(-∞) = 0, σ(+∞) = 1, NaN is passed on.
///
/// With e = exp(-|x|) and q = e / (1 + e): σ(x) = 1 - q for x > 0 and e - e·q otherwise. Dividing once more by a rounded
/// 1 + e instead would double that rounding (2.4 ULP). All is scaled by 2^24, so that no intermediate is denormal.
@inline(always) func sigmoid(_ x: Lanes) -> Lanes {
  let scale: Float = 16_777_216
  let magnitude = x.magnitude.atMost(104)  // exp(-104) rounds to zero
  let shifted = Lanes(roundingShift + 24).subtracting(magnitude, times: Lanes(1.442_695_04))
  let n = shifted - Lanes(roundingShift + 24)
  // r = |x| + n·ln 2, in two parts: n goes down to -150
  let r = magnitude.adding(n, times: Lanes(0.693_359_375)).subtracting(n, times: Lanes(2.121_944_40e-4))
  let (c0, c1, c2, c3, c4) = expSeries
  var p = Lanes(c3).adding(r, times: Lanes(-c4))
  p = Lanes(-c2).adding(p, times: r)
  p = Lanes(c1).adding(p, times: r)
  p = Lanes(-c0).adding(p, times: r)
  let t = r.adding(p, times: r * r)  // 1 - exp(-r)
  let power = shifted.exp2OfShifted  // 2^(n + 24)
  let e = power.subtracting(t, times: power)
  let q = e / (e + Lanes(scale))
  let whole = Lanes(scale).kept(wherePositive: x, else: e)
  return whole.subtracting(whole, times: q) * Lanes(1 / scale)
}

/// tanh(x)
///
/// Max error: 1.99 ULP (1.96 with fused multiply-adds), all 2^32 floats, denormals included.
/// Special values: tanh(±∞) = ±1, the sign of zero is kept, NaN is passed on.
///
/// With e = exp(-2|x|) = 2^n·(1 - 2t): |tanh(x)| = (1 - e) / (1 + e), both halved, each rounded once from t alone, so
/// that neither carries the other's error and small arguments keep their digits.
@inline(always) func tanh(_ x: Lanes) -> Lanes {
  let magnitude = x.magnitude.atMost(9.1)  // tanh(9.1) rounds to 1
  let shifted = Lanes(roundingShift).subtracting(magnitude, times: Lanes(2.885_390_08))
  let n = shifted - Lanes(roundingShift)
  let r = magnitude.adding(n, times: Lanes(0.346_573_59))  // |x| + n·ln 2 / 2
  let (c0, c1, c2, c3, c4) = expSeries
  var p = Lanes(16 * c3).adding(r, times: Lanes(-32 * c4))
  p = Lanes(-8 * c2).adding(p, times: r)
  p = Lanes(4 * c1).adding(p, times: r)
  p = Lanes(-2 * c0).adding(p, times: r)
  let t = r.adding(p, times: r * r)  // (1 - exp(-2r)) / 2
  let power = shifted.exp2OfShifted
  let difference = Lanes(0.5).subtracting(power, times: Lanes(0.5)).adding(t, times: power)
  let sum = Lanes(0.5).adding(power, times: Lanes(0.5)).subtracting(t, times: power)
  return (difference / sum).withSign(of: x)
}

// MARK: - The activations alone, for measuring their accuracy

@c @implementation
func sigmoid_of(_ values: UnsafeMutablePointer<Float>, _ count: Int) {
  var i = 0
  while i < count {
    sigmoid(Lanes(values, twoVectors(at: i))).store(values, twoVectors(at: i))
    i &+= 2 &* Lanes.count
  }
}

@c @implementation
func tanh_of(_ values: UnsafeMutablePointer<Float>, _ count: Int) {
  var i = 0
  while i < count {
    tanh(Lanes(values, twoVectors(at: i))).store(values, twoVectors(at: i))
    i &+= 2 &* Lanes.count
  }
}

@inline(always) private func twoVectors(at index: Int) -> TilePlace {
  func sixteen(_ at: Int) -> TilePlace.Sixteen { TilePlace.Sixteen(at: at, row: 0, unit: at, count: Lanes.count) }
  return TilePlace(first: sixteen(index), second: sixteen(index &+ Lanes.count))
}

/// The two activations of the gates, as functions of their own.
public enum Activation: String, CaseIterable, Sendable {
  /// σ(x) = 1 / (1 + exp(-x))
  case sigmoid
  /// The hyperbolic tangent.
  case tanh

  /// Replaces each value by its activation.
  ///
  /// - Parameters:
  ///   - values: any count, overwritten.
  ///   - instructionSet: whose code runs; the processor's best by default.
  /// - Throws: `RecurrentError.instructionSet` if the processor lacks it.
  public func apply(
    to values: UnsafeMutableBufferPointer<Float>, instructionSet: InstructionSet? = nil
  ) throws(RecurrentError) {
    let set = try Processor.kernels(instructionSet).pointee.set
    let function = self == .sigmoid ? sigmoid_of_for(set) : tanh_of_for(set)
    guard let start = values.baseAddress else { return }
    let most = 2 * Lanes.count, whole = values.count / most * most
    function(start, whole)
    if whole < values.count {
      withUnsafeTemporaryAllocation(of: Float.self, capacity: most) { rest in
        let rest = rest.baseAddress!
        rest.initialize(repeating: 0, count: most)
        rest.update(from: start + whole, count: values.count - whole)
        function(rest, most)
        (start + whole).update(from: rest, count: values.count - whole)
      }
    }
  }
}
