import CRecurrentKernels

extension Products {
  /// Packs `source` [rows][depth], whose rows lie `stride` apart, into row tiles [tile][depth][rows of the tile].
  @specialized(where E == Float)
  @specialized(where E == Double)
  package func packRows(
    _ source: UnsafePointer<E>, _ rows: RowTiles, _ some: Range<Int>? = nil, stride: Int, depth: Int,
    into tiles: UnsafeMutablePointer<E>
  ) {
    if rounds {
      return round(rowsToRound(source, count: rows.rows, stride: stride, depth: depth), rows, some, into: tiles)
    }
    rows.forEach(some) { first, count in
      pack(kernels, tiles + first * depth, count, source + first * stride, count, stride, depth, depth, 1)
    }
  }

  /// Rows to be rounded. The `depth` scalars of a row lie next to each other, or in pieces.
  func rowsToRound(
    _ source: UnsafePointer<E>, count: Int, stride: Int, depth: Int, piece: Int? = nil, pieceStride: Int = 0
  ) -> rounded_rows {
    rounded_rows(
      source: Products.floats(source), row_count: count, row_stride: stride, k: depth, piece: piece ?? depth,
      piece_stride: pieceStride)
  }

  /// Weights and rows that are rounded are floats.
  @inline(__always)
  static func floats(_ start: UnsafePointer<E>) -> UnsafePointer<Float> {
    UnsafeRawPointer(start).assumingMemoryBound(to: Float.self)
  }

  /// Rounds all rows, or those of some tiles, into row tiles.
  package func round(
    _ source: rounded_rows, _ rows: RowTiles, _ some: Range<Int>? = nil, into tiles: UnsafeMutablePointer<E>
  ) {
    rows.forEach(some) { first, count in
      var tile = source
      tile.source += first * source.row_stride
      tile.row_count = count
      rounded!.pointee.round_rows(&tile, tiles + first * rowScalars(source.k))
    }
  }

  /// Packs the columns of `source` [depth][columns], whose rows lie `stride` apart, into tiles for a product that
  /// contracts over rows.
  @specialized(where E == Float)
  @specialized(where E == Double)
  package func packColumns(
    _ source: UnsafePointer<E>, stride: Int, _ columns: RowTiles, _ some: Range<Int>? = nil, depth: Int,
    into tiles: UnsafeMutablePointer<E>
  ) {
    columns.forEach(some) { first, count in
      if let rounded {
        var columns = rounded_columns(source: Products.floats(source + first), count: count, stride: stride, k: depth)
        rounded.pointee.round_columns!(&columns, tiles + first * rowScalars(depth))
      } else {
        pack(kernels, tiles + first * depth, count, source + first, count, 1, depth, depth, stride)
      }
    }
  }

  /// Packs the rows of `source` [units][depth], which lie `stride` apart or one after the other, into panels
  /// [panel][depth][P] that lie `panelStride` apart. If weights are rounded, it packs them as rounded.h describes; in 8
  /// bits, their rows must lie one after the other.
  @specialized(where E == Float)
  @specialized(where E == Double)
  package func packPanels(
    rowsOf source: UnsafePointer<E>, units: Int, depth: Int, stride: Int? = nil, panelStride: Int,
    into panels: UnsafeMutablePointer<E>
  ) {
    guard let rounded, rounded.pointee.format == .int8 else {
      return packWeights(
        source, units: units, unitStride: stride ?? depth, depth: depth, depthStride: 1, panelStride: panelStride,
        into: panels)
    }
    for panel in 0..<self.panels(units) {
      let first = panel * width
      int8_pack_panel(
        rounded, panels + panel * panelStride, width, Products.floats(source + first * depth),
        min(width, units - first), depth)
    }
  }

  /// Packs weights, full or in bf16, into panels that lie `panelStride` apart. One of the strides is 1.
  @specialized(where E == Float)
  @specialized(where E == Double)
  package func packWeights(
    _ source: UnsafePointer<E>, units: Int, unitStride: Int, depth: Int, depthStride: Int, panelStride: Int,
    into panels: UnsafeMutablePointer<E>
  ) {
    let unrounded = rounded == nil ? nil : AlignedBuffer<E>(count: depth * width)
    defer { withExtendedLifetime(unrounded) {} }
    for panel in 0..<self.panels(units) {
      let first = panel * width, target = panels + panel * panelStride
      pack(
        kernels, unrounded?.start ?? target, width, source + first * unitStride, min(width, units - first), unitStride,
        depth, depth, depthStride)
      if let rounded, let unrounded {
        rounded.pointee.round_panel!(target, width, Products.floats(unrounded.start), depth)
      }
    }
  }

  /// Packs the columns of `source` [depth][units], whose rows lie `stride` apart, into panels [panel][depth][P] that
  /// lie `panelStride` apart.
  @specialized(where E == Float)
  @specialized(where E == Double)
  package func packPanels(
    columnsOf source: UnsafePointer<E>, units: Int, depth: Int, stride: Int, panelStride: Int,
    into panels: UnsafeMutablePointer<E>
  ) {
    for panel in 0..<self.panels(units) {
      let first = panel * width
      pack(
        kernels, panels + panel * panelStride, width, source + first, min(width, units - first), 1, depth, depth, stride
      )
    }
  }

  /// target [units][depth], rows `stride` apart or one after the other += the panels [panel][depth][P], `panelStride`
  /// apart.
  @specialized(where E == Float)
  @specialized(where E == Double)
  package func unpackAdding(
    _ panels: UnsafePointer<E>, panelStride: Int, units: Int, depth: Int, to target: UnsafeMutablePointer<E>,
    stride: Int? = nil
  ) {
    let stride = stride ?? depth
    for panel in 0..<self.panels(units) {
      let first = panel * width
      unpack_adding(
        kernels, target + first * stride, stride, panels + panel * panelStride, width, min(width, units - first), depth)
    }
  }

  /// target [rows][units], rows `stride` apart = the panels [panel][rows][P], `panelStride` apart.
  @specialized(where E == Float)
  @specialized(where E == Double)
  package func copyRows(
    ofPanels panels: UnsafePointer<E>, panelStride: Int, rows: Int, units: Int, to target: UnsafeMutablePointer<E>,
    stride: Int
  ) {
    for panel in 0..<self.panels(units) {
      let first = panel * width, count = min(width, units - first)
      for row in 0..<rows {
        (target + (row * stride + first)).update(from: panels + (panel * panelStride + row * width), count: count)
      }
    }
  }
}
