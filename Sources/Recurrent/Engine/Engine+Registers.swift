import CRecurrentKernels

/// Steps of one row whose sums stay in registers from the products to the gates.
extension Engine {
  /// Whether a stream's step of this many rows runs in registers. Such a step takes one row: each further row would
  /// read all weights again (LSTM, H 16 and 64: 2 rows take 1.2 and 1.6 times the time, 4 rows 1.4 and 2.1 times).
  func streamRunsInRegisters(rows: Int) -> Bool {
    rows == 1 && products.stepFormat != nil && max(inputSize, hiddenSize) <= Blocking.streamRegisterUnits
  }

  /// Whether forward runs steps of this many rows in registers, if the plan is not ragged and there is no record.
  /// Otherwise, forward multiplies W by the inputs of a whole chunk at once, which is faster if there is much to
  /// multiply. A step of so few units has too little work for several threads.
  func forwardRunsInRegisters(rows: Int) -> Bool {
    let isSmall =
      hasFewInputs || program.gates == 1 && hasU && products.set != .portable
      || products.rounded?.pointee.format == .int8
    let most = isSmall ? Blocking.forwardRegisterUnitsOfSmallSteps : Blocking.forwardRegisterUnits
    return rows == 1 && products.stepFormat != nil && max(inputSize, hiddenSize) <= most
  }

  /// Whether a stream of so many rows runs several steps one by one in registers. Otherwise it runs them in chunks, as
  /// forward does.
  func streamRunsStepByStep(rows: Int) -> Bool {
    streamRunsInRegisters(rows: rows) && (hasFewInputs || forwardRunsInRegisters(rows: rows))
  }

  /// Whether the cell has so few inputs that steps in registers are faster than a product of W with the inputs of many
  /// steps (`Blocking.fewInputs`).
  private var hasFewInputs: Bool {
    program.gates > 1 && inputSize <= Blocking.fewInputs(products.set)
  }

  /// How many kernel calls the plan of a step has for this level, and at most how many roundings.
  var stepCalls: Int { stages.count * packed.stepBlocks.count }
  var stepRoundings: Int { products.rounds ? 1 + stages.count : 0 }

  /// Calls `body` with the operands of each step block of a stage.
  ///
  /// - Parameters:
  ///   - weights: those of `packed.stepWeights`.
  ///   - x: [C], as the kernels read it.
  ///   - operand: [H], what U multiplies, as the kernels read it.
  ///   - previousH: [H], like `h` with room for half a vector after the last unit.
  ///   - h: [H], overwritten.
  ///   - c: [block][P]; nil if the cell has no c.
  @inline(__always)
  func forEachStepBlock(
    _ stage: CellProgram.Stage, weights: UnsafePointer<E>, x: UnsafePointer<E>,
    operand: UnsafePointer<E>, previousH: UnsafePointer<E>,
    h: UnsafeMutablePointer<E>, c: UnsafeMutablePointer<E>?, _ between: BetweenStages<E>,
    _ body: (register_step) -> Void
  ) {
    let scalars = packed.stepScalars
    packed.stepBlocks.forEach { first, units in
      let weights = weights + first * scalars.all, kept = between.kept + first
      // Without a c, no stage uses that pointer. It only must not be null.
      let step = register_step(
        x: x, operand: operand, weights: weights,
        u: weights + units * scalars.beforeU,
        vectors: packed.vectors.start + first, previous_h: previousH + first, h: h + first,
        c: c.map { $0 + first } ?? kept, kept: kept, next_operand: between.operand + first, input_size: inputSize,
        hidden_size: hiddenSize, half_vectors: units / (products.lanes / 2),
        set: products.set, format: products.stepFormat!)
      body(step)
    }
  }
}

/// The memory for what a stage in registers leaves for the next one, two arrays [H].
struct BetweenStages<E: Element>: BitwiseCopyable {
  let kept: UnsafeMutablePointer<E>
  let operand: UnsafeMutablePointer<E>
}
