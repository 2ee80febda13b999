import CRecurrentKernels

/// A step of few sequences whose kernels' operands are prepared once, so that there is next to nothing to do between
/// the kernels of a small cell. h alternates between two buffers of each level.
package final class StepPlan<E: Element> {
  /// A stage of a level in registers, in even or in odd steps.
  private struct RegisterStage: BitwiseCopyable {
    let run: StepFunction
    var operands: register_step
  }
  /// A row that is rounded before a stage in registers; nothing if it has no place.
  private struct Rounding: BitwiseCopyable {
    var row: rounded_rows
    let place: UnsafeMutablePointer<E>?
  }

  /// The number of scalars of x and of y in one step.
  let xStep: Int
  let yStep: Int
  /// The h of the last level.
  private let output: HiddenState<E>
  /// [even and odd steps][level][stage]; empty if not all levels run in registers.
  private let registerStages: UnsafeMutableBufferPointer<RegisterStage>
  /// The number of stages of all levels, if all run in registers.
  private let registerStageCount: Int
  /// The number of stages of a level.
  private let stages: Int
  /// [even and odd steps][level][1 + stage]: x, and what each stage multiplies by U; empty if no rows are rounded, or
  /// not all levels run in registers.
  private let roundings: UnsafeMutableBufferPointer<Rounding>
  private let kernels: UnsafePointer<rounded_kernels>?
  /// [even and odd steps][level]; empty if all levels run in registers.
  private let slotLevels: UnsafeMutableBufferPointer<SlotStages<E>>
  @exclusivity(unchecked) private var isDownwards = false

  /// - Parameters:
  ///   - engines: one for each level.
  ///   - states: the h of each level, [rows][H].
  init(
    _ engines: [Engine<E>], _ memories: [ForwardMemory<E>], _ states: UnsafeMutableBufferPointer<HiddenState<E>>,
    rows: Int
  ) {
    let hiddenSize = engines[0].hiddenSize
    xStep = rows * engines[0].inputSize
    yStep = rows * hiddenSize
    output = states[states.count - 1]
    stages = engines[0].stages.count
    let inRegisters = engines.allSatisfy { $0.streamRunsInRegisters(rows: rows) }, parities = 2 * engines.count
    registerStageCount = inRegisters ? engines.count * stages : 0
    registerStages = .allocate(capacity: 2 * registerStageCount)
    slotLevels = .allocate(capacity: inRegisters ? 0 : parities)
    kernels = engines[0].products.rounded
    roundings = .allocate(capacity: inRegisters && kernels != nil ? parities * (1 + stages) : 0)
    for isOdd in [false, true] {
      for (index, engine) in engines.enumerated() {
        // The first level gets its x with each step.
        let x = index == 0 ? states[0].now(isOdd) : states[index - 1].next(isOdd)
        let previousH = states[index].now(isOdd), h = states[index].next(isOdd), memory = memories[index]
        let place = (isOdd ? engines.count : 0) + index
        if inRegisters {
          if kernels != nil {
            let row = engine.products.rowsToRound(x, count: 1, stride: engine.inputSize, depth: engine.inputSize)
            roundings.initializeElement(at: place * (1 + stages), to: Rounding(row: row, place: memory.xTiles))
          }
          for (number, stage) in engine.stages.enumerated() {
            if kernels != nil {
              let operand: UnsafePointer<E> =
                stage.product?.operandSlot == nil ? UnsafePointer(previousH) : UnsafePointer(memory.between.operand)
              let row = engine.products.rowsToRound(operand, count: 1, stride: hiddenSize, depth: hiddenSize)
              roundings.initializeElement(
                at: place * (1 + stages) + 1 + number,
                to: Rounding(row: row, place: stage.product == nil ? nil : memory.operandTiles))
            }
            let operands = engine.registerOperands(
              stage, weights: engine.packed.stepWeights(engine.products),
              x: UnsafePointer(kernels == nil ? x : memory.xTiles!),
              roundedOperand: kernels == nil ? nil : memory.operandTiles.map { UnsafePointer($0) },
              previousH: previousH, h: h, c: memory.c, memory.between)
            registerStages.initializeElement(
              at: place * stages + number, to: RegisterStage(run: stage.pass.step, operands: operands))
          }
        } else {
          slotLevels.initializeElement(
            at: place, to: SlotStages(engine, memory, rows: rows, x: x, previousH: previousH, h: h))
        }
      }
    }
  }

  deinit {
    for level in slotLevels { level.deallocate() }
    slotLevels.deallocate()
    registerStages.deallocate()
    roundings.deallocate()
  }

  /// One step: x [rows][C], y [rows][H].
  @inline(__always)
  package func run(_ x: UnsafePointer<E>, isOdd: Bool, into y: UnsafeMutablePointer<E>) {
    if !roundings.isEmpty {
      roundAndRunInRegisters(x, isOdd: isOdd)
    } else if !registerStages.isEmpty {
      runInRegisters(x, isOdd: isOdd)
    } else {
      runInSlots(x, isOdd: isOdd)
    }
    y.update(from: output.next(isOdd), count: yStep)
    // Steps visit the blocks of each size upwards and downwards in turn: the weights that a step used last are still in
    // a near cache when the next step begins.
    isDownwards.toggle()
  }

  @inline(__always)
  private func runInRegisters(_ x: UnsafePointer<E>, isOdd: Bool) {
    let first = registerStages.baseAddress! + (isOdd ? registerStageCount : 0)
    for index in 0..<registerStageCount {
      if index < stages { first[index].operands.x = UnsafeRawPointer(x) }
      first[index].operands.downwards = isDownwards
      first[index].run(&first[index].operands)
    }
  }

  private func roundAndRunInRegisters(_ x: UnsafePointer<E>, isOdd: Bool) {
    guard let kernels else { return }
    let first = registerStages.baseAddress! + (isOdd ? registerStageCount : 0)
    var rounding = roundings.baseAddress! + (isOdd ? roundings.count / 2 : 0)
    rounding.pointee.row.source = Products.floats(x)
    for index in 0..<registerStageCount {
      // x before the first stage of a level, and the operand before each stage.
      for _ in 0..<(index % stages == 0 ? 2 : 1) {
        if let place = rounding.pointee.place { kernels.pointee.round_rows(&rounding.pointee.row, place) }
        rounding += 1
      }
      first[index].operands.downwards = isDownwards
      first[index].run(&first[index].operands)
    }
  }

  private func runInSlots(_ x: UnsafePointer<E>, isOdd: Bool) {
    let count = slotLevels.count / 2, first = slotLevels.baseAddress! + (isOdd ? count : 0)
    first.pointee.setX(x)
    for index in 0..<count { first[index].run(downwards: isDownwards) }
  }
}

/// The h of one level of a stream [N][H]: two buffers, of which even steps read one and odd steps read the other.
package struct HiddenState<E: Element>: BitwiseCopyable {
  let even: UnsafeMutablePointer<E>
  let odd: UnsafeMutablePointer<E>

  /// The buffer that holds h before a step.
  @inline(__always) func now(_ isOdd: Bool) -> UnsafeMutablePointer<E> { isOdd ? odd : even }
  /// The buffer that holds h after a step.
  @inline(__always) func next(_ isOdd: Bool) -> UnsafeMutablePointer<E> { isOdd ? even : odd }
}
