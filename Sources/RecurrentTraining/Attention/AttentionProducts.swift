import Recurrent

/// A matrix whose rows lie `stride` apart.
struct AttentionMatrix {
  let start: UnsafeMutablePointer<Float>
  let stride: Int

  init(_ start: UnsafePointer<Float>, stride: Int) {
    self.start = UnsafeMutablePointer(mutating: start)
    self.stride = stride
  }

  /// Copies packed rows [rows][size] into the matrix.
  func copy(_ source: UnsafePointer<Float>, rows: Int, size: Int) {
    for row in 0..<rows { (start + row * stride).update(from: source + row * size, count: size) }
  }
  /// Copies the rows of the matrix to packed ones.
  func copyRows(to target: UnsafeMutablePointer<Float>, rows: Int, size: Int) {
    for row in 0..<rows { (target + row * size).update(from: start + row * stride, count: size) }
  }
}

/// The attention of one sequence and one head: queries [Q][d], keys [K][d], values [K][v].
///
/// Everything is computed for this sequence alone and in a fixed order, so that the bits depend neither on the batch nor
/// on threads.
struct AttentionProducts {
  /// The pieces of scratch that one thread works in.
  struct Pieces {
    let rows: UnsafeMutablePointer<Float>
    let panels: UnsafeMutablePointer<Float>
    let tiles: UnsafeMutablePointer<Float>
    let result: UnsafeMutablePointer<Float>
    let rest: UnsafeMutablePointer<Float>
    /// [Q][K]
    let dWeights: UnsafeMutablePointer<Float>
  }

  let products: Products<Float>
  let keySize: Int
  let valueSize: Int
  let window: AttentionWindow

  func pieces(queries: Int, keys: Int, _ arena: inout Arena<Float>) -> Pieces {
    let width = products.width, size = max(keySize, valueSize), steps = max(queries, keys)
    return Pieces(
      rows: arena.take(keys * size),
      panels: arena.take(width * max(products.panels(keys) * size, products.panels(size) * steps)),
      tiles: arena.take(max(steps * size, queries * keys)), result: arena.take(steps * size),
      rest: arena.take(steps * width), dWeights: arena.take(queries * keys))
  }

  /// target [a's rows][b's rows] = a·bᵀ over `depth` columns.
  private func multiply(
    _ a: AttentionMatrix, _ aRows: Int, byRowsOf b: AttentionMatrix, _ bRows: Int, depth: Int,
    into target: UnsafeMutablePointer<Float>, _ pieces: Pieces
  ) {
    let panelStride = depth * products.width
    b.copyRows(to: pieces.rows, rows: bRows, size: depth)
    products.packPanels(rowsOf: pieces.rows, units: bRows, depth: depth, panelStride: panelStride, into: pieces.panels)
    products.packRows(a.start, products.tiles(aRows), stride: a.stride, depth: depth, into: pieces.tiles)
    products.multiply(
      tiles: pieces.tiles, products.tiles(aRows), depth: depth, panels: pieces.panels, panelStride: panelStride,
      into: target, units: bRows, rest: pieces.rest)
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
    } else {
      products.packRows(a.start, products.tiles(rows), stride: a.stride, depth: depth, into: pieces.tiles)
    }
    products.multiply(
      tiles: pieces.tiles, products.tiles(rows), depth: depth, panels: pieces.panels, panelStride: panelStride,
      into: pieces.result, units: columns, rest: pieces.rest)
    target.copy(pieces.result, rows: rows, size: columns)
  }

  // MARK: - Forward

  /// weights [Q][K] = scale·q·kᵀ
  func dotScores(
    _ q: AttentionMatrix, queries: Int, _ k: AttentionMatrix, keys: Int, scale: Float,
    into weights: UnsafeMutablePointer<Float>, _ pieces: Pieces
  ) {
    multiply(q, queries, byRowsOf: k, keys, depth: keySize, into: weights, pieces)
    for index in 0..<queries * keys { weights[index] *= scale }
  }

  /// Scores become weights, which sum to 1 over the window of each query and are 0 outside.
  func normalize(_ weights: UnsafeMutablePointer<Float>, queries: Int, keys: Int) {
    for query in 0..<queries {
      normalize(
        UnsafeMutableBufferPointer(start: weights + query * keys, count: keys),
        over: window.range(query: query, keys: keys))
    }
  }

  /// The scores of one query become weights, which sum to 1 over a window and are 0 outside.
  func normalize(_ row: UnsafeMutableBufferPointer<Float>, over window: Range<Int>) {
    for key in 0..<window.lowerBound { row[key] = 0 }
    for key in window.upperBound..<row.count { row[key] = 0 }
    SoftmaxCrossEntropy.softmax(UnsafeMutableBufferPointer(rebasing: row[window]), products.set)
  }

  /// y [Q][v] = weights·values
  func sum(
    _ weights: UnsafePointer<Float>, queries: Int, _ v: AttentionMatrix, keys: Int, into y: AttentionMatrix,
    _ pieces: Pieces
  ) {
    multiply(
      AttentionMatrix(weights, stride: keys), rows: queries, by: v, columns: valueSize, depth: keys, into: y, pieces)
  }

  // MARK: - Backward

  /// dValues = weightsᵀ·dy, and `pieces.dWeights` becomes the gradient of the weights.
  func weightGradients(
    _ weights: UnsafePointer<Float>, queries: Int, _ v: AttentionMatrix, keys: Int, dy: AttentionMatrix,
    dValues: AttentionMatrix, _ pieces: Pieces
  ) {
    multiply(
      AttentionMatrix(weights, stride: keys), rows: keys, transposed: true, by: dy, columns: valueSize, depth: queries,
      into: dValues, pieces)
    multiply(dy, queries, byRowsOf: v, keys, depth: valueSize, into: pieces.dWeights, pieces)
  }

  /// The same, and `pieces.dWeights` becomes the gradient of the scores.
  func scoreGradients(
    _ weights: UnsafePointer<Float>, queries: Int, _ v: AttentionMatrix, keys: Int, dy: AttentionMatrix,
    dValues: AttentionMatrix, _ pieces: Pieces
  ) {
    weightGradients(weights, queries: queries, v, keys: keys, dy: dy, dValues: dValues, pieces)
    for query in 0..<queries {
      let weights = weights + query * keys, d = pieces.dWeights + query * keys
      var mean: Float = 0
      for key in 0..<keys { mean += weights[key] * d[key] }
      for key in 0..<keys { d[key] = weights[key] * (d[key] - mean) }
    }
  }

  /// dQueries and dKeys of the dot scores, from the gradient of the scores in `pieces.dWeights`.
  func dotGradients(
    _ q: AttentionMatrix, queries: Int, _ k: AttentionMatrix, keys: Int, scale: Float, dQueries: AttentionMatrix,
    dKeys: AttentionMatrix, _ pieces: Pieces
  ) {
    for index in 0..<queries * keys { pieces.dWeights[index] *= scale }
    let scores = AttentionMatrix(pieces.dWeights, stride: keys)
    multiply(scores, rows: queries, by: k, columns: keySize, depth: keys, into: dQueries, pieces)
    multiply(scores, rows: keys, transposed: true, by: q, columns: keySize, depth: queries, into: dKeys, pieces)
  }
}
