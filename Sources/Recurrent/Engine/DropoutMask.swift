import CRecurrentKernels

/// Dropout between levels (Zaremba, Sutskever, Vinyals 2014, arXiv 1409.2329): each value is zeroed with a probability,
/// and the others are scaled up so that the mean does not change.
package struct DropoutMask: Sendable {
  private let rate: Float
  private let seed: DropoutSeed
  private let set: instruction_set

  package init(rate: Float, seed: DropoutSeed, set: instruction_set) {
    self.rate = rate
    self.seed = seed
    self.set = set
  }

  /// target [rows][size] = the mask of a level's output times source. `target` may be `source`.
  func apply<E: Element>(
    _ plan: RowPlan, layer: Int, size: Int, from source: UnsafeMutablePointer<E>, to target: UnsafeMutablePointer<E>
  ) {
    for t in 0..<plan.steps {
      for r in 0..<plan.count(t) {
        let at = (plan.offset(t) + r) * size
        apply(layer: layer, step: t, sequence: plan.sequence(r), size: size, from: source + at, to: target + at)
      }
    }
  }

  /// The same for one row, or for some of its units: `size` units from the unit `first` on.
  package func apply<E: Element>(
    layer: Int, step: Int, sequence: Int, first: Int = 0, size: Int, from source: UnsafePointer<E>,
    to target: UnsafeMutablePointer<E>
  ) {
    var row = dropout_row()
    row.seed = seed.seed
    row.first = first
    row.layer = UInt32(truncatingIfNeeded: layer)
    row.step = UInt32(truncatingIfNeeded: seed.firstStep &+ step)
    row.sequence = UInt64(bitPattern: Int64(seed.firstSequence &+ sequence))
    row.threshold = UInt32(min(Double(rate) * 0x1p32, 0x1p32 - 1))
    row.scale = rate < 1 ? Double(1 / (1 - E(rate))) : 0
    E.dropUnits(set, target, source, size, &row)
  }
}
