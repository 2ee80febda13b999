import CRecurrentKernels

/// How the work of a call is cut.
///
/// Some cuts end a chain of additions. They belong to the promise on bits and never change: `closingRows` and
/// `gateByGateUnits` here, and `PRODUCT_K_BLOCK` in products.h. The other cuts only move work. Those that depend
/// on the second cache follow the machine's.
package enum Blocking {
  // MARK: - Cuts of chains of additions

  /// The rows that the closing products contract over at once. Four slots of a block and all columns of x and h' then
  /// stay in the second cache.
  package static let closingRows = 256

  /// Up to this many units, dh and dx add the products of the gates one after the other. A wider layer has one chain
  /// over the units of all gates.
  package static let gateByGateUnits = 32

  // MARK: - Cuts of work

  /// The rows whose product with W is computed at once, before their steps. They are full tiles. They are few enough
  /// that their slots take about half of the second cache until their steps have run. They are not fewer than
  /// `leastChunkRows`, rounded down to whole tiles, because each chunk reads the weights of W once. Where even these
  /// would fill most of the cache, the slots come from far anyway, and fewer chunks read W less often (GRU, N 16,
  /// H 1024: 1.10 times as fast).
  ///
  /// - Parameters:
  ///   - rowBytes: the bytes of all slots of a row.
  ///   - tileRows: the rows of a full tile.
  ///   - secondCache: the bytes of the second cache.
  package static func chunkRows(rowBytes: Int, tileRows: Int, secondCache: Int) -> Int {
    var rows = min(max(secondCache / 2 / max(1, rowBytes), leastChunkRows), mostChunkRows)
    if leastChunkRows * rowBytes > secondCache / 4 * 3 { rows = mostChunkRows }
    return rows / tileRows * tileRows
  }
  package static let leastChunkRows = 72
  package static let mostChunkRows = 240
  /// The bytes of a gate tile after a product of forward, if one row tile does not take more. A gate pass of several
  /// row tiles is faster, because its first and its last units have nothing to overlap with (AMD Zen 3 with AVX2, LSTM
  /// and GRU, N 16 to 64, H 64 to 512: 1.02 times as fast). The nearest cache must still hold the gate tile.
  static let gateTileBytes = 1 << 14
  /// Up to this depth, products read plain rows. Deeper rows are packed into tiles first, because a cache holds only
  /// few lines of the same alignment and would lose them.
  package static let plainDepth = 128
  /// The minimum number of rows in a step for which dx reuses the step's tiles.
  package static let rowsOfOwnTiles = 24
  /// The columns of a strip, which a closing product adds to the caller's gradients at once: whole tiles and whole
  /// vectors. With four gates, a strip stays in the second cache.
  package static func stripColumns(tileRows: Int, lanes: Int) -> Int {
    var whole = tileRows
    while whole % lanes != 0 { whole += tileRows }
    return max(whole, 112 / whole * whole)
  }
  /// Up to this many inputs and units, a stream's step of one sequence runs in registers. Its sums are single chains,
  /// so this is at most `PRODUCT_K_BLOCK`. The weights of more units come from far caches and set the time (GRU, H 256
  /// and 512: 1.00 and 0.92 times as fast).
  package static let streamRegisterUnits = 256
  /// The same for forward, which can otherwise multiply W by the inputs of many steps at once.
  package static let forwardRegisterUnits = 32
  /// The same for forward in three cases: few inputs; a single gate and a U (AMD Zen 4, RNN, C = H = 64: 1.2 times as
  /// fast on AVX2 and 1.0 times on AVX-512; C 1: 1.3 and 1.1); weights in 8 bits (AMD Zen 4, C = H = 48 and 64: 1.1 to
  /// 1.6 times as fast). With few inputs, steps of more units would be faster in registers too, but the layer would
  /// have to pack their weights a second time after each update.
  static let forwardRegisterUnitsOfSmallSteps = 64
  /// Up to this many inputs, steps in registers are faster than a product of W with the inputs of many steps, for cells
  /// of more than one gate. On AVX2 (AMD Zen 3, LSTM and GRU, H 40 to 256), they are 1.1 to 1.8 times as fast with C 1,
  /// 1.03 to 1.5 times with C 32 and 0.9 to 1.1 times with C 64. On AVX-512 (AMD Zen 4, H 40 to 128), they are 1.1 to
  /// 2.4 times as fast with C 1, 1.03 to 1.25 times with C 16 and 0.9 times with C 32.
  static func fewInputs(_ set: instruction_set) -> Int {
    switch set {
    case .avx512: 16
    case .avx2: 32
    default: 0
    }
  }
  /// The weights of a step, in bytes, that the second cache does not keep until the next step: twice the cache or 2 MB,
  /// whichever is less, but never less than the cache (AMD Zen 3, 512 KB, weights of 1 MB, N 4 to 64: 1.03 times as
  /// fast as with 2 MB).
  package static func farWeightBytes(secondCache: Int) -> Int {
    max(min(2 * secondCache, 1 << 21), secondCache)
  }
  /// The minimum number of full tiles for which products fetch the next weights. Fewer tiles have too little to do
  /// meanwhile (N 16: 4 % slower).
  package static let fetchingTiles = 3
  /// How many values of k early the first of fewer tiles fetches its own weights on AVX2 (AMD Zen 3, H 1024, 3 to 6
  /// rows: the product is 1.2 to 1.3 times as fast).
  static let fetchedAhead = 64

  // MARK: - Threads

  /// The minimum number of multiply-adds in a step for which several threads are faster than one.
  package static let sharedMultiplies = 1 << 18
  /// How many times as many multiply-adds take the same time in 8 bits.
  package static let int8Multiplies = 4
  /// The minimum of units times units times rows for which it is faster to wake a thread for the second direction.
  package static let apartMultiplies = 1 << 18
}
