import CRecurrentKernels

/// A step of few sequences whose kernels' operands are prepared once, so that there is next to nothing to do between
/// the kernels of a small cell. h alternates between two buffers of each level.
package final class StepPlan<E: Element> {
  /// One level in even or in odd steps.
  private enum Level: BitwiseCopyable {
    case inRegisters(RegisterStages<E>)
    case inSlots(SlotStages<E>)

    @inline(__always)
    func setX(_ x: UnsafePointer<E>) {
      switch self {
      case .inRegisters(let stages): stages.setX(x)
      case .inSlots(let stages): stages.setX(x)
      }
    }

    @inline(__always)
    func run(downwards: Bool) {
      switch self {
      case .inRegisters(let stages): stages.run(downwards: downwards)
      case .inSlots(let stages): stages.run(downwards: downwards)
      }
    }

    func deallocate() {
      switch self {
      case .inRegisters(let stages): stages.deallocate()
      case .inSlots(let stages): stages.deallocate()
      }
    }
  }

  private let rows: Int
  private let hiddenSize: Int
  /// [even and odd steps][level]
  private let levels: UnsafeMutableBufferPointer<Level>
  private let states: UnsafeMutableBufferPointer<HiddenState<E>>
  /// For each level, the memory between the stages of a step in registers.
  private let between: [BetweenStages<E>]
  @exclusivity(unchecked) private var isDownwards = false

  /// - Parameters:
  ///   - engines: one for each level.
  ///   - states: the h of each level, [rows][H].
  init(
    _ engines: [Engine<E>], _ memories: [ForwardMemory<E>], _ states: UnsafeMutableBufferPointer<HiddenState<E>>,
    rows: Int
  ) {
    self.rows = rows
    self.states = states
    hiddenSize = engines[0].hiddenSize
    levels = .allocate(capacity: 2 * engines.count)
    between = engines.map { BetweenStages($0) }
    for isOdd in [false, true] {
      for (index, engine) in engines.enumerated() {
        // The first level gets its x with each step.
        let x = index == 0 ? states[0].now(isOdd) : states[index - 1].next(isOdd)
        let previousH = states[index].now(isOdd), h = states[index].next(isOdd)
        let level: Level =
          if engine.fitsRegisters(rows: rows) {
            .inRegisters(
              RegisterStages(engine, x: x, previousH: previousH, h: h, c: memories[index].c, between: between[index]))
          } else {
            .inSlots(SlotStages(engine, memories[index], rows: rows, x: x, previousH: previousH, h: h))
          }
        levels.initializeElement(at: (isOdd ? engines.count : 0) + index, to: level)
      }
    }
  }

  deinit {
    for level in levels { level.deallocate() }
    levels.deallocate()
  }

  /// One step: x [rows][C], y [rows][H].
  @inline(__always)
  package func run(_ x: UnsafePointer<E>, isOdd: Bool, into y: UnsafeMutablePointer<E>) {
    let count = states.count, first = levels.baseAddress! + (isOdd ? count : 0)
    first.pointee.setX(x)
    // Steps visit the units upwards and downwards in turn: the weights that a step used last are still in a near cache
    // when the next step begins.
    for index in 0..<count { first[index].run(downwards: isDownwards) }
    y.update(from: states[count - 1].next(isOdd), count: rows * hiddenSize)
    isDownwards.toggle()
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
