import CRecurrentKernels
import Recurrent
import Testing

/// A row of the table of kernels for 8-bit weights.
struct Int8Row: Sendable, CustomTestStringConvertible {
  let index: Int

  /// All rows that this processor can run.
  static let all = (0..<rounded_kernels_count()).map(Int8Row.init).filter {
    rounded_kernels_are_supported($0.kernels) && $0.kernels.pointee.format == .int8
  }

  var kernels: UnsafePointer<rounded_kernels> { rounded_kernels_at(index) }
  var group: Int { kernels.pointee.row_group }
  var tileRows: Int { kernels.pointee.tile_rows }
  /// The panel widths that the set has for floats.
  var widths: [Int] { instruction_set_of_floats(kernels.pointee.set) == .avx512 ? [32, 16] : [16] }
  /// Whether rows are packed for AMX.
  var isInTiles: Bool { kernels.pointee.set == .amx }
  var testDescription: String { String(cString: kernels.pointee.name) }
}

/// A row that is quantized as rounded.h defines.
struct QuantizedRow {
  var numbers: [Int]
  var scale: Float

  init(_ row: [Float]) {
    let largest = row.reduce(0) { $1.isFinite && !$0.isNaN ? max($0, abs($1)) : .nan }
    if largest.isNaN {
      (numbers, scale) = (row.map { _ in 0 }, .nan)  // no number matters if the scale is NaN
    } else if largest < 0x1p-100 {
      (numbers, scale) = (row.map { _ in 0 }, 0)
    } else {
      let inverse = 127 / largest
      numbers = row.map { max(-127, min(127, Int(($0 * inverse).rounded(.toNearestOrEven)))) }
      scale = largest / 127
    }
  }

  /// The row's values after quantization.
  var values: [Double] { numbers.map { Double($0) * Double(scale) } }
}

/// Compares every kernel for 8-bit weights with the definition in rounded.h, bit by bit.
@Suite struct Int8KernelTests {
  /// `count` rows, which cycle through every kind of numbers.
  private static func rows(_ count: Int, _ k: Int, _ random: inout SeededGenerator) -> [[Float]] {
    (0..<count).map { index in
      var row: [Float] = random.numbers(k)
      let at = Int(random.next() >> 33) % k
      switch index % 12 {
      case 1: row = row.map { _ in 0 }
      case 2: row[at] = .nan
      case 3: row[at] = .infinity
      case 4: row[at] = -.infinity
      case 5: row = row.map { $0 * .leastNormalMagnitude }
      case 6: row = row.map { $0 * .greatestFiniteMagnitude }
      case 7:  // the scale is 1, so that all numbers but one are ties
        row = row.map { ($0 * 126).rounded(.down) + 0.5 }
        row[at] = -127
      case 8: row = row.map { $0 < 0 ? Float(-0.0) : Float(0x1p-100) }
      case 9: row = row.map { _ in Float(0x1p-100).nextDown }
      case 10: row[at] = -.greatestFiniteMagnitude
      default: break
      }
      return row
    }
  }

  /// Reads the numbers and scales back from a packed row tile.
  private static func unpack(_ tile: [Float], _ row: Int8Row, rows: Int, k: Int) -> [QuantizedRow] {
    (0..<rows).map { r in
      var result = QuantizedRow([])
      result.scale = tile[r]
      result.numbers = (0..<k).map { d in
        let place = row.isInTiles ? (d / 64 * rows + r) * 16 + d % 64 / 4 : d / row.group * rows + r
        let word = tile[rows + place].bitPattern
        return row.group == 4
          ? Int(UInt8(truncatingIfNeeded: word >> (8 * UInt32(d % 4)))) - 128
          : Int(Int16(truncatingIfNeeded: word >> (16 * UInt32(d % 2))))
      }
      return result
    }
  }

  @Test(arguments: Int8Row.all)
  func rowsAreRoundedAsDefined(row: Int8Row) {
    var random = SeededGenerator(seed: 1)
    for k in [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 47, 64, 100, 513] {
      for count in 1...row.tileRows {
        for start in 0..<(count < 3 ? 12 : 1) {
          let rows = Array(Int8KernelTests.rows(start + count, k, &random)[start...])
          let expected = rows.map(QuantizedRow.init)
          // The same rows twice: as a matrix with padding between its rows, and as pieces [piece][rows][16], as in a
          // gate slot.
          let stride = k + 3, pieces = (k + 15) / 16
          let matrix = GuardedScalars<Float>((count - 1) * stride + k) {
            $0 % stride < k ? rows[$0 / stride][$0 % stride] : .nan
          }
          let slot = GuardedScalars<Float>((pieces - 1) * count * 16 + (count - 1) * 16 + (k - 1) % 16 + 1) { at in
            let d = at / 16 / count * 16 + at % 16
            return d < k ? rows[at / 16 % count][d] : .nan
          }
          let tile = GuardedScalars<Float>(count * rounded_row_words(row.kernels, k)) { _ in 7 }
          for (source, rowStride, piece, pieceStride) in [(matrix, stride, k, 0), (slot, 16, 16, 16 * count)] {
            var operands = rounded_rows(
              source: source.start, row_count: count, row_stride: rowStride, k: k, piece: piece,
              piece_stride: pieceStride)
            row.kernels.pointee.round_rows(&operands, tile.start)
            let packed = Int8KernelTests.unpack(tile.values, row, rows: count, k: k)
            for (index, (ours, expected)) in zip(packed, expected).enumerated() {
              let isRight =
                expected.scale.isNaN
                ? ours.scale.isNaN : ours.scale == expected.scale && ours.numbers == expected.numbers
              #expect(
                isRight, "\(row.testDescription), k \(k), row \(index) of \(count), pieces of \(piece): \(rows[index])")
            }
          }
        }
      }
    }
  }

  /// An integer sum is exact in any order. So for any rows, panels and depth, the product has the bits of a plain
  /// integer sum that is scaled and added to c.
  @Test(arguments: Int8Row.all)
  func productsAreExact(row: Int8Row) {
    var random = SeededGenerator(seed: 2)
    for width in row.widths {
      for k in [1, 2, 3, 4, 5, 8, 31, 64, 100, 514] {
        for rows in 1...row.tileRows {
          let x = Int8KernelTests.rows(rows + 7, k, &random).suffix(rows).map { $0 }
          for panelCount in 1...5 {
            // The last panel is not full.
            let units = panelCount * width - 5
            let weights = Int8KernelTests.rows(units, k, &random)
            expectExact(row, width: width, x: x, weights: weights, k: k, &random)
          }
        }
      }
    }
  }

  private func expectExact(
    _ row: Int8Row, width: Int, x: [[Float]], weights: [[Float]], k: Int, _ random: inout SeededGenerator
  ) {
    let rows = x.count, panelCount = (weights.count + width - 1) / width,
      stride = rounded_unit_words(row.kernels, k) * width
    let source = GuardedScalars<Float>(rows * k) { x[$0 / k][$0 % k] }
    let tile = GuardedScalars<Float>(rows * rounded_row_words(row.kernels, k)) { _ in 7 }
    var operands = rounded_rows(
      source: source.start, row_count: rows, row_stride: k, k: k, piece: k, piece_stride: 0)
    row.kernels.pointee.round_rows(&operands, tile.start)
    let panels = GuardedScalars<Float>(panelCount * stride) { _ in 7 }
    for panel in 0..<panelCount {
      let own = weights[panel * width..<min(weights.count, (panel + 1) * width)].flatMap { $0 }
      int8_pack_panel(row.kernels, panels.start + panel * stride, width, own, own.count / k, k)
    }
    // The rows of c have padding between them.
    let cStride = width + 3, cPanel = rows * cStride
    let start: [Float] = random.numbers(panelCount * cPanel)
    let c = GuardedScalars<Float>(start.count) { start[$0] }
    var product = product(
      rows: tile.start, row_count: rows, row_stride: 1, panels: panels.start, panel_count: panelCount,
      panel_stride: stride, k: k, c: c.start, c_panel_stride: cPanel, c_row_stride: cStride, add: true, next: nil,
      next_count: 0, panel_width: width)
    row.kernels.pointee.product(&product)

    let quantizedX = x.map(QuantizedRow.init), quantized = weights.map(QuantizedRow.init)
    var expected = start
    for q in 0..<panelCount {
      for r in 0..<rows {
        for u in 0..<min(width, weights.count - q * width) {
          let (a, b) = (quantizedX[r], quantized[q * width + u])
          var sum = 0
          for d in 0..<k { sum += a.numbers[d] * b.numbers[d] }
          expected[q * cPanel + r * cStride + u] += Float(sum) * (a.scale * b.scale)
        }
        // Beyond the last unit the product adds 0, or NaN for a row that has no scale.
        if quantizedX[r].scale.isNaN {
          for u in min(width, weights.count - q * width)..<width { expected[q * cPanel + r * cStride + u] = .nan }
        }
      }
    }
    let isSame = zip(c.values, expected).allSatisfy { $0.isNaN ? $1.isNaN : $0.bitPattern == $1.bitPattern }
    #expect(isSame, "\(row.testDescription), P \(width), k \(k), rows \(rows), panels \(panelCount)")
  }

  /// The largest possible sums do not overflow.
  @Test(arguments: Int8Row.all)
  func sumsDoNotOverflow(row: Int8Row) {
    let k = Int(INT8_MOST_K)
    var random = SeededGenerator(seed: 3)
    for sign in [Float(1), -1] {
      expectExact(
        row, width: 16, x: [Array(repeating: 2, count: k)], weights: [Array(repeating: 3 * sign, count: k)], k: k,
        &random)
    }
  }

  /// An instruction set uses the kernels of its own instructions, and those of VNNI if the processor has it.
  @Test(arguments: Processor.available)
  func theFastestKernelsAreChosen(set: InstructionSet) throws {
    let chosen = rounded_kernels_for(.int8, set.kernelSet).pointee
    #expect(chosen.set == (set == .amx && system_permits_amx() ? set.kernelSet : set.floatSet))
    #expect((chosen.row_group == 4) == (set >= .avx512 && processor_has_avx512_vnni()))
    #expect(chosen.tile_rows == (try Products<Float>(set, weights: .int8).tiles(1).size))
  }
}
