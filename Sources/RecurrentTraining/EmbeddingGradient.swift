import Recurrent

/// The gradient of an embedding's weight [V,D], which holds only the rows of the symbols that were seen. Those of the
/// others are zero. To clear it, to add to it and to compute its norm takes time only for the symbols that were seen.
///
/// Its rows are in ascending order and each is summed in the order of the batch, so everything that is computed from them
/// has the bits that a gradient [V,D] would give.
public struct EmbeddingGradient: Sendable {
  /// V, how many symbols there are.
  public let symbols: Int
  /// D
  public let size: Int
  /// The symbols that were seen, in ascending order.
  public private(set) var seen: [Int] = []
  /// [seen, D]: their rows, in the same order. `gradientNorm` of them has the same bits as that of the gradient [V,D].
  public private(set) var sums: [Float] = []
  /// [V], where in `seen` each symbol is that was seen. The others have numbers of earlier batches, which mean nothing.
  private var places: [Int]
  /// A bit for each symbol: whether it was seen. Reading these V / 64 words gives the order without sorting.
  private var bits: [UInt64]

  /// The gradient of an embedding that has seen no symbol.
  public init(_ embedding: Embedding) {
    symbols = embedding.symbols
    size = embedding.size
    places = Array(repeating: 0, count: symbols)
    bits = Array(repeating: 0, count: (symbols + 63) / 64)
  }

  /// Makes the gradient zero: no symbol was seen.
  public mutating func clear() {
    for symbol in seen { bits[symbol / 64] = 0 }
    seen.removeAll(keepingCapacity: true)
    sums.removeAll(keepingCapacity: true)
  }

  /// Adds the gradient of another part of the batch.
  ///
  /// - Throws: `RecurrentError.shape` if it is the gradient of an embedding of another shape.
  public mutating func add(_ other: EmbeddingGradient) throws(RecurrentError) {
    try other.checkShape(symbols: symbols, size: size)
    other.sums.withUnsafeBufferPointer { add($0, of: other.seen) }
  }

  /// Adds rows [indices, D], in the order of the indices, each of which must be from 0 to V - 1.
  mutating func add(_ parts: UnsafeBufferPointer<Float>, of indices: [Int]) {
    see(indices)
    places.withUnsafeBufferPointer { places in
      sums.withUnsafeMutableBufferPointer { sums in
        addRows(parts, of: indices, size: size, to: sums) { places[$0] }
      }
    }
  }

  /// Gives each symbol that has not been seen yet a row of zeros.
  private mutating func see(_ indices: [Int]) {
    let before = seen.count
    var count = before
    bits.withUnsafeMutableBufferPointer { bits in
      for index in indices {
        // Without a branch: whether a symbol is new would often be mispredicted.
        let bit = 1 &<< UInt64(truncatingIfNeeded: index)
        count += bits[index / 64] & bit == 0 ? 1 : 0
        bits[index / 64] |= bit
      }
    }
    guard count > before else { return }
    seen.append(contentsOf: repeatElement(0, count: count - before))
    sums.append(contentsOf: repeatElement(0, count: (count - before) * size))
    seen.withUnsafeMutableBufferPointer { seen in
      places.withUnsafeMutableBufferPointer { places in
        sums.withUnsafeMutableBufferPointer { sums in
          // From the last symbol to the first one: no row moves to a place that another one has not left yet.
          var old = before
          for word in bits.indices.reversed() {
            var rest = bits[word]
            while rest != 0 {
              let bit = 63 - rest.leadingZeroBitCount, symbol = word * 64 + bit
              rest ^= 1 &<< UInt64(bit)
              count -= 1
              let row = sums.baseAddress! + count * size
              if old > 0, seen[old - 1] == symbol {
                old -= 1
                if old < count { row.update(from: sums.baseAddress! + old * size, count: size) }
              } else if count < before {
                row.update(repeating: 0, count: size)
              }
              seen[count] = symbol
              places[symbol] = count
            }
          }
        }
      }
    }
  }

  func checkShape(symbols: Int, size: Int) throws(RecurrentError) {
    guard self.symbols == symbols, self.size == size else {
      throw .shape(
        name: "gradients of an embedding", was: "\(self.symbols) symbols of \(self.size) values",
        expected: "\(symbols) symbols of \(size) values")
    }
  }
}

/// sums [_, size] += parts [indices, size]: each index's part is added to the row that `row` gives for it, in the order
/// of the indices.
@inline(__always)
func addRows(
  _ parts: UnsafeBufferPointer<Float>, of indices: [Int], size: Int, to sums: UnsafeMutableBufferPointer<Float>,
  row: (Int) -> Int
) {
  guard let parts = parts.baseAddress, let sums = sums.baseAddress else { return }
  for (at, index) in indices.enumerated() {
    let sum = sums + row(index) * size, part = parts + at * size
    for column in 0..<size { sum[column] += part[column] }
  }
}
