import CRecurrentKernels

/// One array for a whole model, and which rows of its parameters with sparse rows are not zero.
struct GradientStorage: Sendable {
  var values: [Float]
  /// What lies between the parameters with sparse rows.
  let dense: [Range<Int>]
  var sparse: [SparseRows]
  let set: instruction_set

  init(_ list: ParameterList, _ set: instruction_set) {
    self.set = set
    values = Array(repeating: 0, count: list.count)
    var dense: [Range<Int>] = [], sparse: [SparseRows] = []
    for (shape, range) in zip(list.shapes, list.ranges) where !range.isEmpty {
      if shape.hasSparseRows, let rows = shape.shape.first {
        sparse.append(SparseRows(range: range, rows: rows))
      } else if let last = dense.last, last.upperBound == range.lowerBound {
        dense[dense.count - 1] = last.lowerBound..<range.upperBound
      } else {
        dense.append(range)
      }
    }
    self.dense = dense
    self.sparse = sparse
  }

  private init(without values: Void, _ set: instruction_set) {
    self.values = []
    self.set = set
    dense = []
    sparse = []
  }

  /// The storage itself, for a part of its owner; nothing stays behind that a change would have to copy.
  mutating func take() -> GradientStorage {
    let taken = self
    self = GradientStorage(without: (), set)
    return taken
  }

  /// Calls `body` with all values of a part that may not be zero, in ascending order of the parameters with dense
  /// gradients, then of the seen rows of the others.
  mutating func forEachPiece(in part: Range<Int>, _ body: (UnsafeMutableBufferPointer<Float>) -> Void) {
    let (dense, sparse) = (dense, sparse)
    values.withUnsafeMutableBufferPointer { all in
      Self.forEachRange(dense, sparse, in: part) { body(UnsafeMutableBufferPointer(rebasing: all[$0])) }
    }
  }

  /// The same for reading; `body` also gets the piece's first place.
  func forEachPieceRead(in part: Range<Int>, _ body: (UnsafeBufferPointer<Float>, Int) -> Void) {
    values.withUnsafeBufferPointer { all in
      Self.forEachRange(dense, sparse, in: part) { body(UnsafeBufferPointer(rebasing: all[$0]), $0.lowerBound) }
    }
  }

  private static func forEachRange(
    _ dense: [Range<Int>], _ sparse: [SparseRows], in part: Range<Int>, _ body: (Range<Int>) -> Void
  ) {
    for range in dense {
      let range = range.clamped(to: part)
      if !range.isEmpty { body(range) }
    }
    for rows in sparse where rows.isIn(part) {
      for row in rows.ascending {
        let start = rows.range.lowerBound + row * rows.size
        body(start..<start + rows.size)
      }
    }
  }

  /// No row of a part has been seen.
  mutating func forgetRows(in part: Range<Int>) {
    for index in sparse.indices where sparse[index].isIn(part) { sparse[index].forget() }
  }

  /// Marks the rows that another storage has marked in a part, whose parameters lie `distance` further here.
  mutating func mark(_ others: [SparseRows], in part: Range<Int>, movedBy distance: Int) {
    for other in others where other.isIn(part) {
      guard let index = sparse.firstIndex(where: { $0.range.lowerBound == other.range.lowerBound + distance }) else {
        continue
      }
      sparse[index].mark(other.ascending)
    }
  }
}

/// The rows of a parameter that have a gradient.
struct SparseRows: Sendable {
  /// The parameter's place in the flat array.
  let range: Range<Int>
  let rowCount: Int
  /// The number of values of a row.
  let size: Int
  /// A bit for each row. Reading these words gives the order without sorting.
  var bits: [UInt64]

  init(range: Range<Int>, rows: Int) {
    self.range = range
    rowCount = rows
    size = range.count / rows
    bits = Array(repeating: 0, count: (rows + 63) / 64)
  }

  /// Whether the parameter belongs to a part of the model.
  func isIn(_ part: Range<Int>) -> Bool { part.contains(range.lowerBound) }

  /// Each row must exist.
  mutating func mark(_ rows: [Int]) {
    bits.withUnsafeMutableBufferPointer { bits in
      for row in rows { bits[row / 64] |= 1 &<< UInt64(truncatingIfNeeded: row) }
    }
  }

  mutating func forget() { bits.withUnsafeMutableBufferPointer { $0.update(repeating: 0) } }

  /// The marked rows.
  var ascending: [Int] {
    var rows: [Int] = []
    for (word, bits) in bits.enumerated() {
      var rest = bits
      while rest != 0 {
        rows.append(word * 64 + rest.trailingZeroBitCount)
        rest &= rest - 1
      }
    }
    return rows
  }
}
