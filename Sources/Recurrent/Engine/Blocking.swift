import CRecurrentKernels

/// How the work of a call is cut into parts.
///
/// Those that cut a chain of additions are part of the promise on bits and never change: `closingRows` and
/// `gateByGateUnits` here, and `PRODUCT_K_BLOCK` in products.h. The others only move work; where a cache decides, they
/// follow the caches of the machine.
package enum Blocking {
  // MARK: - Cuts of chains of additions

  /// The rows that one pass of the closing products contracts over: four slots of a block and all columns of x and h' stay
  /// in the second cache.
  package static let closingRows = 256

  /// Up to this many units, dh and dx add the products of the gates one after the other. A wider layer has one chain over
  /// the units of all gates.
  package static let gateByGateUnits = 32

  // MARK: - Cuts of work

  /// The rows whose input product is made at once, before their steps: full tiles, few enough that their slots take about
  /// half of the second cache until their steps have run, and at least `leastChunkRows`, which the weights of W are read
  /// for once.
  ///
  /// - Parameter rowBytes: of all slots of a row.
  package static func chunkRows(rowBytes: Int, tileRows: Int, secondCache: Int) -> Int {
    let rows = min(max(secondCache / 2 / max(1, rowBytes), leastChunkRows), mostChunkRows)
    return rows / tileRows * tileRows
  }
  package static let leastChunkRows = 72
  package static let mostChunkRows = 240
  /// Up to this depth, products read their rows where they are. Deeper rows are packed into tiles first: a cache that
  /// holds few lines of one alignment would lose them.
  package static let plainDepth = 128
  /// The minimum number of rows in a step for which dx reuses the step's tiles.
  package static let rowsOfOwnTiles = 24
  /// The columns of a closing product that go to the caller's gradients together: whole tiles and whole vectors. With
  /// four gates they stay in the second cache.
  package static func groupColumns(tileRows: Int, lanes: Int) -> Int {
    var whole = tileRows
    while whole % lanes != 0 { whole += tileRows }
    return max(whole, 112 / whole * whole)
  }
  /// The weights of a step, in bytes, that the second cache does not keep until the next step.
  package static func farWeightBytes(secondCache: Int) -> Int { max(1 << 21, secondCache) }
  /// The full tiles from which fetching the next block's weights pays: fewer have too little to do meanwhile (N 16: 4 %
  /// slower).
  package static let fetchingTiles = 3

  // MARK: - Threads

  /// The multiply-adds of a step from which several threads pay.
  package static let sharedMultiplies = 1 << 18
  /// Units times units times rows from which two directions pay for the waking of a thread.
  package static let apartMultiplies = 1 << 18
}
