import CRecurrentKernels
import Recurrent
import Testing

/// Compares the kernels of every row of the table, our own and BLIS's micro-kernels, with a plain chain of
/// multiply-adds, bit by bit.
@Suite struct ProductTests {
  // MARK: - Products

  /// Row tiles and panels of random numbers, up to a depth.
  private struct Operands<Scalar: KernelScalar> {
    let depth: Int, rows: Int, width: Int
    let tile: GuardedScalars<Scalar>
    let panels: GuardedScalars<Scalar>
    let panelStride: Int

    init(_ row: TableRow, rows: Int, panelCount: Int, depth: Int, _ random: inout SeededGenerator) {
      (self.depth, self.rows, width) = (depth, rows, row.width)
      panelStride = depth * width
      tile = GuardedScalars(tilesOf: rows * depth, &random)
      panels = GuardedScalars(tilesOf: panelCount * panelStride, &random)
    }

    /// The order of addition that every kernel keeps: for each block of k one chain, in ascending k, from zero.
    func chain(_ row: Int, _ panel: Int, _ unit: Int, depth: Int, fused: Bool, onto start: Scalar?) -> Scalar {
      var result = start
      for first in stride(from: 0, to: depth, by: Int(PRODUCT_K_BLOCK)) {
        var sum: Scalar = 0
        for k in first..<min(depth, first + Int(PRODUCT_K_BLOCK)) {
          let a = tile.start[k * rows + row], b = panels.start[panel * panelStride + k * width + unit]
          sum = fused ? sum.addingProduct(a, b) : sum + a * b
        }
        result = result.map { $0 + sum } ?? sum
      }
      return result!
    }
  }

  @Test(arguments: TableRow.all)
  func everyKernelAddsInTheSameOrder(row: TableRow) {
    func check<Scalar: KernelScalar>(_: Scalar.Type) {
      var random = SeededGenerator(seed: 5)
      for depth in [1, 2, 3, 7, 8, 31, 64, 100, 511, 512, 513, 1100] {
        for rows in 1...row.tileRows {
          // The rows of the tile as a matrix, with padding between them and none behind the last one.
          let stride = depth + 3
          for panelCount in 1...5 {
            let operands = Operands<Scalar>(row, rows: rows, panelCount: panelCount, depth: depth, &random)
            let plain = GuardedScalars<Scalar>((rows - 1) * stride + depth) {
              $0 % stride < depth ? operands.tile.start[$0 % stride * rows + $0 / stride] : .nan
            }
            let start = (0..<panelCount * rows * row.width).map { _ in Scalar.random(in: -1...1, using: &random) }
            let c = GuardedScalars<Scalar>(start.count) { _ in 0 }
            for add in [false, true] {
              let expected = start.indices.map { at -> Scalar in
                // A small product is checked everywhere, a larger one only in the last row and unit of each panel.
                let q = at / row.width / rows, r = at / row.width % rows, u = at % row.width
                guard depth <= 31 || r == rows - 1 && u == row.width - 1 else { return .nan }
                return operands.chain(r, q, u, depth: depth, fused: row.isFused, onto: add ? start[at] : nil)
              }
              var results: [[Scalar]] = []
              // Some runs also fetch weights ahead: during a part of the values of k, during all of them, or more than
              // that.
              for (run, rowStart, rowStride, fetched) in [
                (product_run, operands.tile, 1, nil), (product_run_own, operands.tile, 1, nil),
                (product_run, plain, stride, nil), (product_run, operands.tile, 1, depth * 2),
                (product_run, operands.tile, 1, depth * 8), (product_run, operands.tile, 1, depth * row.width),
              ] {
                c.set(start)
                var operands = product(
                  rows: rowStart.start, row_count: rows, row_stride: rowStride, panels: operands.panels.start,
                  panel_count: panelCount, panel_stride: operands.panelStride, k: depth, c: c.start,
                  c_panel_stride: rows * row.width, c_row_stride: row.width, add: add,
                  next: fetched.map { _ in UnsafeRawPointer(operands.panels.start) }, next_count: fetched ?? 0,
                  panel_width: row.width)
                run(row.kernels, &operands)
                results.append(c.values)
              }
              for other in results {
                c.set(other)
                let isRight = zip(expected, other).allSatisfy { $0.isNaN || $0 == $1 }
                #expect(
                  c.isIdentical(results[0]) && isRight,
                  "\(row.testDescription), k \(depth), rows \(rows), panels \(panelCount), add \(add)")
              }
            }
          }
        }
      }
    }
    row.isDouble ? check(Double.self) : check(Float.self)
  }

  /// BLIS's micro-kernel computes one chain of multiply-adds from zero and then adds the sum to c. For every depth it
  /// gives the bits of our own kernel.
  @Test(arguments: TableRow.withBLIS)
  func blisAddsLikeOurOwnKernel(row: TableRow) {
    func check<Scalar: KernelScalar>(_: Scalar.Type) {
      var random = SeededGenerator(seed: 8)
      let operands = Operands<Scalar>(row, rows: row.tileRows, panelCount: 1, depth: 1100, &random)
      let start = (0..<row.tileRows * row.width).map { _ in Scalar.random(in: -1...1, using: &random) }
      let byBLIS = GuardedScalars<Scalar>(start.count) { _ in 0 }
      let byOwn = GuardedScalars<Scalar>(start.count) { _ in 0 }
      for depth in 0...1100 {
        for add in [false, true] {
          for (run, c) in [(product_run_blis, byBLIS), (product_run_own, byOwn)] {
            c.set(start)
            var product = product(
              rows: operands.tile.start, row_count: row.tileRows, row_stride: 1, panels: operands.panels.start,
              panel_count: 1, panel_stride: operands.panelStride, k: depth, c: c.start, c_panel_stride: 0,
              c_row_stride: row.width, add: add, next: nil, next_count: 0, panel_width: row.width)
            run(row.kernels, &product)
          }
          #expect(byBLIS.isIdentical(byOwn.values), "\(row.testDescription), k \(depth), add \(add)")
          guard depth > 0 else { continue }
          let at = depth % start.count
          let expected = operands.chain(
            at / row.width, 0, at % row.width, depth: depth, fused: row.isFused, onto: add ? start[at] : nil)
          #expect(byBLIS.start[at] == expected, "\(row.testDescription), k \(depth), add \(add)")
        }
      }
    }
    row.isDouble ? check(Double.self) : check(Float.self)
  }

  /// Compares with BLIS's whole products, which use the same micro-kernels, on every set that has them and for the
  /// widest panels.
  @Test(arguments: TableRow.all)
  func bliGemmAgreesWithPlainLoops(row: TableRow) {
    func check<Scalar: KernelScalar>(_: Scalar.Type) {
      let widest = product_kernels_for(row.kernels.pointee.set, row.kernels.pointee.scalar)
      var random = SeededGenerator(seed: 7)
      for (rows, units, depth) in [(1, 1, 1), (13, 33, 17), (37, 70, 600), (100, 5, 1)] {
        let x = (0..<rows * depth).map { _ in Scalar.random(in: -1...1, using: &random) }
        let weights = (0..<units * depth).map { _ in Scalar.random(in: -1...1, using: &random) }
        let c = GuardedScalars<Scalar>(rows * units) { _ in .nan }
        let works = x.withUnsafeBufferPointer { x in
          weights.withUnsafeBufferPointer { weights in
            var operands = gemm_comparison(
              x: x.baseAddress!, weights: weights.baseAddress!, c: c.start, rows: rows, units: units, k: depth)
            return product_by_gemm(row.kernels, &operands)
          }
        }
        #expect(works == (row.kernels == widest), "\(row.testDescription)")
        guard works else { continue }
        for r in 0..<rows {
          for u in 0..<units {
            let sum = (0..<depth).reduce(0.0) { $0 + Double(x[r * depth + $1]) * Double(weights[u * depth + $1]) }
            let error = abs(Double(c.start[r * units + u]) - sum)
            #expect(error <= Scalar.sumTolerance, "\(row.testDescription), \(rows) × \(units) × \(depth)")
          }
        }
      }
    }
    row.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: Processor.available)
  func wholeProductsAgreeWithPlainLoops(set: InstructionSet) throws {
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
      var result = [Float](repeating: .nan, count: rows * units)
      result.withUnsafeMutableBufferPointer {
        products.multiply(
          tiles: tiles.start, products.tiles(rows), depth: depth, panels: panels.start,
          panelStride: depth * products.width, into: $0.baseAddress!,
          units: units,
          rest: rest.start)
      }
      var expected = [Double](repeating: 0, count: rows * units)
      for r in 0..<rows {
        for u in 0..<units {
          for k in 0..<depth { expected[r * units + u] += Double(x[r * depth + k]) * Double(weights[u * depth + k]) }
        }
      }
      #expect(relativeError(result, expected) < 1e-5, "\(set), \(rows) × \(units) × \(depth)")
    }
  }
}
