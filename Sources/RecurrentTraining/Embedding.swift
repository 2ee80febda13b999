import Recurrent

/// A table with a vector for each symbol.
public struct Embedding: Sendable, Equatable {
  /// V, how many symbols there are.
  public let symbols: Int
  /// D
  public let size: Int
  /// [V,D]
  public var weight: [Float]

  /// Standard normal, as PyTorch draws it.
  ///
  /// - Throws: `RecurrentError.size` if a size is not positive.
  public init(symbols: Int, size: Int, seed: UInt64) throws(RecurrentError) {
    let count = try checkedCount(("symbols", symbols), ("size", size))
    self.symbols = symbols
    self.size = size
    var random = SeededGenerator(seed: seed)
    weight = (0..<count).map { _ in Float(random.nextNormal()) }
  }

  /// The vectors of some symbols.
  ///
  /// - Parameters:
  ///   - indices: each from 0 to V - 1.
  ///   - x: [indices, D], overwritten.
  /// - Throws: `RecurrentError` if an index or a count is wrong.
  public func forward(_ indices: [Int], into x: inout [Float]) throws(RecurrentError) {
    try check(indices, x.count, "x")
    x.withUnsafeMutableBufferPointer { x in
      weight.withUnsafeBufferPointer { weight in
        for (row, index) in indices.enumerated() {
          (x.baseAddress! + row * size).update(from: weight.baseAddress! + index * size, count: size)
        }
      }
    }
  }

  /// gradient [V,D] += dx [indices, D]
  ///
  /// - Throws: `RecurrentError` if an index or a count is wrong; the gradient is then as it was before.
  public func backward(_ indices: [Int], dx: [Float], into gradient: inout [Float]) throws(RecurrentError) {
    try check(indices, dx.count, "dx")
    try checkCount("gradient", gradient.count, is: weight.count, "\(symbols)·\(size)")
    gradient.withUnsafeMutableBufferPointer { gradient in
      dx.withUnsafeBufferPointer { addRows($0, of: indices, size: size, to: gradient) { $0 } }
    }
  }

  /// gradient [V,D] += dx [indices, D], with the same bits as the other form. It takes time for the indices only, not
  /// for V symbols.
  ///
  /// - Throws: `RecurrentError` if an index or a count is wrong, or if the gradient has another shape than the
  ///   embedding; the gradient is then as it was before.
  public func backward(_ indices: [Int], dx: [Float], into gradient: inout EmbeddingGradient) throws(RecurrentError) {
    try check(indices, dx.count, "dx")
    try gradient.checkShape(symbols: symbols, size: size)
    dx.withUnsafeBufferPointer { gradient.add($0, of: indices) }
  }

  private func check(_ indices: [Int], _ count: Int, _ name: String) throws(RecurrentError) {
    try checkCount("weight", weight.count, is: symbols * size, "\(symbols)·\(size)")
    try checkCount(name, count, is: indices.count * size, "\(indices.count)·\(size)")
    for index in indices where index < 0 || index >= symbols {
      throw .size(name: "index", was: index, expected: "0 to \(symbols - 1)")
    }
  }
}
