/// The rows of a call. A row is one step of one sequence. Each step has a row for every sequence that reaches it. The
/// longest sequences come first, so that a sequence has the same row number in all its steps.
package struct RowPlan: BitwiseCopyable, @unchecked Sendable {
  package let steps: Int  // T
  package let batchSize: Int  // N
  package let rowCount: Int
  // All four are nil if every sequence has T steps and none is reset. Row r of every step is then sequence r.
  private let counts: UnsafePointer<Int>?  // [T]: the number of rows of a step
  private let offsets: UnsafePointer<Int>?  // [T + 1]: the number of rows before a step
  private let order: UnsafePointer<Int>?  // [N]: the sequence of a row
  private let resets: UnsafePointer<Bool>?  // [rows]: whether the state before a row is zero

  /// All sequences have T steps.
  package init(steps: Int, batchSize: Int) {
    self.steps = steps
    self.batchSize = batchSize
    rowCount = steps * batchSize
    counts = nil
    offsets = nil
    order = nil
    resets = nil
  }

  fileprivate init(
    steps: Int, batchSize: Int, counts: UnsafePointer<Int>, offsets: UnsafePointer<Int>, order: UnsafePointer<Int>,
    resets: UnsafePointer<Bool>?
  ) {
    self.steps = steps
    self.batchSize = batchSize
    self.counts = counts
    self.offsets = offsets
    self.order = order
    self.resets = resets
    rowCount = offsets[steps]
  }

  /// Whether steps may differ in their number of rows, rows may be in another order than sequences, or rows may be
  /// reset.
  @inline(__always) package var isRagged: Bool { counts != nil }
  @inline(__always) package func count(_ step: Int) -> Int { counts.map { $0[step] } ?? batchSize }
  @inline(__always) package func offset(_ step: Int) -> Int { offsets.map { $0[step] } ?? step * batchSize }
  @inline(__always) package func sequence(_ row: Int) -> Int { order.map { $0[row] } ?? row }

  /// Whether the state of a row is reset before a step, so that nothing flows from the step before.
  @inline(__always) package func resets(_ step: Int, _ row: Int) -> Bool {
    resets.map { $0[offset(step) + row] } ?? false
  }
  @inline(__always) package var hasResets: Bool { resets != nil }
}

/// The memory of a row plan.
package final class RowPlanBuffer: @unchecked Sendable {
  private var numbers = UnsafeMutableBufferPointer<Int>.allocate(capacity: 0)
  private var flags = UnsafeMutableBufferPointer<Bool>.allocate(capacity: 0)

  package init() {}

  deinit {
    numbers.deallocate()
    flags.deallocate()
  }

  /// A plan for lengths and resets that have been checked. It is valid until the next call.
  package func plan(
    steps: Int, batchSize: Int, lengths: UnsafeBufferPointer<Int>?, resets: UnsafeBufferPointer<UInt8>?
  ) -> RowPlan {
    let isRagged = lengths?.contains { $0 != steps } ?? false
    let restarts = resets?.contains { $0 != 0 } ?? false
    guard isRagged || restarts else { return RowPlan(steps: steps, batchSize: batchSize) }

    let needed = 2 * steps + 1 + batchSize + steps + 2
    if numbers.count < needed {
      numbers.deallocate()
      numbers = .allocate(capacity: needed)
    }
    let counts = numbers.baseAddress!, offsets = counts + steps, order = offsets + steps + 1
    let places = order + batchSize  // [T + 2], for sorting
    func length(_ sequence: Int) -> Int { lengths.map { $0[sequence] } ?? steps }

    // places[l] is the number of sequences that are longer than l.
    places.initialize(repeating: 0, count: steps + 2)
    for sequence in 0..<batchSize where length(sequence) > 0 { places[length(sequence) - 1] += 1 }
    for l in stride(from: steps - 1, through: 0, by: -1) { places[l] += places[l + 1] }
    offsets[0] = 0
    for step in 0..<steps {
      counts[step] = places[step]
      offsets[step + 1] = offsets[step] + places[step]
    }
    for sequence in 0..<batchSize {
      order[places[length(sequence)]] = sequence
      places[length(sequence)] += 1
    }
    guard restarts, let resets else {
      return RowPlan(steps: steps, batchSize: batchSize, counts: counts, offsets: offsets, order: order, resets: nil)
    }
    let rows = offsets[steps]
    if flags.count < rows {
      flags.deallocate()
      flags = .allocate(capacity: rows)
    }
    for step in 0..<steps {
      for row in 0..<counts[step] { flags[offsets[step] + row] = resets[step * batchSize + order[row]] != 0 }
    }
    return RowPlan(
      steps: steps, batchSize: batchSize, counts: counts, offsets: offsets, order: order, resets: flags.baseAddress)
  }
}
