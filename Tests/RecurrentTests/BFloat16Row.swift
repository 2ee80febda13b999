import CRecurrentKernels
import Recurrent
import Testing

extension Float {
  /// The number with 8 significant bits that is nearest to this one, found by its distances to its two neighbors.
  var roundedToBFloat16: Float {
    guard isFinite else { return self }
    let below = bitPattern & 0xffff_0000, above = below &+ 0x10000
    // Infinity's bits stand for 2¹²⁸ here, the number that would follow the largest one.
    func magnitude(_ bits: UInt32) -> Double {
      let value = Double(Float(bitPattern: bits & 0x7fff_ffff))
      return value.isInfinite ? 0x1p128 : value
    }
    let toBelow = Double(abs(self)) - magnitude(below), toAbove = magnitude(above) - Double(abs(self))
    let isEven = below & 0x10000 == 0
    return Float(bitPattern: toBelow < toAbove || toBelow == toAbove && isEven ? below : above)
  }
}

/// A row of the table of kernels for weights in bf16.
struct BFloat16Row: Sendable, CustomTestStringConvertible {
  let index: Int

  /// All rows that this processor can run.
  static let all = (0..<rounded_kernels_count()).map(BFloat16Row.init).filter {
    rounded_kernels_are_supported($0.kernels) && $0.kernels.pointee.format == .bf16
  }

  var kernels: UnsafePointer<rounded_kernels> { rounded_kernels_at(index) }
  var isFused: Bool { kernels.pointee.set != .portable }
  /// Whether the kernels unpack weights to floats. Their products then have the bits of chains of multiply-adds.
  var unpacks: Bool { kernels.pointee.row_group == 1 }
  var tileRows: Int { kernels.pointee.tile_rows }
  /// The panel widths that the set has for floats.
  var widths: [Int] { instruction_set_of_floats(kernels.pointee.set) == .avx512 ? [32, 16] : [16] }
  var testDescription: String { String(cString: kernels.pointee.name) }

  /// Rounds rows [rows][k], `stride` apart, into a row tile, and returns the tile's rows.
  func round(_ source: UnsafePointer<Float>, rows: Int, stride: Int, k: Int, piece: Int, pieceStride: Int) -> [[Float]]
  {
    let tile = GuardedScalars<Float>(rows * rounded_row_words(kernels, k)) { _ in 7 }
    var operands = rounded_rows(
      source: source, row_count: rows, row_stride: stride, k: k, piece: piece, piece_stride: pieceStride)
    kernels.pointee.round_rows(&operands, tile.start)
    return unpacked(tile.values, rows: rows, k: k)
  }

  /// Rounds the columns of [k][columns], whose rows lie `stride` apart, into a row tile, and returns the tile's rows.
  func round(columns: Int, of source: UnsafePointer<Float>, stride: Int, k: Int) -> [[Float]] {
    let tile = GuardedScalars<Float>(columns * rounded_row_words(kernels, k)) { _ in 7 }
    var operands = rounded_columns(source: source, count: columns, stride: stride, k: k)
    kernels.pointee.round_columns!(&operands, tile.start)
    return unpacked(tile.values, rows: columns, k: k)
  }

  /// The rows of a row tile, as rounded.h describes it. Expects zeros in the padding of words.
  private func unpacked(_ tile: [Float], rows: Int, k: Int) -> [[Float]] {
    if unpacks { return (0..<rows).map { r in (0..<k).map { tile[$0 * rows + r] } } }
    return (0..<rows).map { r in
      let row = (0..<rounded_padded_k(kernels, k)).map { d in
        let word = kernels.pointee.k_multiple == 2 ? d / 2 * rows + r : (d / 32 * rows + r) * 16 + d % 32 / 2
        return Float(bitPattern: d % 2 == 0 ? tile[word].bitPattern << 16 : tile[word].bitPattern & 0xffff_0000)
      }
      #expect(row[k...].allSatisfy { $0.bitPattern == 0 }, "\(testDescription), the padding of \(k)")
      return Array(row[..<k])
    }
  }

  /// Rounds weights [unit][k] into a panel.
  func pack(_ weights: ArraySlice<[Float]>, width: Int, k: Int, into panel: UnsafeMutablePointer<Float>) {
    let source = GuardedScalars<Float>(k * width) {
      $0 % width < weights.count ? weights[weights.startIndex + $0 % width][$0 / width] : 0
    }
    kernels.pointee.round_panel!(panel, width, source.start, k)
  }
}
