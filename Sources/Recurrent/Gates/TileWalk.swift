import CRecurrentKernels

/// The place of two vectors in a gate tile.
struct TilePlace<E: LaneElement> {
  struct VectorPlace {
    /// The index in a panel [rows][P].
    let at: Int
    let row: Int
    let unit: Int
    /// How many units exist from `unit` on. If they are at least as many as a vector has scalars, all of them exist.
    let count: Int
  }
  let first: VectorPlace
  let second: VectorPlace
}

/// Visits the places of a gate tile, two vectors at a time. If one vector is left at the end, its place holds it twice,
/// and the same result is stored twice. A closure would not be inlined into the gate pass.
struct TileWalk<E: LaneElement> {
  private let tile: gate_tile
  private var row = 0
  private var unit = 0

  @inline(always) init(_ tile: gate_tile) { self.tile = tile }

  @inline(always) mutating func next() -> TilePlace<E>? {
    guard row < tile.rows else { return nil }
    let first = here
    advance()
    guard row < tile.rows else { return TilePlace(first: first, second: first) }
    let second = here
    advance()
    return TilePlace(first: first, second: second)
  }

  @inline(always) private var here: TilePlace<E>.VectorPlace {
    TilePlace<E>.VectorPlace(at: row &* tile.width &+ unit, row: row, unit: unit, count: tile.units &- unit)
  }

  @inline(always) private mutating func advance() {
    unit &+= E.laneCount
    if unit >= tile.units {
      unit = 0
      row &+= 1
    }
  }
}

extension gate_tile {
  /// The values of a slot, [rows][P].
  @inline(always) func slot<E: LaneElement>(_ index: Int) -> Panel<E> {
    Panel(slots! + index &* slot_stride &* MemoryLayout<E>.stride)
  }
}

/// The gradient that reaches the h of one step, from the next step and from the layer's output.
struct HiddenGradient<E: LaneElement> {
  /// The gradient from the next step. A gate pass may replace it by a term of the gradient for the step before.
  let dh: Panel<E>
  private let dy: RowMatrix<E>?

  @inline(always) init?(_ tile: gate_tile) {
    guard let dh = Panel<E>(tile.dh) else { return nil }
    self.dh = dh
    dy = RowMatrix(reading: tile.dy, stride: tile.dy_stride)
  }

  /// dh + dy
  @inline(always) subscript(_ place: TilePlace<E>) -> E.Pair {
    var sum = dh[place]
    if let dy { sum = sum + dy[place] }
    return sum
  }
}
