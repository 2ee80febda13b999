import CRecurrentKernels

/// A cell as the engine runs it.
///
/// A *gate slot* keeps the values of one gate for all rows: first the pre-activation, then the gate, and after backward
/// its gradient. W feeds a window of neighboring slots that starts at slot 0; the product of each stage feeds a window
/// too. After backward, the same windows are what the gradients' products read.
package struct CellProgram: Sendable {
  /// G: the gates of W.
  package let gates: Int
  /// The slots that a call works on.
  package let slots: Int
  /// The slots that start from a bias, the first ones.
  package let biasedSlots: Int
  /// The slots that backward leaves gradients in, the first ones.
  package let gradientSlots: Int
  /// For each slot of W's window, the gate of the parameters that it belongs to.
  package let inputGates: [Int]
  /// For each gate of the parameters, the slot that its recurrent bias is added to.
  package let recurrentBiasSlots: [Int]
  /// The states beside h that a cell carries from step to step: 1 for an LSTM's c.
  package let innerStates: Int
  /// The vectors by unit that a tile carries.
  package let vectors: Int
  /// Whether a backward pass reads h'.
  package let readsPreviousH: Bool
  /// Forward runs the stages in this order and backward in reverse.
  package let stages: [Stage]

  package init(
    gates: Int, slots: Int, biasedSlots: Int? = nil, gradientSlots: Int? = nil, inputGates: [Int]? = nil,
    recurrentBiasSlots: [Int]? = nil, innerStates: Int = 0, vectors: Int = 0, readsPreviousH: Bool = false,
    stages: [Stage]
  ) {
    self.gates = gates
    self.slots = slots
    self.biasedSlots = biasedSlots ?? slots
    self.gradientSlots = gradientSlots ?? slots
    self.inputGates = inputGates ?? Array(0..<gates)
    self.recurrentBiasSlots = recurrentBiasSlots ?? Array(0..<gates)
    self.innerStates = innerStates
    self.vectors = vectors
    self.readsPreviousH = readsPreviousH
    self.stages = stages
  }

  /// One gate pass with its backward, after a product with a part of U or after none.
  package struct Stage: Sendable {
    /// The product whose result the pass reads; nil if the stage has none.
    package let product: StageProduct?
    package let pass: GatePass
    /// The slots whose gradients are complete after the stage's backward pass, and were not before.
    package let gradients: Range<Int>
    /// Whether the backward pass leaves a direct part of the gradient of h', to which the product adds.
    package let leavesDh: Bool

    package init(_ product: StageProduct?, _ pass: GatePass, gradients: Range<Int>, leavesDh: Bool = false) {
      self.product = product
      self.pass = pass
      self.gradients = gradients
      self.leavesDh = leavesDh
    }
  }

  /// slots[window] += U[gates] times the operand.
  package struct StageProduct: Sendable {
    /// The rows of U, by gate, in the order of the parameters.
    package let gates: Range<Int>
    package let firstSlot: Int
    /// The slot that U is multiplied by; nil for h'.
    package let operandSlot: Int?

    /// The slots that the product feeds.
    package var window: Range<Int> { firstSlot..<firstSlot + gates.count }

    package init(gates: Range<Int>, firstSlot: Int, operandSlot: Int? = nil) {
      self.gates = gates
      self.firstSlot = firstSlot
      self.operandSlot = operandSlot
    }
  }
}
