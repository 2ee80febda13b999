import CRecurrentKernels

/// The record of one part of a layer.
package struct PartRecord<Scalar: RecurrentScalar> {
  /// The places in memory that a call needs.
  package struct Place: BitwiseCopyable {
    /// [unit block][slot][rows][P]: the slots of the cell, then c' if the cell has one. Products write their tiles
    /// here, and gate passes read them here. Over all rows, a slot is also a packed operand of the closing products.
    package let slots: UnsafeMutablePointer<Scalar>
    package let layout: SlotLayout
    /// The part's h, in the history of its level.
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
