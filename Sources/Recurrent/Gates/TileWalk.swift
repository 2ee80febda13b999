import CRecurrentKernels

/// Where two vectors of a gate tile lie.
struct TilePlace<E: LaneElement> {
  struct Vector {
    /// In a panel of P units a row.
    let at: Int
    let row: Int
    let unit: Int
    /// How many units exist from there on; a vector's or more: all.
    let count: Int
  }
  let first: Vector
  let second: Vector
}

/// Walks over a gate tile, two vectors at a time. Where one is left at the end it stands twice: what is computed from it
/// is stored twice. A closure would not be inlined into the gate pass.
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

  @inline(always) private var here: TilePlace<E>.Vector {
    TilePlace<E>.Vector(at: row &* tile.width &+ unit, row: row, unit: unit, count: tile.units &- unit)
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

/// The gradient that reaches h of one step: from the step after and from the layer's output.
struct HiddenGradient<E: LaneElement> {
  /// Of the step after; a pass may leave here what goes to the step before.
  let dh: Panel<E>
  private let dy: RowMatrix<E>?

  @inline(always) init?(_ tile: gate_tile) {
    guard let dh = Panel<E>(tile.dh) else { return nil }
    self.dh = dh
    dy = RowMatrix(reading: tile.dy, stride: tile.dy_stride)
  }

  /// dh + dy
  @inline(always) subscript(_ place: TilePlace<E>) -> Lanes<E> {
    var sum = dh[place]
    if let dy { sum = sum + dy[place] }
    return sum
  }
}
