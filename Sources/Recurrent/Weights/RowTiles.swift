/// Rows cut into tiles. Full tiles come first: they have enough rows to hide the time in which weights arrive from the
/// third cache. (Tiles of nearly equal size, or of up to 14 rows, were slower at a batch of 16.)
package struct RowTiles: BitwiseCopyable, Sendable {
  package let rows: Int
  package let size: Int

  package var count: Int { (rows + size - 1) / size }

  /// Calls `body` with each tile, or with the tiles in the range `some`.
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

/// A range of the depth of packed tiles.
package struct TileDepth: BitwiseCopyable {
  package let first: Int
  package let whole: Int
}
