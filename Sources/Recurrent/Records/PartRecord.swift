import CRecurrentKernels

/// What one part keeps.
package struct PartRecord<Scalar: RecurrentScalar> {
  /// What a call needs of it.
  package struct Place: BitwiseCopyable {
    /// [unit block][slot][rows][P]: the slots of the cell, then c' of an LSTM. What the product's tiles are written to
    /// is what the gates read and, over all rows, a packed operand of the closing products.
    package let slots: UnsafeMutablePointer<Scalar>
    package let layout: SlotLayout
    /// The part's h, in its level's history.
    package let y: MutableRows<Scalar>
  }
  private var slots = AlignedBuffer<Scalar>(count: 0)
  package private(set) var place: Place?

  mutating func prepare(_ part: PartLayout, _ plan: RowPlan, y: MutableRows<Scalar>) {
    let layout = SlotLayout(part, rows: plan.rowCount, bytes: MemoryLayout<Scalar>.stride)
    if slots.count < layout.count { slots = AlignedBuffer(count: layout.count) }
    place = Place(slots: slots.start, layout: layout, y: y)
  }
}
