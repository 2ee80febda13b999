import CRecurrentKernels

/// Steps of one row whose sums stay in registers from the products to the gates.
extension Engine {
  /// Whether a stream's step of this many rows runs in registers. Such a step reads only full weights or those in bf16,
  /// and takes one row: each further row would read all weights again (LSTM, H 16 and 64: 2 rows take 1.2 and 1.6 times
  /// the time, 4 rows 1.4 and 2.1 times).
  func streamRunsInRegisters(rows: Int) -> Bool {
    rows == 1 && products.servesRegisters && max(inputSize, hiddenSize) <= Blocking.streamRegisterUnits
  }

  /// Whether forward runs steps of this many rows in registers, if the plan is not ragged and there is no record.
  /// Otherwise, forward multiplies W by the inputs of a whole chunk at once, which is faster if there is much to
  /// multiply. A step of so few units has too little work for several threads.
  func forwardRunsInRegisters(rows: Int) -> Bool {
    let most = hasFewInputs ? Blocking.forwardRegisterUnitsOfFewInputs : Blocking.forwardRegisterUnits
    return rows == 1 && !products.rounds && max(inputSize, hiddenSize) <= most
  }

  /// Whether a stream of so many rows runs several steps one by one in registers. Otherwise it runs them in chunks, as
  /// forward does.
  func streamRunsStepByStep(rows: Int) -> Bool {
    streamRunsInRegisters(rows: rows) && (hasFewInputs || forwardRunsInRegisters(rows: rows))
  }

  /// Whether the cell has so few inputs that steps in registers are faster than a product of W with the inputs of many
  /// steps (`Blocking.fewInputs`).
  private var hasFewInputs: Bool {
    products.set == .avx2 && program.gates > 1 && inputSize <= Blocking.fewInputs
  }

  /// The operands of a stage.
  ///
  /// - Parameters:
  ///   - weights: those of `packed.stepWeights`.
  ///   - x: [C]
  ///   - roundedOperand: [H], what U multiplies if it is rounded; `x` is then rounded too.
  ///   - previousH: [H], like `h` with room for a vector after the last unit.
  ///   - h: [H], overwritten.
  ///   - c: [block][P]; nil if the cell has no c.
  @inline(__always)
  func registerOperands(
    _ stage: CellProgram.Stage, weights: UnsafePointer<E>, x: UnsafePointer<E>,
    roundedOperand: UnsafePointer<E>? = nil, previousH: UnsafePointer<E>,
    h: UnsafeMutablePointer<E>, c: UnsafeMutablePointer<E>?, _ between: BetweenStages<E>
  ) -> register_step {
    let readsSlot = stage.product?.operandSlot != nil
    // Without a c, no stage uses that pointer. It only must not be null.
    return register_step(
      x: x, operand: roundedOperand ?? (readsSlot ? UnsafePointer(between.operand) : previousH), weights: weights,
      vectors: packed.vectors.start, previous_h: previousH, h: h, c: c ?? between.kept, kept: between.kept,
      next_operand: between.operand, input_size: inputSize, hidden_size: hiddenSize,
      most_side_by_side: products.mostSideBySide, most_gates_in_pairs: most_gates_in_pairs(products.set),
      halves: products.rounds, downwards: false)
  }
}

/// The memory for what a stage in registers leaves for the next one, two matrices [H].
struct BetweenStages<E: Element>: BitwiseCopyable {
  let kept: UnsafeMutablePointer<E>
  let operand: UnsafeMutablePointer<E>
}
