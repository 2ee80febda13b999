/// A scalar that gate equations are compiled for.
protocol LaneElement: BinaryFloatingPoint, BitwiseCopyable, ExpConstants {
  /// 128 bytes.
  associatedtype Pair: VectorPair where Pair.Scalar == Self
  /// 32 bytes.
  associatedtype Half: Lanes where Half.Scalar == Self
  /// Whether weights may be rounded to fewer bits. Nothing that reads such weights is compiled for other scalars.
  static var canBeRounded: Bool { get }
  /// The p with 1 - exp(-2^k·r) = 2^k·(r + p·r²), where `factor` is 2^k, 1 or 2. It is the factor times minus
  /// (exp(y) - 1 - y) / y², computed by a minimax polynomial in y = -2^k·r.
  ///
  /// Few operations depend on each other: with few units, nothing else runs while they wait.
  static func expSeries<L: Lanes>(_ r: L, squared: L, factor: Self) -> L where L.Scalar == Self
}
extension LaneElement {
  /// The number of scalars in a vector.
  @inline(always) static var laneCount: Int { Pair.Vector.count }
}
extension Float: LaneElement {
  typealias Pair = FloatPair
  typealias Half = FloatHalf
  @inline(always) static var canBeRounded: Bool { true }
}
extension Double: LaneElement {
  typealias Pair = DoublePair
  typealias Half = DoubleHalf
  @inline(always) static var canBeRounded: Bool { false }
}
