/// What a form's gates pass through: a value, and its derivative as a function of that value.
protocol GateActivation {
  static func value<E>(_ x: Lanes<E>) -> Lanes<E>
  static func slope<E>(value y: Lanes<E>) -> Lanes<E>
  /// dy times the slope.
  static func gradient<E>(_ dy: Lanes<E>, value y: Lanes<E>) -> Lanes<E>
}
extension GateActivation {
  @inline(always) static func gradient<E>(_ dy: Lanes<E>, value y: Lanes<E>) -> Lanes<E> { dy * slope(value: y) }
}

/// σ' = σ - σ²
enum Sigmoid: GateActivation {
  @inline(always) static func value<E>(_ x: Lanes<E>) -> Lanes<E> { sigmoid(x) }
  @inline(always) static func slope<E>(value y: Lanes<E>) -> Lanes<E> { y.subtracting(y, times: y) }
}

/// tanh' = 1 - tanh²
enum Tanh: GateActivation {
  @inline(always) static func value<E>(_ x: Lanes<E>) -> Lanes<E> { tanh(x) }
  @inline(always) static func slope<E>(value y: Lanes<E>) -> Lanes<E> { Lanes(1).subtracting(y, times: y) }
}

/// max(0, x), where a NaN is passed on. Where h is not positive its gradient is zero, whatever arrives.
enum ReLU: GateActivation {
  @inline(always) static func value<E>(_ x: Lanes<E>) -> Lanes<E> {
    let zero = Lanes<E>(0)
    return zero.kept(wherePositive: zero - x, else: x)
  }
  @inline(always) static func slope<E>(value y: Lanes<E>) -> Lanes<E> {
    Lanes(1).kept(wherePositive: y, else: Lanes(0))
  }
  @inline(always) static func gradient<E>(_ dy: Lanes<E>, value y: Lanes<E>) -> Lanes<E> {
    dy.kept(wherePositive: y, else: Lanes(0))
  }
}

/// x itself.
enum Identity: GateActivation {
  @inline(always) static func value<E>(_ x: Lanes<E>) -> Lanes<E> { x }
  @inline(always) static func slope<E>(value y: Lanes<E>) -> Lanes<E> { Lanes(1) }
}
