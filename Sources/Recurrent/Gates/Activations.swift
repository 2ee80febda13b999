import CRecurrentKernels

/// σ(x) = 1 / (1 + exp(-x))
///
/// Max error: float 1.87 ULP (1.66 with fused multiply-adds), all 2^32 floats, denormal results included; double 1.76
/// ULP (1.65 with them) on the 2·10^7 arguments of `recurrent-bench --accuracy`, and 1.83 on 10^6 from -1.5 to 1.5.
/// Special values: σ(-∞) = 0, σ(+∞) = 1, NaN is passed on.
///
/// With e = exp(-|x|) and q = e / (1 + e): σ(x) = 1 - q for x > 0 and e - e·q otherwise. Dividing once more by a rounded
/// 1 + e instead would double that rounding (2.4 ULP in float). All is scaled by a power of two, so that no intermediate
/// is denormal.
@inline(always) func sigmoid<E: LaneElement>(_ x: Lanes<E>) -> Lanes<E> {
  let magnitude = x.magnitude.atMost(E.sigmoidLimit)
  let shift = Lanes(E.exponentShift + E.sigmoidScale.k)
  let shifted = shift.subtracting(magnitude, times: Lanes(E.log2OfE))
  let n = shifted - shift
  // r = |x| + n·ln 2, in two parts: n goes down to -150 in float, to -1075 in double
  let r = magnitude.adding(n, times: Lanes(E.ln2.high)).adding(n, times: Lanes(E.ln2.low))
  let p = E.expSeries(r, factor: 1)
  let t = r.adding(p, times: r * r)  // 1 - exp(-r)
  let power = shifted.exp2OfShifted  // 2^n, scaled
  let e = power.subtracting(t, times: power)
  let q = e / (e + Lanes(E.sigmoidScale.power))
  let whole = Lanes(E.sigmoidScale.power).kept(wherePositive: x, else: e)
  return whole.subtracting(whole, times: q) * Lanes(1 / E.sigmoidScale.power)
}

/// tanh(x)
///
/// Max error: float 1.99 ULP (1.96 with fused multiply-adds), all 2^32 floats, denormals included; double 1.89 ULP (1.86
/// with them) on the 2·10^7 arguments of `recurrent-bench --accuracy`, and 1.94 (1.89) on 300,000 from 0.45 to 0.52.
/// Special values: tanh(±∞) = ±1, the sign of zero is kept, NaN is passed on.
///
/// With e = exp(-2|x|) = 2^n·(1 - 2t): |tanh(x)| = (1 - e) / (1 + e), both halved, each rounded once from t alone, so
/// that neither carries the other's error and small arguments keep their digits. In double that would be 2.1 ULP: there
/// the division gives the distance from a center, 0, 1/4 or 1/2 by n, whose own roundings weigh less.
@inline(always) func tanh<E: LaneElement>(_ x: Lanes<E>) -> Lanes<E> {
  let magnitude = x.magnitude.atMost(E.tanhLimit)
  let shift = Lanes<E>(E.exponentShift)
  let shifted = shift.subtracting(magnitude, times: Lanes(2 * E.log2OfE))
  let n = shifted - shift
  let r = magnitude.adding(n, times: Lanes(E.halfLn2))  // |x| + n·ln 2 / 2
  let p = E.expSeries(r, factor: 2)
  let t = r.adding(p, times: r * r)  // (1 - exp(-2r)) / 2
  let power = shifted.exp2OfShifted
  let half = Lanes<E>(0.5)
  let below = half.subtracting(power, times: half), above = half.adding(power, times: half)
  let sum = above.subtracting(t, times: power)
  guard E.centersTanh else { return (below.adding(t, times: power) / sum).withSign(of: x) }
  let center = (n * Lanes(-0.25)).atMost(0.5)
  let difference = below.subtracting(center, times: above).adding(t, times: power).adding(t, times: center * power)
  return (center + difference / sum).withSign(of: x)
}

// MARK: - The activations alone, for measuring their accuracy

@inline(always) private func apply<E: LaneElement, A: GateActivation>(
  _ activation: A.Type, _ values: UnsafeMutablePointer<E>, _ count: Int
) {
  let panel = Panel<E>(values)
  var i = 0
  while i < count {
    let place = TilePlace<E>(first: .init(at: i), second: .init(at: i &+ E.laneCount))
    panel[place] = A.value(panel[place])
    i &+= 2 &* E.laneCount
  }
}
extension TilePlace.Vector {
  /// Of a panel alone.
  @inline(always) fileprivate init(at index: Int) { self.init(at: index, row: 0, unit: index, count: E.laneCount) }
}

@c @implementation func sigmoid_of_f32(_ values: UnsafeMutablePointer<Float>, _ count: Int) {
  apply(Sigmoid.self, values, count)
}
@c @implementation func sigmoid_of_f64(_ values: UnsafeMutablePointer<Double>, _ count: Int) {
  apply(Sigmoid.self, values, count)
}
@c @implementation func tanh_of_f32(_ values: UnsafeMutablePointer<Float>, _ count: Int) {
  apply(Tanh.self, values, count)
}
@c @implementation func tanh_of_f64(_ values: UnsafeMutablePointer<Double>, _ count: Int) {
  apply(Tanh.self, values, count)
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
    Self.apply(self == .sigmoid ? sigmoid_of_f32_for(set) : tanh_of_f32_for(set), to: values)
  }

  /// Replaces each value by its activation, in double precision.
  ///
  /// - Parameters:
  ///   - values: any count, overwritten.
  ///   - instructionSet: whose code runs; the processor's best by default.
  /// - Throws: `RecurrentError.instructionSet` if the processor lacks it.
  public func apply(
    to values: UnsafeMutableBufferPointer<Double>, instructionSet: InstructionSet? = nil
  ) throws(RecurrentError) {
    let set = try Processor.kernels(instructionSet).pointee.set
    Self.apply(self == .sigmoid ? sigmoid_of_f64_for(set) : tanh_of_f64_for(set), to: values)
  }

  /// The rest that fills no two vectors goes through a copy.
  private static func apply<E: LaneElement>(
    _ function: (UnsafeMutablePointer<E>, Int) -> Void, to values: UnsafeMutableBufferPointer<E>
  ) {
    guard let start = values.baseAddress else { return }
    let most = 2 * E.laneCount, whole = values.count / most * most
    function(start, whole)
    if whole < values.count {
      withUnsafeTemporaryAllocation(of: E.self, capacity: most) { rest in
        let rest = rest.baseAddress!
        rest.initialize(repeating: 0, count: most)
        rest.update(from: start + whole, count: values.count - whole)
        function(rest, most)
        (start + whole).update(from: rest, count: values.count - whole)
      }
    }
  }
}
