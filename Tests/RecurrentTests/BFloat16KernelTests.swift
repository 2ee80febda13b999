import CRecurrentKernels
import Recurrent
import Testing

/// Compares rounding to bf16, and every kernel for weights in bf16, with the definition in rounded.h, bit by bit.
@Suite struct BFloat16KernelTests {
  /// Every upper half of a float, with the lower halves at which rounding changes and some between them.
  private static let everyUpperHalf: [Float] = (0..<UInt32(1 << 16)).flatMap { upper in
    [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff].map { Float(bitPattern: upper << 16 | $0) }
  }

  private static func isSame(_ a: Float, _ b: Float) -> Bool {
    a.isNaN ? b.isNaN && a.sign == b.sign : a.bitPattern == b.bitPattern
  }

  @Test func numbersAreRoundedToTheNearest() {
    let wrong = BFloat16KernelTests.everyUpperHalf.filter {
      !BFloat16KernelTests.isSame($0.roundedToBFloat16, Float(bitPattern: UInt32(BFloat16.bits(of: $0)) << 16))
    }
    #expect(wrong.isEmpty, "\(wrong.count) numbers, such as \(wrong.prefix(8).map(\.bitPattern))")
  }

  @Test(arguments: BFloat16Row.all)
  func rowsAreRoundedToTheNearest(row: BFloat16Row) {
    let values = BFloat16KernelTests.everyUpperHalf, k = values.count / 6
    values.withUnsafeBufferPointer { source in
      for (rows, k) in [(1, values.count), (3, k), (1, 1), (1, 7), (2, 19)] {
        let rounded = row.round(source.baseAddress!, rows: rows, stride: k, k: k, piece: k, pieceStride: 0)
        for (r, own) in rounded.enumerated() {
          let wrong = own.indices.filter {
            !BFloat16KernelTests.isSame(own[$0], values[r * k + $0].roundedToBFloat16)
          }
          #expect(wrong.isEmpty, "\(row.testDescription), rows \(rows), k \(k): \(wrong.count) numbers")
        }
      }
    }
  }

  /// The rows come from a matrix, and from pieces as in a gate slot: [piece][rows][16].
  @Test(arguments: BFloat16Row.all)
  func rowsArePackedAsDefined(row: BFloat16Row) {
    var random = SeededGenerator(seed: 1)
    for k in [1, 2, 3, 15, 16, 17, 31, 32, 33, 47, 64, 100, 513] {
      for count in 1...row.tileRows {
        let rows: [[Float]] = (0..<count).map { _ in random.numbers(k) }, stride = k + 3, pieces = (k + 15) / 16
        let matrix = GuardedScalars<Float>((count - 1) * stride + k) {
          $0 % stride < k ? rows[$0 / stride][$0 % stride] : .nan
        }
        let slot = GuardedScalars<Float>((pieces - 1) * count * 16 + (count - 1) * 16 + (k - 1) % 16 + 1) { at in
          let d = at / 16 / count * 16 + at % 16
          return d < k ? rows[at / 16 % count][d] : .nan
        }
        let expected = rows.map { $0.map(\.roundedToBFloat16) }
        for (source, rowStride, piece, pieceStride) in [(matrix, stride, k, 0), (slot, 16, 16, 16 * count)] {
          let packed = row.round(
            source.start, rows: count, stride: rowStride, k: k, piece: piece, pieceStride: pieceStride)
          #expect(packed == expected, "\(row.testDescription), k \(k), rows \(count), pieces of \(piece)")
        }
      }
    }
  }

  @Test(arguments: BFloat16Row.all)
  func columnsArePackedAsDefined(row: BFloat16Row) {
    var random = SeededGenerator(seed: 3)
    for k in [1, 2, 3, 15, 16, 17, 31, 32, 33, 64, 255, 256] {
      for count in 1...row.tileRows {
        let columns = BFloat16KernelTests.rows(count, k, &random), stride = count + 3
        let matrix = GuardedScalars<Float>((k - 1) * stride + count) {
          $0 % stride < count ? columns[$0 % stride][$0 / stride] : .nan
        }
        let packed = row.round(columns: count, of: matrix.start, stride: stride, k: k)
        let isSame = zip(packed.joined(), columns.joined()).allSatisfy {
          BFloat16KernelTests.isSame($0, $1.roundedToBFloat16)
        }
        #expect(isSame, "\(row.testDescription), k \(k), columns \(count)")
      }
    }
  }

  /// A word holds an even k of its unit in its lower half and the odd one in its upper half.
  @Test(arguments: BFloat16Row.all)
  func panelsArePackedAsDefined(row: BFloat16Row) {
    var random = SeededGenerator(seed: 4)
    for width in row.widths {
      for k in [1, 2, 3, 16, 31, 32, 33, 100] {
        let weights = BFloat16KernelTests.rows(width, k, &random)
        let panel = GuardedScalars<Float>(rounded_unit_words(row.kernels, k) * width) { _ in 7 }
        row.pack(weights[...], width: width, k: k, into: panel.start)
        let words = panel.values.map(\.bitPattern)
        for (u, unit) in weights.enumerated() {
          for d in 0..<rounded_padded_k(row.kernels, k) {
            let word = words[d / 2 * width + u]
            let half = Float(bitPattern: d % 2 == 0 ? word << 16 : word & 0xffff_0000)
            let expected = d < k ? unit[d].roundedToBFloat16 : 0
            #expect(
              BFloat16KernelTests.isSame(half, expected), "\(row.testDescription), P \(width), k \(k), \(u), \(d)")
          }
        }
      }
    }
  }

  /// `count` rows, which hold numbers of every kind.
  private static func rows(_ count: Int, _ k: Int, _ random: inout SeededGenerator) -> [[Float]] {
    (0..<count).map { index in
      var row: [Float] = random.numbers(k)
      let at = Int(random.next() >> 33) % k
      switch index % 9 {
      case 2: row[at] = .nan
      case 3: row[at] = .infinity
      case 4: row[at] = -.infinity
      case 5: row = row.map { $0 * .leastNormalMagnitude }
      case 6: row = row.map { $0 * 0x1p100 }
      case 7: row = row.map { $0 < 0 ? Float(-0.0) : 0 }
      case 8: row[at] = -.greatestFiniteMagnitude
      default: break
      }
      return row
    }
  }

  /// For any rows, panels and depth, a product has the bits of plain chains of multiply-adds of rounded numbers. The
  /// instructions for bf16 add in other orders, so their products are only compared within the bounds of rounding.
  @Test(arguments: BFloat16Row.all)
  func productsAreChainsOfRoundedNumbers(row: BFloat16Row) {
    var random = SeededGenerator(seed: 2)
    for width in row.widths {
      for k in [1, 2, 3, 4, 31, 64, 511, 512, 513, 1027] {
        for rows in k < 100 ? Array(1...row.tileRows) : [1, 3, row.tileRows] {
          let x = BFloat16KernelTests.rows(rows + 7, k, &random).suffix(rows).map { $0 }
          for panelCount in k < 100 ? Array(1...5) : [3] {
            // The last panel is not full.
            let weights = BFloat16KernelTests.rows(panelCount * width - 5, k, &random)
            for add in [true, false] {
              expectChains(row, width: width, x: x, weights: weights, k: k, add: add, &random)
            }
          }
        }
      }
    }
  }

  private func expectChains(
    _ row: BFloat16Row, width: Int, x: [[Float]], weights: [[Float]], k: Int, add: Bool,
    _ random: inout SeededGenerator
  ) {
    let kernels = row.kernels, rows = x.count, panelCount = (weights.count + width - 1) / width
    let stride = rounded_unit_words(kernels, k) * width
    let source = GuardedScalars<Float>(rows * k) { x[$0 / k][$0 % k] }
    let tile = GuardedScalars<Float>(rows * rounded_row_words(kernels, k)) { _ in .nan }
    var operands = rounded_rows(
      source: source.start, row_count: rows, row_stride: k, k: k, piece: k, piece_stride: 0)
    kernels.pointee.round_rows(&operands, tile.start)
    let panels = GuardedScalars<Float>(panelCount * stride) { _ in 7 }
    for panel in 0..<panelCount {
      let own = weights[panel * width..<min(weights.count, (panel + 1) * width)]
      row.pack(own, width: width, k: k, into: panels.start + panel * stride)
    }
    // The rows of c have padding between them.
    let cStride = width + 3, cPanel = rows * cStride
    let start: [Float] = random.numbers(panelCount * cPanel)
    let c = GuardedScalars<Float>(start.count) { start[$0] }
    var product = product(
      rows: tile.start, row_count: rows, row_stride: 1, panels: panels.start, panel_count: panelCount,
      panel_stride: stride, k: k, c: c.start, c_panel_stride: cPanel, c_row_stride: cStride, add: add, next: nil,
      next_count: 0, panel_width: width)
    kernels.pointee.product(&product)

    let roundedX = x.map { $0.map(\.roundedToBFloat16) }, rounded = weights.map { $0.map(\.roundedToBFloat16) }
    let noUnit = [Float](repeating: 0, count: k)
    let values = c.values
    var expected = start, isRight = true
    for q in 0..<panelCount {
      for r in 0..<rows {
        for u in 0..<width {
          let unit = q * width + u, weights = unit < rounded.count ? rounded[unit] : noUnit
          let at = q * cPanel + r * cStride + u
          if !add { expected[at] = 0 }
          if !row.unpacks {
            isRight = isRight && isNear(values[at], expected[at], roundedX[r], weights)
            expected[at] = values[at]
            continue
          }
          for first in Swift.stride(from: 0, to: k, by: Int(PRODUCT_K_BLOCK)) {
            var sum: Float = 0
            for d in first..<min(k, first + Int(PRODUCT_K_BLOCK)) {
              sum = row.isFused ? sum.addingProduct(weights[d], roundedX[r][d]) : sum + weights[d] * roundedX[r][d]
            }
            expected[at] = add || first > 0 ? expected[at] + sum : sum
          }
        }
      }
    }
    let isSame = zip(values, expected).allSatisfy { $0.isNaN ? $1.isNaN : $0.bitPattern == $1.bitPattern }
    #expect(
      isSame && isRight,
      "\(row.testDescription), P \(width), k \(k), rows \(rows), panels \(panelCount), \(add ? "added" : "written")")
  }

  /// The instructions for bf16 add in the orders that rounded.h describes.
  @Test(arguments: BFloat16Row.all.filter { !$0.unpacks })
  func instructionsAddInTheirOrder(row: BFloat16Row) {
    var random = SeededGenerator(seed: 5)
    for k in [1, 2, 31, 32, 33, 100, 1027] {
      let x: [Float] = random.numbers(k), weights: [[Float]] = (0..<16).map { _ in random.numbers(k) }
      let start: [Float] = random.numbers(16)
      let tile = GuardedScalars<Float>(rounded_row_words(row.kernels, k)) { _ in .nan }
      let panel = GuardedScalars<Float>(rounded_unit_words(row.kernels, k) * 16) { _ in .nan }
      let source = GuardedScalars<Float>(k) { x[$0] }, c = GuardedScalars<Float>(16) { start[$0] }
      var rows = rounded_rows(source: source.start, row_count: 1, row_stride: k, k: k, piece: k, piece_stride: 0)
      row.kernels.pointee.round_rows(&rows, tile.start)
      row.pack(weights[...], width: 16, k: k, into: panel.start)
      var product = product(
        rows: tile.start, row_count: 1, row_stride: 1, panels: panel.start, panel_count: 1, panel_stride: 0, k: k,
        c: c.start, c_panel_stride: 0, c_row_stride: 16, add: true, next: nil, next_count: 0, panel_width: 16)
      row.kernels.pointee.product(&product)
      let expected = (0..<16).map { unit in
        let products = (0..<(k + 31) / 32 * 32).map { d in
          d < k ? (x[d].roundedToBFloat16, weights[unit][d].roundedToBFloat16) : (0, 0)
        }
        return row.kernels.pointee.set == .amx ? tiles(start[unit], products) : pairs(start[unit], products)
      }
      expectSameBits(c.values, expected, "\(row.testDescription), k \(k)")
    }
  }

  /// VDPBF16PS: one chain for each block of k, in which the odd number of a pair comes first.
  private func pairs(_ start: Float, _ products: [(Float, Float)]) -> Float {
    stride(from: 0, to: products.count, by: Int(PRODUCT_K_BLOCK)).reduce(start) { sum, first in
      let end = min(products.count, first + Int(PRODUCT_K_BLOCK))
      return sum
        + stride(from: first, to: end, by: 2).reduce(0) { chain, d in
          let (odd, even) = (products[d + 1], products[d])
          return chain.addingProduct(odd.0, odd.1).addingProduct(even.0, even.1)
        }
    }
  }

  /// TDPBF16PS: for each 32 values of k, a chain of the even ones and one of the odd ones.
  private func tiles(_ start: Float, _ products: [(Float, Float)]) -> Float {
    stride(from: 0, to: products.count, by: 32).reduce(start) { sum, first in
      let chains = (0..<2).map { parity in
        stride(from: first + parity, to: first + 32, by: 2).reduce(Float(0)) {
          $0.addingProduct(products[$1].0, products[$1].1)
        }
      }
      return sum + (chains[0] + chains[1])
    }
  }

  /// Whether a sum in any order of addition could have this value. Denormal numbers can count as zero.
  private func isNear(_ value: Float, _ start: Float, _ x: [Float], _ weights: [Float]) -> Bool {
    var sum = Double(start), magnitude = abs(sum), lost = 0.0
    for (a, b) in zip(x, weights) {
      let product = Double(a) * Double(b)
      sum += product
      magnitude += abs(product)
      if a.isSubnormal || b.isSubnormal { lost += abs(product) }
    }
    // The sum of products that overflow is infinite, or not a number.
    guard sum.isFinite, magnitude < Double(Float.greatestFiniteMagnitude) else { return !value.isFinite }
    let steps = Double(x.count + 3)
    return abs(Double(value) - sum) <= lost + steps * (0x1p-24 * magnitude + Double(Float.leastNormalMagnitude))
  }

  @Test(arguments: Processor.available)
  func theSetsOwnKernelsAreChosen(set: InstructionSet) throws {
    let chosen = rounded_kernels_for(.bf16, set.kernelSet).pointee
    let isPermitted = set != .amx || system_permits_amx()
    #expect(chosen.set == (isPermitted ? set.kernelSet : InstructionSet.avx512bf16.kernelSet) && chosen.format == .bf16)
    #expect(chosen.tile_rows == (try Products<Float>(set, weights: .bfloat16).tiles(1).size))
  }
}
