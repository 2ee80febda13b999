import CRecurrentKernels
import Recurrent
import Testing

/// Tests packing and the other operations on panels, for every row of the table of kernels.
@Suite struct PackingTests {
  private static let depths = [1, 2, 7, 8, 9, 15, 16, 17, 23, 24, 25, 31, 32, 33, 50]

  /// Row tiles are as wide as their number of rows. Panels that are not full are filled with zeros.
  private static func shapes(_ row: TableRow) -> [(count: Int, width: Int)] {
    (1...row.tileRows).map { ($0, $0) } + (1...row.width).map { ($0, row.width) }
  }

  @Test(arguments: TableRow.all)
  func packingMovesEveryNumber(row: TableRow) {
    func check<Scalar: KernelScalar>(_: Scalar.Type) {
      for (count, width) in PackingTests.shapes(row) {
        for depth in PackingTests.depths {
          func number(_ item: Int, _ d: Int) -> Scalar { Scalar(item * depth + d + 1) }
          // The sources are items with readable numbers behind those to be packed, as in a record's slot; items
          // without; and columns.
          let whole = (depth + 15) / 16 * 16
          for (byItem, readable) in [(true, whole), (true, depth), (false, depth)] {
            let source = GuardedScalars<Scalar>(count * readable) {
              guard byItem else { return number($0 % count, $0 / count) }
              return $0 % readable < depth ? number($0 / readable, $0 % readable) : -5
            }
            let packed = GuardedScalars<Scalar>(width * depth) { _ in -1 }
            pack(
              row.kernels, packed.start, width, source.start, count, byItem ? readable : 1, depth, readable,
              byItem ? 1 : count)
            let expected = (0..<width * depth).map { $0 % width < count ? number($0 % width, $0 / width) : 0 }
            #expect(
              packed.isIdentical(expected),
              "\(row.testDescription), count \(count), depth \(depth), width \(width), by item \(byItem)")
          }
        }
      }
    }
    row.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: TableRow.all)
  func unpackingAddsEveryNumber(row: TableRow) {
    func check<Scalar: KernelScalar>(_: Scalar.Type) {
      for count in 1...row.width {
        for depth in PackingTests.depths {
          // The rows of the matrix have padding between them and none behind the last one.
          let stride = depth + 2
          let panel = GuardedScalars<Scalar>(row.width * depth) { Scalar($0) }
          let target = GuardedScalars<Scalar>((count - 1) * stride + depth) { Scalar($0 % 7) }
          let expected = target.values.indices.map { at -> Scalar in
            let d = at % stride
            return target.start[at] + (d < depth ? panel.start[d * row.width + at / stride] : 0)
          }
          unpack_adding(row.kernels, target.start, stride, panel.start, row.width, count, depth)
          #expect(target.isIdentical(expected), "\(row.testDescription), count \(count), depth \(depth)")
        }
      }
    }
    row.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: TableRow.all)
  func rowsAreAddedInAscendingOrder(row: TableRow) {
    func check<Scalar: KernelScalar>(_: Scalar.Type) {
      var random = SeededGenerator(seed: 9)
      for rows in [0, 1, 2, 3, 12, 14, 33] {
        let panel = GuardedScalars<Scalar>(rows * row.width) { _ in Scalar.random(in: -1...1, using: &random) }
        let sums = GuardedScalars<Scalar>(row.width) { _ in Scalar.random(in: -1...1, using: &random) }
        let expected = (0..<row.width).map { u in
          (0..<rows).reduce(sums.start[u]) { $0 + panel.start[$1 * row.width + u] }
        }
        add_rows(row.kernels, sums.start, panel.start, rows)
        #expect(sums.isIdentical(expected), "\(row.testDescription), \(rows) rows")
      }
    }
    row.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: TableRow.all)
  func rowsAreFilledOfEveryPanel(row: TableRow) {
    func check<Scalar: KernelScalar>(_: Scalar.Type) {
      for (count, rows) in [(1, 1), (4, 1), (3, 5), (2, 14)] {
        // There is padding between the panels and none behind the last one.
        let stride = rows * row.width + 3
        let values = GuardedScalars<Scalar>(count * row.width) { Scalar($0 + 1) }
        let panels = GuardedScalars<Scalar>((count - 1) * stride + rows * row.width) { _ in -1 }
        let expected = (0..<panels.count).map { at -> Scalar in
          at % stride < rows * row.width ? values.start[at / stride * row.width + at % stride % row.width] : -1
        }
        fill_rows(row.kernels, panels.start, stride, count, values.start, rows)
        #expect(panels.isIdentical(expected), "\(row.testDescription), \(count) panels of \(rows) rows")
      }
    }
    row.isDouble ? check(Double.self) : check(Float.self)
  }
}

/// Tests the lists that generate the kernels.
@Suite struct KernelTableTests {
  @Test func setsHaveTheNamesOfTheList() {
    #expect(instruction_set_count() == InstructionSet.allCases.count)
    for set in InstructionSet.allCases {
      #expect(String(cString: instruction_set_name(set.kernelSet)) == set.rawValue)
    }
    #expect(Processor.available.contains(.portable))
  }

  @Test(arguments: TableRow.all)
  func everyRowIsReached(row: TableRow) throws {
    let kernels = row.kernels.pointee
    let set = try #require(InstructionSet.allCases.first { $0.floatSet == kernels.set })
    let widest = try Processor.kernels(set, scalar: kernels.scalar)
    #expect(row.width <= widest.pointee.panel_width)
    #expect(row.tileRows <= Int(PRODUCT_MOST_TILE_ROWS))
    // A layer with as many units as a panel is wide gets these panels; a layer of many units gets the widest.
    #expect(product_kernels_for_units(kernels.set, kernels.scalar, row.width) == row.kernels)
    #expect(product_kernels_for_units(kernels.set, kernels.scalar, 1000) == widest)
  }
}
