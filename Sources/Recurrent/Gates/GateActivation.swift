/// An activation of a gate: its value, and its derivative as a function of that value.
protocol GateActivation {
  static func value<L: Lanes>(_ x: L) -> L
  static func slope<L: Lanes>(value y: L) -> L
  /// dy times the slope.
  static func gradient<L: Lanes>(_ dy: L, value y: L) -> L
}
extension GateActivation {
  @inline(always) static func gradient<L: Lanes>(_ dy: L, value y: L) -> L { dy * slope(value: y) }
}

/// σ' = σ - σ²
enum Sigmoid: GateActivation {
  @inline(always) static func value<L: Lanes>(_ x: L) -> L { sigmoid(x) }
  @inline(always) static func slope<L: Lanes>(value y: L) -> L { y.subtracting(y, times: y) }
}

/// tanh' = 1 - tanh²
enum Tanh: GateActivation {
  @inline(always) static func value<L: Lanes>(_ x: L) -> L { tanh(x) }
  @inline(always) static func slope<L: Lanes>(value y: L) -> L { L(1).subtracting(y, times: y) }
}

/// max(0, x); a NaN stays a NaN. If h is not positive, its gradient is zero, whatever dy is.
enum ReLU: GateActivation {
  @inline(always) static func value<L: Lanes>(_ x: L) -> L {
    let zero = L(0)
    return zero.kept(wherePositive: zero - x, else: x)
  }
  @inline(always) static func slope<L: Lanes>(value y: L) -> L {
    L(1).kept(wherePositive: y, else: L(0))
  }
  @inline(always) static func gradient<L: Lanes>(_ dy: L, value y: L) -> L {
    dy.kept(wherePositive: y, else: L(0))
  }
}

/// x
enum Identity: GateActivation {
  @inline(always) static func value<L: Lanes>(_ x: L) -> L { x }
  @inline(always) static func slope<L: Lanes>(value y: L) -> L { L(1) }
}
