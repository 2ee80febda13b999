/// The layout of the rows of a plan in memory: next to each other in the plan's order, or at the caller's distances.
package struct RowLayout: BitwiseCopyable, Sendable {
  /// The distance from a step to the next one, in the caller's order.
  let step: Int
  /// The distance from a row to the next one.
  package let row: Int
  /// Whether the rows are in the plan's order, at equal distances.
  package let isPacked: Bool

  /// The rows in the plan's order, `stride` apart.
  package init(packed stride: Int, batchSize: Int) {
    step = batchSize * stride
    row = stride
    isPacked = true
  }

  /// The caller's order and distances.
  package init(_ distances: Distances) {
    step = distances.step
    row = distances.sequence
    isPacked = false
  }

  /// The offset of the first row of a step. The rows of the step must be `row` apart, as `isEvenInSteps` says.
  @inline(__always) package func first(_ plan: RowPlan, _ t: Int) -> Int {
    isPacked ? plan.offset(t) * row : t * step
  }

  @inline(__always) package func offset(_ plan: RowPlan, _ t: Int, _ r: Int) -> Int {
    isPacked ? (plan.offset(t) + r) * row : t * step + plan.sequence(r) * row
  }

  /// Whether all rows of all steps lie `row` apart.
  package func isEven(_ plan: RowPlan) -> Bool {
    isPacked || !plan.isRagged && (step == plan.batchSize * row || plan.steps == 1)
  }

  /// Whether the rows of each step lie `row` apart.
  package func isEvenInSteps(_ plan: RowPlan) -> Bool { isPacked || !plan.isRagged }
}

/// The rows of a plan in memory that is only read.
package struct Rows<Scalar: RecurrentScalar>: BitwiseCopyable {
  package let base: UnsafePointer<Scalar>
  package let layout: RowLayout

  package init(_ base: UnsafePointer<Scalar>, _ layout: RowLayout) {
    self.base = base
    self.layout = layout
  }

  /// The same rows, starting at a later feature.
  package func from(_ feature: Int) -> Rows { Rows(base + feature, layout) }

  @inline(__always) package func first(_ plan: RowPlan, _ t: Int) -> UnsafePointer<Scalar> {
    base + layout.first(plan, t)
  }
  @inline(__always) package func at(_ plan: RowPlan, _ t: Int, _ r: Int) -> UnsafePointer<Scalar> {
    base + layout.offset(plan, t, r)
  }

  /// Copies `size` features of each row of some steps to `rows`, which lie next to each other.
  package func gather(_ plan: RowPlan, _ steps: Range<Int>, size: Int, to rows: UnsafeMutablePointer<Scalar>) {
    var target = rows
    for t in steps {
      for r in 0..<plan.count(t) {
        target.update(from: at(plan, t, r), count: size)
        target += size
      }
    }
  }
}

/// The rows of a plan in memory that is written.
package struct MutableRows<Scalar: RecurrentScalar>: BitwiseCopyable {
  package let base: UnsafeMutablePointer<Scalar>
  package let layout: RowLayout

  package init(_ base: UnsafeMutablePointer<Scalar>, _ layout: RowLayout) {
    self.base = base
    self.layout = layout
  }

  /// The same rows, to be read.
  package var read: Rows<Scalar> { Rows(base, layout) }

  /// The same rows, starting at a later feature.
  package func from(_ feature: Int) -> MutableRows { MutableRows(base + feature, layout) }

  @inline(__always) package func first(_ plan: RowPlan, _ t: Int) -> UnsafeMutablePointer<Scalar> {
    base + layout.first(plan, t)
  }
  @inline(__always) package func at(_ plan: RowPlan, _ t: Int, _ r: Int) -> UnsafeMutablePointer<Scalar> {
    base + layout.offset(plan, t, r)
  }

  /// Copies or adds `rows`, which lie next to each other, to the rows of some steps.
  package func scatter(
    _ plan: RowPlan, _ steps: Range<Int>, size: Int, from rows: UnsafePointer<Scalar>, add: Bool = false
  ) {
    var source = rows
    for t in steps {
      for r in 0..<plan.count(t) {
        let target = at(plan, t, r)
        if add {
          for i in 0..<size { target[i] += source[i] }
        } else {
          target.update(from: source, count: size)
        }
        source += size
      }
    }
  }

  /// Zeroes the rows past the ends of sequences, if the rows are in the caller's order.
  package func clearPadding(_ plan: RowPlan, size: Int) {
    guard plan.isRagged, !layout.isPacked else { return }
    for t in 0..<plan.steps {
      for r in plan.count(t)..<plan.batchSize { at(plan, t, r).update(repeating: 0, count: size) }
    }
  }
}

/// Rows in the plan's order, `stride` apart.
package func packedRows<Scalar>(
  _ base: UnsafeMutablePointer<Scalar>, stride: Int, _ plan: RowPlan
) -> MutableRows<Scalar> {
  MutableRows(base, RowLayout(packed: stride, batchSize: plan.batchSize))
}
