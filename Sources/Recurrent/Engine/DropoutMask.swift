import CRecurrentKernels

/// Dropout between levels (Zaremba, Sutskever, Vinyals 2014, arXiv 1409.2329): each value is zeroed with a probability,
/// the others are scaled up so that the mean stays.
struct DropoutMask {
  private let rate: Float
  private let seed: DropoutSeed
  private let set: instruction_set

  init(rate: Float, seed: DropoutSeed, set: instruction_set) {
    self.rate = rate
    self.seed = seed
    self.set = set
  }

  /// target [rows][size] = the mask of a layer's output times source, which may be the same.
  func apply(_ plan: RowPlan, layer: Int, size: Int, from source: MutableFloats, to target: MutableFloats) {
    var row = dropout_row()
    row.seed = seed.seed
    row.layer = UInt32(truncatingIfNeeded: layer)
    row.threshold = UInt32(min(Double(rate) * 0x1p32, 0x1p32 - 1))
    row.scale = rate < 1 ? 1 / (1 - rate) : 0
    for t in 0..<plan.steps {
      row.step = UInt32(truncatingIfNeeded: seed.firstStep &+ t)
      for r in 0..<plan.count(t) {
        row.sequence = UInt64(bitPattern: Int64(seed.firstSequence &+ plan.sequence(r)))
        let at = (plan.offset(t) + r) * size
        drop_units(set, target + at, source + at, size, &row)
      }
    }
  }
}
