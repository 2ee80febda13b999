/// Rows cut into tiles: full ones first, whose many rows give weights from the third cache the time to arrive. (Tiles of
/// nearly one size, or of up to 14 rows, were slower at a batch of 16.)
package struct RowTiles: BitwiseCopyable, Sendable {
  package let rows: Int
  package let size: Int

  package var count: Int { (rows + size - 1) / size }

  /// Each tile, or those of some numbers.
  @inline(__always)
  package func forEach(_ some: Range<Int>? = nil, _ body: (_ first: Int, _ count: Int) -> Void) {
    var first = some.map { $0.lowerBound * size } ?? 0
    let end = some.map { min(rows, $0.upperBound * size) } ?? rows
    while first < end {
      let count = min(size, rows - first)
      body(first, count)
      first += count
    }
  }
}

/// A part of the depth of packed tiles.
package struct TileDepth: BitwiseCopyable {
  package let first: Int
  package let whole: Int
}
