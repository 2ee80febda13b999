/// The order in which a call visits the steps of a plan, or some of them. The forward direction visits them upwards and
/// the reverse direction downwards. `backward` visits them in the opposite order of `forward`.
package struct Walk: BitwiseCopyable {
  package let plan: RowPlan
  private let first: Int
  private let end: Int
  package let isDownwards: Bool

  package init(_ plan: RowPlan, isDownwards: Bool) {
    self.init(plan, 0..<plan.steps, isDownwards: isDownwards)
  }

  private init(_ plan: RowPlan, _ steps: Range<Int>, isDownwards: Bool) {
    self.plan = plan
    first = steps.lowerBound
    end = steps.upperBound
    self.isDownwards = isDownwards
  }

  /// The steps, without their order.
  @inline(__always) package var steps: Range<Int> { first..<end }

  @inline(__always) package var count: Int { steps.count }

  /// The step that is visited after `index` other steps.
  @inline(__always) package subscript(index: Int) -> Int {
    isDownwards ? steps.upperBound - 1 - index : steps.lowerBound + index
  }

  /// The same steps in the opposite order.
  package var opposite: Walk { Walk(plan, steps, isDownwards: !isDownwards) }

  /// The step that a walk over all steps visits before `step`. For the first one, it is outside of the plan.
  @inline(__always) package func before(_ step: Int) -> Int { isDownwards ? step + 1 : step - 1 }

  /// The chunk of the walk that starts after `done` steps. It has at most `rows` rows, but at least one step.
  package func chunk(after done: Int, rows most: Int) -> Walk {
    var end = done + 1, rows = plan.count(self[done])
    while end < count, rows + plan.count(self[end]) <= most {
      rows += plan.count(self[end])
      end += 1
    }
    let range = isDownwards ? self[end - 1]..<self[done] + 1 : self[done]..<self[end - 1] + 1
    return Walk(plan, range, isDownwards: isDownwards)
  }

  /// The first row of the steps, and how many rows they have.
  package var firstRow: Int { plan.offset(steps.lowerBound) }
  package var rowCount: Int { plan.offset(steps.upperBound) - firstRow }
}
