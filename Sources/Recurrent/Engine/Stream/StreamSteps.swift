import CRecurrentKernels

/// The part of a stream that is not generic: the checks of a step, the seats, and steps in registers. Generic code
/// would first find out its scalar, and a small step would wait for that.
@usableFromInline
package class StreamSteps {
  final let capacity: Int  // N
  private final let inputSize: Int  // C
  private final let hiddenSize: Int  // H
  // The values of x and of y in a step, and the largest number of steps: computed once, because a division is slow.
  private final let inputs: Int
  private final let outputs: Int
  private final let mostSteps: Int
  private final let scalarBytes: Int
  private final let denormals: DenormalMode
  @exclusivity(unchecked) final var seats: [Int]  // [rows]: the seat of a row
  /// Whether all seats are taken and each row has the seat of its own number.
  final var rowsAreSeats: Bool { seats.count == capacity }
  /// Whether the current h of each level is in its odd buffer, which the next step then reads.
  @exclusivity(unchecked) final var isOdd = false
  /// The plans of an even and of an odd step; nil unless every level runs in registers.
  private final let plans: UnsafeMutablePointer<StepPlan>?
  /// Whether several steps run in registers too, and not in chunks.
  private final let runsStepByStep: Bool

  init(
    _ shape: LayerShape, batchSize: Int, scalarBytes: Int, denormals: DenormalMode,
    plans: (even: StepPlan, odd: StepPlan)?, runsStepByStep: Bool
  ) {
    capacity = batchSize
    inputSize = shape.inputSize
    hiddenSize = shape.hiddenSize
    inputs = batchSize * shape.inputSize
    outputs = batchSize * shape.hiddenSize
    mostSteps = .max / max(inputs, outputs)
    self.scalarBytes = scalarBytes
    self.denormals = denormals
    seats = Array(0..<batchSize)
    self.plans = plans.map { plans in
      let both = UnsafeMutablePointer<StepPlan>.allocate(capacity: 2)
      both.initialize(to: plans.even)
      (both + 1).initialize(to: plans.odd)
      return both
    }
    self.runsStepByStep = runsStepByStep
  }

  deinit {
    guard let plans else { return }
    for plan in [plans, plans + 1] { plan.pointee.deallocate() }
    plans.deallocate()
  }

  /// Checks x [T,N,C] and y [T,N,H], and runs the steps.
  ///
  /// - Throws: `RecurrentError` if a shape does not fit or y overlaps x. Nothing has changed then.
  @usableFromInline
  package final func process(
    _ x: UnsafeRawPointer?, count xCount: Int, steps: Int, into y: UnsafeMutableRawPointer?, count yCount: Int
  ) throws(RecurrentError) {
    guard steps >= 0, steps <= mostSteps else { throw wrongSteps(steps) }
    guard xCount == steps &* inputs else { throw wrongCount("x", xCount, steps: steps, inputSize) }
    guard yCount == steps &* outputs else { throw wrongCount("y", yCount, steps: steps, hiddenSize) }
    guard steps > 0, let x, let y else { return }
    // This does not call `checkApart`, because its loop over a list takes 5 % of the time of a small step.
    guard x >= y + yCount &* scalarBytes || y >= x + xCount &* scalarBytes else {
      throw .overlap(name: "y", other: "x")
    }
    let mode = denormals.set()
    run(x, steps: steps, into: y)
    denormals.restore(mode)
  }

  // Errors are built in functions of their own. In place, they would take registers from the step.
  @inline(never)
  private final func wrongSteps(_ steps: Int) -> RecurrentError {
    .size(name: "steps", was: steps, expected: "0 to \(mostSteps)")
  }

  @inline(never)
  private final func wrongCount(_ name: String, _ count: Int, steps: Int, _ size: Int) -> RecurrentError {
    .count(name: name, was: count, expected: steps * capacity * size, shape: "\(steps)·\(capacity)·\(size)")
  }

  /// Runs some steps, at least 1. The caller has checked x and y.
  @inline(__always)
  package final func run(_ x: UnsafeRawPointer, steps: Int, into y: UnsafeMutableRawPointer) {
    guard let plans, steps == 1 || runsStepByStep, rowsAreSeats else {
      return runWithoutPlans(x, steps: steps, into: y)
    }
    var x = x, y = y, rest = steps
    repeat {
      plans[isOdd ? 1 : 0].run(x, into: y)
      isOdd.toggle()
      x += inputs &* scalarBytes
      y += outputs &* scalarBytes
      rest &-= 1
    } while rest > 0
  }

  /// Runs the steps that the plans do not run. `StackStream` overrides it.
  func runWithoutPlans(_ x: UnsafeRawPointer, steps: Int, into y: UnsafeMutableRawPointer) {
    fatalError("a stream is a StackStream")
  }
}
