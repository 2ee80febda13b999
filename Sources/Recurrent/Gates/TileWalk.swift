import CRecurrentKernels

/// The place of two vectors in a gate tile.
struct TilePlace<E: LaneElement> {
  struct VectorPlace {
    let block: Int
    /// The index in the block's panel [rows][P].
    let at: Int
    let row: Int
    /// The unit in the tile.
    let unit: Int
    /// How many units exist from `unit` on. If they are at least as many as a vector has scalars, all of them exist.
    let count: Int

    @inline(always) func differs(from other: VectorPlace) -> Bool { unit != other.unit || row != other.row }
  }
  let first: VectorPlace
  let second: VectorPlace
}

/// Visits the places of a gate tile, two vectors at a time. If one vector is left at the end, its place holds it twice,
/// and the same result is stored twice. A closure would not be inlined into the gate pass.
struct TileWalk<E: LaneElement> {
  private let tile: gate_tile
  private var block = 0
  /// The first unit of the block.
  private var firstUnit = 0
  private var row = 0
  /// The unit in the block.
  private var unit = 0

  @inline(always) init(_ tile: gate_tile) { self.tile = tile }

  @inline(always) mutating func next() -> TilePlace<E>? {
    guard !isAtEnd else { return nil }
    let first = here
    advance()
    guard !isAtEnd else { return TilePlace(first: first, second: first) }
    let second = here
    advance()
    return TilePlace(first: first, second: second)
  }

  @inline(always) private var here: TilePlace<E>.VectorPlace {
    TilePlace<E>.VectorPlace(
      block: block, at: row &* tile.width &+ unit, row: row, unit: firstUnit &+ unit,
      count: tile.units &- firstUnit &- unit)
  }

  @inline(always) private var isAtEnd: Bool { firstUnit >= tile.units }

  @inline(always) private mutating func advance() {
    unit &+= E.laneCount
    guard unit >= min(tile.width, tile.units &- firstUnit) else { return }
    unit = 0
    row &+= 1
    guard row == tile.rows else { return }
    row = 0
    block &+= 1
    firstUnit &+= tile.width
  }
}

extension gate_tile {
  /// The values of a slot.
  @inline(always) func slot<E: LaneElement>(_ index: Int) -> Panels<E> {
    Panels(slots! + index &* slot_stride &* MemoryLayout<E>.stride, blockStride: slot_block_stride)
  }
  /// c of the step before, which lies like a slot.
  @inline(always) func previousC<E: LaneElement>() -> Panels<E>? {
    previous_c.map { Panels($0, blockStride: slot_block_stride) }
  }
  /// The values of c, dh, dc or d_operand.
  @inline(always) func state<E: LaneElement>(_ start: UnsafeMutableRawPointer?) -> Panels<E>? {
    start.map { Panels($0, blockStride: state_block_stride) }
  }
}

/// The gradient that reaches the h of one step, from the next step and from the layer's output.
struct HiddenGradient<E: LaneElement> {
  /// The gradient from the next step. A gate pass may replace it by a term of the gradient for the step before.
  let dh: Panels<E>
  private let dy: RowMatrix<E>?

  @inline(always) init?(_ tile: gate_tile) {
    guard let dh: Panels<E> = tile.state(tile.dh) else { return nil }
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
