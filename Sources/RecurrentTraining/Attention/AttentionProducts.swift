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
  /// The memory of one thread.
  struct Memory {
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

  func memory(queries: Int, keys: Int, _ arena: inout Arena<Float>) -> Memory {
    let width = products.width, size = max(keySize, valueSize), steps = max(queries, keys)
    return Memory(
      rows: arena.take(keys * size),
      panels: arena.take(width * max(products.panels(keys) * size, products.panels(size) * steps)),
      tiles: arena.take(max(steps * size, queries * keys)), result: arena.take(steps * size),
      rest: arena.take(steps * width), dWeights: arena.take(queries * keys))
  }

  /// target [a's rows][b's rows] = a·bᵀ over `depth` columns.
  private func multiply(
    _ a: AttentionMatrix, _ aRows: Int, byRowsOf b: AttentionMatrix, _ bRows: Int, depth: Int,
    into target: UnsafeMutablePointer<Float>, _ memory: Memory
  ) {
    let panelStride = depth * products.width
    b.copyRows(to: memory.rows, rows: bRows, size: depth)
    products.packPanels(rowsOf: memory.rows, units: bRows, depth: depth, panelStride: panelStride, into: memory.panels)
    products.packRows(a.start, products.tiles(aRows), stride: a.stride, depth: depth, into: memory.tiles)
    products.multiply(
      tiles: memory.tiles, products.tiles(aRows), depth: depth, panels: memory.panels, panelStride: panelStride,
      into: target, units: bRows, rest: memory.rest)
  }

  /// target [rows][b's columns] = a·b, or aᵀ·b if `transposed`, over `depth` rows of b.
  private func multiply(
    _ a: AttentionMatrix, rows: Int, transposed: Bool = false, by b: AttentionMatrix, columns: Int, depth: Int,
    into target: AttentionMatrix, _ memory: Memory
  ) {
    let panelStride = depth * products.width
    products.packPanels(
      columnsOf: b.start, units: columns, depth: depth, stride: b.stride, panelStride: panelStride, into: memory.panels)
    if transposed {
      products.packColumns(a.start, stride: a.stride, products.tiles(rows), depth: depth, into: memory.tiles)
    } else {
      products.packRows(a.start, products.tiles(rows), stride: a.stride, depth: depth, into: memory.tiles)
    }
    products.multiply(
      tiles: memory.tiles, products.tiles(rows), depth: depth, panels: memory.panels, panelStride: panelStride,
      into: memory.result, units: columns, rest: memory.rest)
    target.copy(memory.result, rows: rows, size: columns)
  }

  // MARK: - Forward

  /// weights [Q][K] = scale·q·kᵀ
  func dotScores(
    _ q: AttentionMatrix, queries: Int, _ k: AttentionMatrix, keys: Int, scale: Float,
    into weights: UnsafeMutablePointer<Float>, _ memory: Memory
  ) {
    multiply(q, queries, byRowsOf: k, keys, depth: keySize, into: weights, memory)
    for index in 0..<queries * keys { weights[index] *= scale }
  }

  /// Scores become weights, which sum to 1 over the window of each query and are 0 outside.
  func normalize(_ weights: UnsafeMutablePointer<Float>, queries: Int, keys: Int) {
    for query in 0..<queries {
      let row = UnsafeMutableBufferPointer(start: weights + query * keys, count: keys)
      let range = window.range(query: query, keys: keys)
      for key in 0..<range.lowerBound { row[key] = 0 }
      for key in range.upperBound..<keys { row[key] = 0 }
      SoftmaxCrossEntropy.softmax(UnsafeMutableBufferPointer(rebasing: row[range]), products.set)
    }
  }

  /// y [Q][v] = weights·values
  func sum(
    _ weights: UnsafePointer<Float>, queries: Int, _ v: AttentionMatrix, keys: Int, into y: AttentionMatrix,
    _ memory: Memory
  ) {
    multiply(
      AttentionMatrix(weights, stride: keys), rows: queries, by: v, columns: valueSize, depth: keys, into: y, memory)
  }

  // MARK: - Backward

  /// dValues = weightsᵀ·dy, and `memory.dWeights` becomes the gradient of the scores.
  func scoreGradients(
    _ weights: UnsafePointer<Float>, queries: Int, _ v: AttentionMatrix, keys: Int, dy: AttentionMatrix,
    dValues: AttentionMatrix, _ memory: Memory
  ) {
    multiply(
      AttentionMatrix(weights, stride: keys), rows: keys, transposed: true, by: dy, columns: valueSize, depth: queries,
      into: dValues, memory)
    multiply(dy, queries, byRowsOf: v, keys, depth: valueSize, into: memory.dWeights, memory)
    for query in 0..<queries {
      let weights = weights + query * keys, d = memory.dWeights + query * keys
      var mean: Float = 0
      for key in 0..<keys { mean += weights[key] * d[key] }
      for key in 0..<keys { d[key] = weights[key] * (d[key] - mean) }
    }
  }

  /// dQueries and dKeys of the dot scores, from the gradient of the scores in `memory.dWeights`.
  func dotGradients(
    _ q: AttentionMatrix, queries: Int, _ k: AttentionMatrix, keys: Int, scale: Float, dQueries: AttentionMatrix,
    dKeys: AttentionMatrix, _ memory: Memory
  ) {
    for index in 0..<queries * keys { memory.dWeights[index] *= scale }
    let scores = AttentionMatrix(memory.dWeights, stride: keys)
    multiply(scores, rows: queries, by: k, columns: keySize, depth: keys, into: dQueries, memory)
    multiply(scores, rows: keys, transposed: true, by: q, columns: keySize, depth: queries, into: dKeys, memory)
  }
}
