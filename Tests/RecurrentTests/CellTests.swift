import Recurrent
import Testing

/// Compares every cell on every instruction set with the double-precision reference.
@Suite struct CellTests {
  /// T, N, C and H, around the sizes of lanes, panels and tiles.
  static let shapes: [(Int, Int, Int, Int)] = [
    (1, 1, 1, 1), (3, 1, 2, 5), (2, 7, 3, 16), (4, 12, 5, 17), (3, 13, 33, 33), (2, 4, 16, 32), (5, 6, 12, 40),
    (2, 5, 65, 31), (7, 2, 1, 64), (3, 25, 40, 100), (6, 3, 7, 15),
  ]

  @Test(arguments: Cell.all, Kernels.all)
  func agreesWithReference(cell: Cell, kernels: Kernels) throws {
    try agreesWithReference(kernels.scalar, cell, kernels.set)
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  private func agreesWithReference<Scalar: RecurrentScalar>(_: Scalar.Type, _ cell: Cell, _ set: InstructionSet) throws
  {
    for (steps, batch, inputs, hidden) in CellTests.shapes {
      for bias in [true, false] {
        let problem = Problem<Scalar>(
          cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, bias: bias, set: set)
        try problem.instance().expectAgreement()
      }
    }
  }

  /// The sequences are long enough for several chunks and for several blocks of backward's last products, and the layer
  /// is wide enough for two blocks of k.
  @Test(arguments: Cell.all, Kernels.all)
  func agreesWithReferenceBeyondBlocks(cell: Cell, kernels: Kernels) throws {
    try agreesWithReferenceBeyondBlocks(kernels.scalar, cell, kernels.set)
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  private func agreesWithReferenceBeyondBlocks<Scalar: RecurrentScalar>(
    _: Scalar.Type, _ cell: Cell, _ set: InstructionSet
  ) throws {
    for (steps, batch, inputs, hidden) in [(100, 3, 9, 20), (70, 7, 3, 33), (2, 3, 520, 12), (2, 14, 5, 530)] {
      let problem = Problem<Scalar>(cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, set: set)
      try problem.instance().expectAgreement()
    }
  }
}
