import Recurrent

/// Rows that will be the steps of sequences: all rows of a sequence, in order, come before those of the next one.
public struct RowGroups: Sendable, Differentiable {
  /// The gradient of the rows.
  public typealias Gradient = Sequences<Float>
  /// [1,R,C]
  public let rows: Sequences<Float>
  /// [N]: the number of steps of each sequence.
  public let counts: [Int]

  /// - Parameters:
  ///   - rows: [1,R,C], such as what `LastOutput` gives for R words.
  ///   - counts: [N], each 0 or more. Their sum is R.
  /// - Throws: `RecurrentError` if the counts are not those of the rows.
  public init(_ rows: Sequences<Float>, counts: [Int]) throws(RecurrentError) {
    guard rows.steps == 1 else { throw .size(name: "the steps of the rows", was: rows.steps, expected: "1") }
    try checkGroups(counts, of: rows.batchSize, "rows")
    self.rows = rows
    self.counts = counts
  }
}

/// Puts rows into sequences [T,N,C] with lengths. In a hierarchical model, this puts words into their sentences. A
/// sequence without rows has the length 0.
public struct Grouping: Parameterless, Module {
  /// A module without options.
  public init() {}

  /// The sequences [T,N,C], whose lengths are the counts.
  public func forward(
    _ groups: RowGroups, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, [Int]) {
    let counts = groups.counts, size = groups.rows.size
    var y = try Sequences<Float>(
      steps: max(1, counts.max() ?? 1), batchSize: counts.count, size: size, lengths: counts)
    y.withMutableValues { y in
      groups.rows.values.withUnsafeBufferPointer { rows in
        forEachRow(counts) { row, place in
          (y.baseAddress! + place * size).update(from: rows.baseAddress! + row * size, count: size)
        }
      }
    }
    return (y, counts)
  }

  /// The gradient of the rows, [1,R,C].
  public func backward(
    _ dy: Sequences<Float>, _ counts: [Int], into gradients: inout Gradients<Grouping>, _ workspace: Workspace
  ) throws(RecurrentError) -> Sequences<Float> {
    guard dy.batchSize == counts.count, dy.steps == max(1, counts.max() ?? 1) else {
      throw .shape(
        name: "the gradients", was: "\(dy)",
        expected: "[\(max(1, counts.max() ?? 1)), \(counts.count), C], as in forward")
    }
    let size = dy.size
    var dRows = try Sequences<Float>(steps: 1, batchSize: counts.reduce(0, +), size: size)
    dRows.withMutableValues { rows in
      dy.values.withUnsafeBufferPointer { dy in
        forEachRow(counts) { row, place in
          (rows.baseAddress! + row * size).update(from: dy.baseAddress! + place * size, count: size)
        }
      }
    }
    return dRows
  }

  /// Calls `body` with each row and its place in [T,N].
  private func forEachRow(_ counts: [Int], _ body: (_ row: Int, _ place: Int) -> Void) {
    var row = 0
    for (sequence, count) in counts.enumerated() {
      for step in 0..<count {
        body(row, step * counts.count + sequence)
        row += 1
      }
    }
  }
}

/// - Throws: `RecurrentError` if there is no count, if one is negative, or if their sum is not `total`.
func checkGroups(_ counts: [Int], of total: Int, _ name: String) throws(RecurrentError) {
  guard !counts.isEmpty else { throw .size(name: "the number of groups", was: 0, expected: "at least 1") }
  var sum = 0
  for (group, count) in counts.enumerated() {
    guard (0...total - sum).contains(count) else {
      throw .size(
        name: "the count of group \(group)", was: count,
        expected: "0 to \(total - sum), what is left of \(total) \(name)")
    }
    sum += count
  }
  guard sum == total else { throw .size(name: "the sum of the counts", was: sum, expected: "\(total), the \(name)") }
}
