import CRecurrentKernels
import Recurrent
import Testing

/// Our own kernels, BLIS's micro-kernels and a plain chain of multiply-adds, bit by bit.
@Suite struct ProductTests {
  /// The order of addition that every kernel keeps: one chain in ascending k from zero for each block of k.
  private func chain(
    _ rows: [Float], _ row: Int, _ count: Int, _ panel: [Float], _ unit: Int, _ width: Int, depth: Int,
    fused: Bool, onto start: Float?
  ) -> Float {
    var result = start
    for first in stride(from: 0, to: depth, by: Int(PRODUCT_K_BLOCK)) {
      var sum: Float = 0
      for k in first..<min(depth, first + Int(PRODUCT_K_BLOCK)) {
        let a = rows[k * count + row], b = panel[k * width + unit]
        sum = fused ? sum.addingProduct(a, b) : sum + a * b
      }
      result = result.map { $0 + sum } ?? sum
    }
    return result!
  }

  /// Every instruction set, with panels as wide as they get and for a layer of 16 units.
  static let kernels = Processor.available.flatMap { set in [nil, 16].map { (set, $0) } }

  @Test(arguments: kernels)
  func everyKernelAddsInTheSameOrder(set: InstructionSet, units: Int?) throws {
    let products = try Products<Float>(set, units: units)
    let width = products.width
    var random = SeededGenerator(seed: 5)
    for depth in [1, 2, 3, 7, 8, 31, 64, 100, 511, 512, 513, 1100] {
      for rows in 1...products.tiles(1).size {
        for panelCount in 1...5 {
          let row = products.panelsFilled(rows * depth, &random),
            panels = products.panelsFilled(panelCount * depth * width, &random)
          let start = (0..<panelCount * rows * width).map { _ in Float.random(in: -1...1, using: &random) }
          for add in [false, true] {
            var results: [[Float]] = []
            // The rows of the tile as a matrix, with something between them.
            let stride = depth + 3
            let plain = products.panelsFilled(rows * stride, &random)
            for r in 0..<rows { for k in 0..<depth { plain.start[r * stride + k] = row.start[k * rows + r] } }
            // Weights to be fetched meanwhile: in the time of half, all and more than the steps of k.
            for (run, rowStart, rowStride, fetched) in [
              (product_run, row, 1, nil), (product_run_own, row, 1, nil), (product_run, plain, stride, nil),
              (product_run, row, 1, depth * 8), (product_run, row, 1, depth * width),
            ] {
              var c = start
              c.withUnsafeMutableBufferPointer { c in
                var operands = product(
                  rows: rowStart.start, row_count: rows, row_stride: rowStride, panels: panels.start,
                  panel_count: panelCount,
                  panel_stride: depth * width, k: depth, c: c.baseAddress!, c_panel_stride: rows * width,
                  c_row_stride: width, add: add, next: fetched.map { _ in UnsafePointer<Float>(panels.start) },
                  next_count: fetched ?? 0)
                run(products.kernels, &operands)
              }
              results.append(c)
            }
            for other in results.dropFirst() {
              #expect(
                results[0].map(\.bitPattern) == other.map(\.bitPattern),
                "\(set), k \(depth), rows \(rows), panels \(panelCount), add \(add)")
            }
            let q = panelCount - 1, r = rows - 1, u = width - 1
            let panel = Array(UnsafeBufferPointer(start: panels.start + q * depth * width, count: depth * width))
            let tile = Array(UnsafeBufferPointer(start: row.start, count: rows * depth))
            let at = (q * rows + r) * width + u
            let expected = chain(
              tile, r, rows, panel, u, width, depth: depth, fused: set != .portable, onto: add ? start[at] : nil)
            #expect(results[0][at].bitPattern == expected.bitPattern, "\(set), k \(depth), rows \(rows), add \(add)")
          }
        }
      }
    }
  }

  @Test(arguments: Processor.available)
  func wholeProductsAgreeWithPlainLoopsAndSgemm(set: InstructionSet) throws {
    let products = try Products<Float>(set)
    var random = SeededGenerator(seed: 6)
    for (rows, units, depth) in [
      (1, 1, 1), (5, 3, 2), (13, 33, 17), (24, 64, 40), (37, 70, 600), (3, 200, 65), (100, 5, 1),
    ] {
      let x = (0..<rows * depth).map { _ in Float.random(in: -1...1, using: &random) }
      let weights = (0..<units * depth).map { _ in Float.random(in: -1...1, using: &random) }
      let tiles = AlignedBuffer<Float>(count: rows * depth), rest = AlignedBuffer<Float>(count: rows * products.width)
      let panels = AlignedBuffer<Float>(count: products.panels(units) * products.width * depth)
      products.packRows(x, products.tiles(rows), stride: depth, depth: depth, into: tiles.start)
      products.packPanels(
        rowsOf: weights, units: units, depth: depth, panelStride: depth * products.width, into: panels.start)
      var result = [Float](repeating: .nan, count: rows * units), bySgemm = result
      result.withUnsafeMutableBufferPointer {
        products.multiply(
          tiles: tiles.start, products.tiles(rows), depth: depth, panels: panels.start,
          panelStride: depth * products.width, into: $0.baseAddress!,
          units: units,
          rest: rest.start)
      }
      bySgemm.withUnsafeMutableBufferPointer { c in
        x.withUnsafeBufferPointer { x in
          weights.withUnsafeBufferPointer { weights in
            var operands = sgemm_comparison(
              x: x.baseAddress!, weights: weights.baseAddress!, c: c.baseAddress!, rows: rows, units: units, k: depth)
            #expect(product_by_sgemm(products.kernels, &operands))
          }
        }
      }
      var expected = [Double](repeating: 0, count: rows * units)
      for r in 0..<rows {
        for u in 0..<units {
          for k in 0..<depth { expected[r * units + u] += Double(x[r * depth + k]) * Double(weights[u * depth + k]) }
        }
      }
      #expect(relativeError(result, expected) < 1e-5, "\(set), \(rows) × \(units) × \(depth)")
      #expect(relativeError(bySgemm, expected) < 1e-5, "\(set), \(rows) × \(units) × \(depth) by bli_sgemm")
    }
  }

  @Test(arguments: Processor.available)
  func packingMovesEveryNumber(set: InstructionSet) throws {
    let products = try Products<Float>(set)
    for count in [1, 2, 3, 5, 11, 12, 15, 16, 17, 31, 32] {
      for depth in [1, 2, 15, 16, 17, 31, 32, 33, 50] {
        for width in (count <= 12 ? [count] : []) + [count > 16 ? 32 : 16] {
          let source = (0..<count * depth).map { Float($0 + 1) }
          // Items with more behind them than is packed, as in a slot of a record.
          let whole = (depth + 15) / 16 * 16
          let padded = (0..<count).flatMap { i in (0..<whole).map { $0 < depth ? Float(i * depth + $0 + 1) : -5 } }
          // Both orientations of the source, and what stands behind the packed numbers.
          for (byItem, readable) in [(true, depth), (true, whole), (false, depth)] {
            var packed = [Float](repeating: -1, count: width * depth + 1)
            packed.withUnsafeMutableBufferPointer {
              pack(
                products.kernels, $0.baseAddress!, width, readable > depth ? padded : source, count,
                byItem ? readable : 1, depth, readable, byItem ? 1 : count)
            }
            var expected = [Float](repeating: 0, count: width * depth) + [-1]
            for d in 0..<depth {
              for i in 0..<count { expected[d * width + i] = source[byItem ? i * depth + d : d * count + i] }
            }
            #expect(packed == expected, "\(set), count \(count), depth \(depth), width \(width), by item \(byItem)")
          }
          guard width % 16 == 0 else { continue }
          var target = [Float](repeating: 1, count: count * depth)
          let panel = (0..<width * depth).map { Float($0) }
          target.withUnsafeMutableBufferPointer {
            unpack_adding(products.kernels, $0.baseAddress!, depth, panel, width, count, depth)
          }
          let expected = (0..<count).flatMap { i in (0..<depth).map { 1 + panel[$0 * width + i] } }
          #expect(target == expected, "unpack on \(set), count \(count), depth \(depth), width \(width)")
        }
      }
    }
  }
}

extension Products {
  fileprivate func panelsFilled(_ count: Int, _ random: inout SeededGenerator) -> AlignedBuffer<Float> {
    let buffer = AlignedBuffer<Float>(count: count)
    for index in 0..<count { buffer.start[index] = Float.random(in: -1...1, using: &random) }
    return buffer
  }
}
