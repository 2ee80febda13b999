import CRecurrentKernels

/// The engines of all parts of a layer. The output of each level is the input of the next one.
package final class Stack<E: Element>: LayerEngine, @unchecked Sendable {
  package let shape: LayerShape
  private let instructionSet: InstructionSet
  private let dropout: Float
  let denormals: DenormalMode
  let parts: [Engine<E>]

  init(_ options: EngineOptions) throws(RecurrentError) {
    shape = options.shape
    instructionSet = options.instructionSet
    dropout = options.dropout
    denormals = DenormalMode(flushes: options.flushesDenormals)
    let products = try Products<E>(
      options.instructionSet, units: shape.hiddenSize, weights: options.weights, secondCache: options.secondCache)
    let program = shape.cell.definition.program(E.kernelScalar, products.set)
    parts = (0..<options.shape.parts).map { [shape = options.shape] part in
      Engine(
        program, shape.parameterLayout, inputSize: shape.inputSize(ofLevel: part / shape.directions),
        hiddenSize: shape.hiddenSize, products: products)
    }
  }

  private init(like other: Stack) {
    shape = other.shape
    instructionSet = other.instructionSet
    dropout = other.dropout
    denormals = other.denormals
    parts = other.parts.map { $0.copy() }
  }

  package func copy() -> any LayerEngine<E> { Stack(like: self) }

  @specialized(where E == Float)
  @specialized(where E == Double)
  package func adopt(_ parameters: Parameters<E>) {
    parameters.values.withUnsafeBufferPointer { values in
      for part in parts.indices {
        parts[part].packed.fill(
          values.baseAddress!, shape.parameters(ofPart: part), products: parts[part].products)
        // Forward must not allocate or wait for a lock, so these are packed even if they are never used. It takes 0.4 %
        // of the instructions of a training update (LSTM, N 32, T 100, C 32, H 5). A stream packs larger weights when
        // it is made.
        if parts[part].forwardRunsInRegisters(rows: 1) { _ = parts[part].packed.stepWeights(parts[part].products) }
      }
    }
  }

  @specialized(where E == Float)
  @specialized(where E == Double)
  package func prepare(_ record: Record<E>, steps: Int, batchSize: Int, options: BorrowedOptions) {
    record.prepare(
      shape, parts[0].slotLayout, instructionSet, steps: steps, batchSize: batchSize, options: options,
      drops: mask(record.dropoutSeed) != nil)
  }

  @specialized(where E == Float)
  @specialized(where E == Double)
  package func makeStream(batchSize: Int) -> any StreamEngine<E> { StackStream(self, batchSize: batchSize) }

  // MARK: - Entries

  @specialized(where E == Float)
  @specialized(where E == Double)
  package func forward(_ call: ForwardCall<E>) {
    let mode = denormals.set()
    runForward(call)
    denormals.restore(mode)
  }

  @specialized(where E == Float)
  @specialized(where E == Double)
  package func backward(_ call: BackwardCall<E>) {
    let mode = denormals.set()
    runBackward(call)
    denormals.restore(mode)
  }

  /// The dropout mask of a call; nil if the call drops nothing.
  func mask(_ seed: DropoutSeed?) -> DropoutMask? {
    seed.map { DropoutMask(rate: dropout, seed: $0, set: parts[0].products.set) }
  }

  // MARK: - Threads

  /// Runs the parts of a level one after the other, each on the scratch's threads if a step has enough work for them.
  /// Two directions can instead run on two threads at the same time, which needs no barrier.
  @inline(__always)
  func runLevel<Work: SharedWork>(
    _ level: Int, _ plan: RowPlan, _ scratch: Scratch<E>,
    prepare: (_ engine: Engine<E>, _ part: Int, _ scratch: Scratch<E>) -> Work
  ) {
    let first = level * shape.directions, paysForThreads = parts[first].paysForThreads(batchSize: plan.batchSize)
    if let threads = scratch.threads, threads.count > 1, shape.directions == 2, threads.count == 2 || !paysForThreads,
      plan.rowCount * shape.hiddenSize * shape.hiddenSize >= Blocking.apartMultiplies
    {
      threads.run(
        BothDirections(
          forward: prepare(parts[first], first, scratch),
          reverse: prepare(parts[first + 1], first + 1, scratch.second)))
      return
    }
    for part in first..<first + shape.directions {
      let work = prepare(parts[part], part, scratch)
      if let threads = scratch.threads, paysForThreads { threads.run(work) } else { work.run(.whole) }
    }
  }
}

/// Both directions of a level at the same time, each on one thread.
private struct BothDirections<Work: SharedWork>: SharedWork {
  let forward: Work
  let reverse: Work

  func run(_ share: Share) {
    if share.index == 0 { forward.run(.whole) }
    if share.index == 1 { reverse.run(.whole) }
  }
}
