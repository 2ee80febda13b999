import CRecurrentKernels

/// A cell as the engine runs it.
///
/// A *gate slot* holds the values of one gate for all rows: first the pre-activation, then the gate, and after backward
/// its gradient. A *window* is a range of neighboring slots that one product adds to. The window of W starts at slot 0;
/// the product of each stage has a window too. After backward, the products of the gradients read the same windows.
package struct CellProgram: Sendable {
  /// G: the number of gates that W has rows for.
  package let gates: Int
  /// The number of slots.
  package let slots: Int
  /// The number of slots that start from a bias. They are the first ones.
  package let biasedSlots: Int
  /// The number of slots in which backward leaves gradients. They are the first ones.
  package let gradientSlots: Int
  /// For each slot of W's window, the gate of the parameters that it belongs to.
  package let inputGates: [Int]
  /// For each gate of the parameters, the slot that its recurrent bias is added to.
  package let recurrentBiasSlots: [Int]
  /// Whether the cell carries c beside h from step to step.
  package let hasCellState: Bool
  /// The number of parameters with one value for each unit: 0 or 1, because a gate tile has room for only one. It is a
  /// vector [H], which the blocks of a gate tile read one after the other.
  package let vectors: Int
  /// Whether a backward gate pass reads h'.
  package let readsPreviousH: Bool
  /// Forward runs the stages in this order, and backward runs them in the opposite order.
  package let stages: [Stage]

  package init(
    gates: Int, slots: Int, biasedSlots: Int? = nil, gradientSlots: Int? = nil, inputGates: [Int]? = nil,
    recurrentBiasSlots: [Int]? = nil, hasCellState: Bool = false, vectors: Int = 0, readsPreviousH: Bool = false,
    stages: [Stage]
  ) {
    self.gates = gates
    self.slots = slots
    self.biasedSlots = biasedSlots ?? slots
    self.gradientSlots = gradientSlots ?? slots
    self.inputGates = inputGates ?? Array(0..<gates)
    self.recurrentBiasSlots = recurrentBiasSlots ?? Array(0..<gates)
    self.hasCellState = hasCellState
    precondition(vectors <= 1, "a gate tile has one vector")
    self.vectors = vectors
    self.readsPreviousH = readsPreviousH
    self.stages = stages
  }

  /// One gate pass with its backward. It comes after a product with some gates of U, or after no product.
  package struct Stage: Sendable {
    /// The product whose result the pass reads; nil if the stage has none.
    package let product: StageProduct?
    package let pass: GatePass
    /// The slots whose gradients the stage's backward gate pass completes.
    package let gradients: Range<Int>
    /// Whether the backward gate pass leaves a direct term of the gradient of h', to which the product then adds.
    package let leavesDh: Bool

    package init(_ product: StageProduct?, _ pass: GatePass, gradients: Range<Int>, leavesDh: Bool = false) {
      self.product = product
      self.pass = pass
      self.gradients = gradients
      self.leavesDh = leavesDh
    }
  }

  /// slots[window] += U[gates]·operand
  package struct StageProduct: Sendable {
    /// The gates of U that are multiplied, numbered as in the parameters.
    package let gates: Range<Int>
    package let firstSlot: Int
    /// The slot that is the operand; nil if the operand is h'.
    package let operandSlot: Int?

    /// The slots that the product adds to.
    package var window: Range<Int> { firstSlot..<firstSlot + gates.count }

    package init(gates: Range<Int>, firstSlot: Int, operandSlot: Int? = nil) {
      self.gates = gates
      self.firstSlot = firstSlot
      self.operandSlot = operandSlot
    }
  }
}
