import CRecurrentKernels
import Recurrent

/// A matrix whose rows lie `stride` apart.
struct AttentionMatrix {
  let start: UnsafeMutablePointer<Float>
  let stride: Int

  init(_ start: UnsafePointer<Float>, stride: Int) {
    self.start = UnsafeMutablePointer(mutating: start)
    self.stride = stride
  }

  func row(_ index: Int) -> UnsafeMutablePointer<Float> { start + index * stride }
}

/// The attention of one sequence and one head: queries [Q][d], keys [K][d], values [K][v]. A row of weights fills whole
/// panels, so that products write it in place; the scalars after its K values are 0.
///
/// Rows are not packed into tiles: a sequence has too few to pay for it (N 64, T 50, C 256: packed, a call takes 1.05
/// to 1.2 times as long on an Intel Ice Lake, one thread). Everything is computed for this sequence alone and in a
/// fixed order, so that the bits depend neither on the batch nor on threads.
struct AttentionProducts {
  /// The pieces of scratch that one thread works in.
  struct Pieces {
    let panels: UnsafeMutablePointer<Float>
    let tiles: UnsafeMutablePointer<Float>
    let rest: UnsafeMutablePointer<Float>
    /// The gradients of the weights, [Q][whole panels of K].
    let dWeights: UnsafeMutablePointer<Float>
  }

  let products: Products<Float>
  let keySize: Int
  let valueSize: Int
  let window: AttentionWindow

  /// The distance between the weights of two queries.
  func rowStride(keys: Int) -> Int { products.panels(keys) * products.width }

  func pieces(queries: Int, keys: Int, _ arena: inout Arena<Float>) -> Pieces {
    let width = products.width, size = max(keySize, valueSize), steps = max(queries, keys)
    return Pieces(
      panels: arena.take(width * max(products.panels(keys) * size, products.panels(size) * steps)),
      tiles: arena.take(queries * keys), rest: arena.take(steps * width),
      dWeights: arena.take(queries * rowStride(keys: keys)))
  }

  /// target [a's rows][whole panels of b's rows] = a·bᵀ over `depth` columns.
  private func multiply(
    _ a: AttentionMatrix, _ aRows: Int, byRowsOf b: AttentionMatrix, _ bRows: Int, depth: Int,
    into target: UnsafeMutablePointer<Float>, _ pieces: Pieces
  ) {
    let panelStride = depth * products.width
    products.packPanels(
      rowsOf: b.start, units: bRows, depth: depth, stride: b.stride, panelStride: panelStride, into: pieces.panels)
    products.multiply(
      tiles: a.start, products.tiles(aRows), stride: a.stride, depth: depth, panels: pieces.panels,
      panelStride: panelStride, panelCount: products.panels(bRows), c: target, cPanelStride: products.width,
      cRowStride: rowStride(keys: bRows),
      add: false)
  }

  /// target [rows][b's columns] = a·b, or aᵀ·b if `transposed`, over `depth` rows of b.
  private func multiply(
    _ a: AttentionMatrix, rows: Int, transposed: Bool = false, by b: AttentionMatrix, columns: Int, depth: Int,
    into target: AttentionMatrix, _ pieces: Pieces
  ) {
    let panelStride = depth * products.width
    products.packPanels(
      columnsOf: b.start, units: columns, depth: depth, stride: b.stride, panelStride: panelStride, into: pieces.panels)
    if transposed {
      products.packColumns(a.start, stride: a.stride, products.tiles(rows), depth: depth, into: pieces.tiles)
    }
    products.multiply(
      tiles: transposed ? pieces.tiles : a.start, products.tiles(rows), stride: transposed ? 1 : a.stride, depth: depth,
      panels: pieces.panels, panelStride: panelStride, into: target.start, matrixStride: target.stride, units: columns,
      rest: pieces.rest)
  }

  // MARK: - Forward

  /// The weights of a sequence, or their gradients, as a matrix.
  func matrix(_ weights: UnsafePointer<Float>, keys: Int) -> AttentionMatrix {
    AttentionMatrix(weights, stride: rowStride(keys: keys))
  }

  /// weights [Q][K] = scale·q·kᵀ
  func dotScores(
    _ q: AttentionMatrix, queries: Int, _ k: AttentionMatrix, keys: Int, scale: Float,
    into weights: UnsafeMutablePointer<Float>, _ pieces: Pieces
  ) {
    multiply(q, queries, byRowsOf: k, keys, depth: keySize, into: weights, pieces)
    for index in 0..<queries * rowStride(keys: keys) { weights[index] *= scale }
  }

  /// Scores become weights, which sum to 1 over the window of each query and are 0 outside.
  func normalize(
    _ weights: UnsafeMutablePointer<Float>, queries: Int, keys: Int, _ window: (_ query: Int) -> Range<Int>
  ) {
    let stride = rowStride(keys: keys)
    for query in 0..<queries { exclude(weights + query * stride, count: stride, outside: window(query)) }
    softmax_rows(products.set, weights, queries, stride, stride)
  }

  /// Gives the scores outside of a range no weight.
  func exclude(_ scores: UnsafeMutablePointer<Float>, count: Int, outside range: Range<Int>) {
    for key in 0..<range.lowerBound { scores[key] = -.infinity }
    for key in range.upperBound..<count { scores[key] = -.infinity }
  }

  /// y [Q][v] = weights·values
  func sum(
    _ weights: UnsafePointer<Float>, queries: Int, _ v: AttentionMatrix, keys: Int, into y: AttentionMatrix,
    _ pieces: Pieces
  ) {
    multiply(
      matrix(weights, keys: keys), rows: queries, by: v, columns: valueSize, depth: keys, into: y, pieces)
  }

  // MARK: - Backward

  /// dValues = weightsᵀ·dy, and `pieces.dWeights` becomes the gradient of the weights.
  func weightGradients(
    _ weights: UnsafePointer<Float>, queries: Int, _ v: AttentionMatrix, keys: Int, dy: AttentionMatrix,
    dValues: AttentionMatrix, _ pieces: Pieces
  ) {
    multiply(
      matrix(weights, keys: keys), rows: keys, transposed: true, by: dy, columns: valueSize, depth: queries,
      into: dValues, pieces)
    multiply(dy, queries, byRowsOf: v, keys, depth: valueSize, into: pieces.dWeights, pieces)
  }

  /// The same, but `pieces.dWeights` becomes the gradient of the scores before `scale`:
  /// scale·weights·(dWeights - Σ weights·dWeights), where dWeights = dy·valuesᵀ.
  func scoreGradients(
    _ weights: UnsafePointer<Float>, queries: Int, _ v: AttentionMatrix, keys: Int, scale: Float, dy: AttentionMatrix,
    dValues: AttentionMatrix, _ pieces: Pieces
  ) {
    weightGradients(weights, queries: queries, v, keys: keys, dy: dy, dValues: dValues, pieces)
    for query in 0..<queries {
      softmax_gradient(
        products.set, matrix(weights, keys: keys).row(query), matrix(pieces.dWeights, keys: keys).row(query), keys,
        scale)
    }
  }

  /// dQueries = d·k and dKeys = dᵀ·q, where d is the gradient of q·kᵀ in `pieces.dWeights`.
  func dotGradients(
    _ q: AttentionMatrix, queries: Int, _ k: AttentionMatrix, keys: Int, dQueries: AttentionMatrix,
    dKeys: AttentionMatrix, _ pieces: Pieces
  ) {
    let scores = matrix(pieces.dWeights, keys: keys)
    multiply(scores, rows: queries, by: k, columns: keySize, depth: keys, into: dQueries, pieces)
    multiply(scores, rows: keys, transposed: true, by: q, columns: keySize, depth: queries, into: dKeys, pieces)
  }
}
