import CRecurrentKernels

// With reset after the product, the slots of a GRU are n r z u; with reset before it, they are n r z rh. In this order,
// the slots that W adds to (n r z) lie next to each other, and so do those that U adds to.

/// How z mixes n and the state before.
protocol UpdateRule {
  /// h, computed from n, z and the state before.
  static func mixed<L: Lanes>(_ n: L, _ z: L, _ previous: L) -> L
  /// The factors of n and of the state before in h.
  static func factors<L: Lanes>(_ z: L) -> (new: L, old: L)
  /// The derivative of h by z.
  static func slope<L: Lanes>(_ n: L, _ previous: L) -> L
}
/// h = (1 - z)∘n + z∘h'
enum KeepsOld: UpdateRule {
  @inline(always) static func mixed<L: Lanes>(_ n: L, _ z: L, _ previous: L) -> L { n.adding(z, times: previous - n) }
  @inline(always) static func factors<L: Lanes>(_ z: L) -> (new: L, old: L) { (L(1) - z, z) }
  @inline(always) static func slope<L: Lanes>(_ n: L, _ previous: L) -> L { previous - n }
}
/// h = z∘n + (1 - z)∘h'
enum TakesNew: UpdateRule {
  @inline(always) static func mixed<L: Lanes>(_ n: L, _ z: L, _ previous: L) -> L {
    previous.adding(z, times: n - previous)
  }
  @inline(always) static func factors<L: Lanes>(_ z: L) -> (new: L, old: L) { (z, L(1) - z) }
  @inline(always) static func slope<L: Lanes>(_ n: L, _ previous: L) -> L { n - previous }
}

/// The slots n r z of a gate tile and the fourth slot: u = U h' + b_hn with reset after the product, r∘h' with reset
/// before it.
struct GRUTile<E: LaneElement> {
  let n: Panels<E>
  let r: Panels<E>
  let z: Panels<E>
  private let fourth: Panels<E>
  let previousH: RowMatrix<E>

  @inline(always) var u: Panels<E> { fourth }
  @inline(always) var rh: Panels<E> { fourth }

  @inline(always) init?(_ tile: gate_tile) {
    n = tile.slot(0)
    r = tile.slot(1)
    z = tile.slot(2)
    fourth = tile.slot(3)
    guard let previousH = RowMatrix<E>(reading: tile.previous_h, stride: tile.previous_stride) else { return nil }
    self.previousH = previousH
  }
}

/// The gradients dn and dz of the pre-activations, and the direct term of dh', at one place.
@inline(always) func mixedBackward<E: LaneElement, U: UpdateRule>(
  _ update: U.Type, _ slots: GRUTile<E>, _ dh: E.Pair, _ place: TilePlace<E>
) -> (dn: E.Pair, dz: E.Pair, carried: E.Pair) {
  let n = slots.n[place], z = slots.z[place], previous = slots.previousH[place]
  let (new, old) = U.factors(z)
  return (
    Tanh.gradient(dh * new, value: n), Sigmoid.gradient(dh * U.slope(n, previous), value: z), dh * old
  )
}
