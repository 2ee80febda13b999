import CRecurrentKernels

/// The equations of one stage of a cell, for a step whose sums stay in registers.
protocol StepEquations {
  /// G: the number of gates that W has, and U if the cell has it.
  static var gates: Int { get }
  /// The number of slots that start from a bias.
  static var biasedSlots: Int { get }
  /// Computes and stores the states of some units.
  static func run<L: Lanes, Format: StepFormat>(_ place: StepPlace<L, Format>)
}

/// Runs one stage of a step for one step block.
@inline(always) func runStep<Equations: StepEquations, E: LaneElement>(
  _ equations: Equations.Type, _ scalar: E.Type, _ step: UnsafePointer<register_step>
) {
  var step = step.pointee
  step.set = set_here(step.set)
  // Each format has code of its own. If they joined before the gates, the compiler would keep some sums in memory while
  // it adds to them.
  if E.canBeRounded && step.format == .halves {
    runStep(equations, scalar, step, EvenAndOddHalves.self)
  } else if E.canBeRounded && step.format == .words {
    guard step.set == .avx512 else { return stop_at_wrong_step() }
    runStep(equations, scalar, step, Words.self)
  } else if E.canBeRounded && step.format == .bytes {
    guard step.set == .avx512 else { return stop_at_wrong_step() }
    runStep(equations, scalar, step, Bytes.self)
  } else if E.canBeRounded && step.format == .shorts {
    guard step.set == .avx2 else { return stop_at_wrong_step() }
    runStep(equations, scalar, step, Shorts.self)
  } else {
    runStep(equations, scalar, step, FullWeights.self)
  }
}

@inline(always) private func runStep<Equations: StepEquations, E: LaneElement, Format: StepFormat>(
  _ equations: Equations.Type, _ scalar: E.Type, _ step: register_step, _ format: Format.Type
) {
  let mostSums = most_sums(step.set)
  switch step.half_vectors {
  case 1: equations.run(StepPlace<E.Half, Format>(step, equations))
  case 2: equations.run(StepPlace<Halves<E.Half>, Format>(step, equations))
  case 3:
    guard 3 &* equations.gates <= mostSums else { return stop_at_wrong_step() }
    equations.run(StepPlace<Joined<Halves<E.Half>, E.Half>, Format>(step, equations))
  default:
    guard 4 &* equations.gates <= mostSums else { return stop_at_wrong_step() }
    equations.run(StepPlace<E.Pair, Format>(step, equations))
  }
}

/// How a step in registers divides the units into step blocks.
struct StepBlocks {
  /// The number of units in half a vector.
  private let unitsOfHalf: Int
  /// The number of half vectors in each of the first blocks, and how many such blocks there are.
  private let firstSize: Int
  private let firstCount: Int
  /// The numbers of half vectors of the last two blocks; 0 for none.
  private let last: (Int, Int)

  /// - Parameters:
  ///   - unitsOfHalf: the number of units in half a vector.
  ///   - most: the largest number of half vectors in a block, 2 to 4.
  init(units: Int, unitsOfHalf: Int, most: Int) {
    self.unitsOfHalf = unitsOfHalf
    // A block of three half vectors is only one of the last two blocks.
    firstSize = most & ~1
    let halfVectors = (units + unitsOfHalf - 1) / unitsOfHalf, rest = halfVectors % firstSize
    // A single half vector has too few sums to hide the latency of multiply-adds, so a block of three includes it.
    let leavesOne = rest == 1 && halfVectors > firstSize && most > 2
    firstCount = halfVectors / firstSize - (leavesOne ? 1 : 0)
    last = leavesOne ? (3, firstSize - 2) : (rest, 0)
  }

  var count: Int { firstCount + (last.0 > 0 ? 1 : 0) + (last.1 > 0 ? 1 : 0) }

  /// Calls `body` with the first unit of each step block, and with the units that it computes: whole half vectors.
  @inline(__always)
  func forEach(_ body: (_ first: Int, _ units: Int) -> Void) {
    for index in 0..<firstCount { body(index * firstSize * unitsOfHalf, firstSize * unitsOfHalf) }
    let first = firstCount * firstSize * unitsOfHalf
    if last.0 > 0 { body(first, last.0 * unitsOfHalf) }
    if last.1 > 0 { body(first + last.0 * unitsOfHalf, last.1 * unitsOfHalf) }
  }
}

/// A step block.
struct StepPlace<L: Lanes, Format: StepFormat> {
  private let step: register_step
  /// The biases, W and U of the step block.
  private let biases: UnsafePointer<L.Scalar>
  private let w: UnsafePointer<L.Scalar>
  private let u: UnsafePointer<L.Scalar>
  /// The distance from one k of W or U to the next one.
  private let stride: Int

  @inline(always) fileprivate init<Equations: StepEquations>(
    _ step: register_step, _ equations: Equations.Type
  ) {
    self.step = step
    stride = equations.gates &* L.count
    biases = step.weights.assumingMemoryBound(to: L.Scalar.self)
    w = biases + equations.biasedSlots &* L.count
    u = step.u.assumingMemoryBound(to: L.Scalar.self)
  }

  /// The sums of W x for some gates from `input` on, and of U times the operand for some gates from `recurrent` on.
  ///
  /// Each sum is one chain of multiply-adds in ascending k, as in the products; formats may differ from that. A
  /// multiply-add takes four cycles and two start in each cycle, so eight chains keep the units busy. Both products run
  /// side by side if their sums take at most `most_side_by_side` vectors.
  @inline(always) func sums<let inputs: Int, let recurrents: Int>(
    input: Int, recurrent: Int
  ) -> (x: GateSums<L, inputs>, h: GateSums<L, recurrents>) {
    typealias E = L.Scalar
    let starts = (x: self.w + input &* L.count, h: self.u + recurrent &* L.count)
    let rows = (x: row(step.x), h: row(step.operand))
    var x = GateSums<L, inputs>(), h = GateSums<L, recurrents>()
    var w = starts.x, u = starts.h
    if Format.isExact {
      // W and U each start with the integers that the sums start from, then the scales.
      (x, h) = (GateSums(at: w), GateSums(at: u))
      w += Int(INT8_UNIT_HEAD) &* stride
      u += Int(INT8_UNIT_HEAD) &* stride
    }
    let besides = recurrents > 0 && (inputs &+ recurrents) &* L.count <= most_side_by_side(step.set) &* E.laneCount
    let xCount = scalars(step.input_size), hCount = scalars(step.hidden_size)
    var k = 0
    if besides {
      let both = xCount < hCount ? xCount : hCount  // The compiler would call `min`.
      while k < both / Format.scalars &* Format.scalars {
        Format.add(rows.x + k, times: w, to: &x, step)
        Format.add(rows.h + k, times: u, to: &h, step)
        w += stride
        u += stride
        k &+= Format.scalars
      }
    }
    x.add(rows.x, k..<xCount, times: w, stride: stride, step, Format.self)
    if recurrents > 0 && !besides && L.count > E.laneCount && few_registers(step.set) {
      // The sums of x wait in memory. Otherwise the compiler keeps sums of h there while it adds to them.
      var inMemory = x
      withUnsafeMutablePointer(to: &inMemory) { leave_in_memory($0) }
      h.add(rows.h, k..<hCount, times: u, stride: stride, step, Format.self)
      return (scaled(inMemory, rows.x, starts.x), scaled(h, rows.h, starts.h))
    }
    if recurrents > 0 { h.add(rows.h, k..<hCount, times: u, stride: stride, step, Format.self) }
    return (scaled(x, rows.x, starts.x), scaled(h, rows.h, starts.h))
  }

  /// Sums times the scales of a row and of the weights that start at an address, if they are integers.
  @inline(always) private func scaled<let gates: Int>(
    _ sums: GateSums<L, gates>, _ row: UnsafePointer<L.Scalar>, _ weights: UnsafePointer<L.Scalar>
  ) -> GateSums<L, gates> {
    guard Format.isExact else { return sums }
    var sums = sums
    sums.scale(by: row[-1], times: weights + stride)
    return sums
  }

  /// The scalars of a row. In exact formats, the row's scale is before them.
  @inline(always) private func row(_ start: UnsafeRawPointer) -> UnsafePointer<L.Scalar> {
    start.assumingMemoryBound(to: L.Scalar.self) + (Format.isExact ? 1 : 0)
  }

  /// The number of scalars that hold `size` numbers of a row.
  @inline(always) private func scalars(_ size: Int) -> Int { (size &+ Format.numbers &- 1) / Format.numbers }

  @inline(always) func bias(ofSlot slot: Int) -> L { L(at: biases + slot &* L.count) }
  /// The parameter with one value for each unit.
  @inline(always) var vector: L { load(step.vectors) }
  @inline(always) var previousH: L { load(step.previous_h) }
  @inline(always) var c: L {
    get { load(step.c) }
    nonmutating set { store(newValue, step.c) }
  }
  @inline(always) func setH(_ h: L) { store(h, step.h) }
  /// What a stage leaves for the gates of the next one.
  @inline(always) var kept: L {
    get { load(step.kept) }
    nonmutating set { store(newValue, step.kept) }
  }
  /// Leaves the operand of the next stage's product.
  @inline(always) func setOperand(_ operand: L) { store(operand, step.next_operand) }

  @inline(always) private func load(_ source: UnsafeRawPointer) -> L {
    L(at: source.assumingMemoryBound(to: L.Scalar.self))
  }
  @inline(always) private func store(_ values: L, _ target: UnsafeMutableRawPointer) {
    values.store(at: target.assumingMemoryBound(to: L.Scalar.self))
  }
}

/// The sums of up to four gates for a step block.
struct GateSums<L: Lanes, let gates: Int> {
  private(set) var first = L(0)
  private(set) var second = L(0)
  private(set) var third = L(0)
  private(set) var fourth = L(0)

  @inline(always) init() {}

  /// The integers [gate][unit] that exact sums start from. Nothing is read if `gates` is 0.
  @inline(always) fileprivate init(at starts: UnsafePointer<L.Scalar>) {
    forEachGate(starts) { $0 = L(at: $1) }
  }

  /// Multiplies sums that are integers by the scales of the row and of the weights [gate][unit].
  @inline(always) fileprivate mutating func scale(by row: L.Scalar, times weights: UnsafePointer<L.Scalar>) {
    forEachGate(weights) { $0 = $0.ofIntegers * (L(row) * L(at: $1)) }
  }

  /// Adds the products of some scalars of a row with their weights [scalar][gate][unit]. If the format takes two scalars
  /// at a time, the first k is even, and the last one may have no neighbor.
  @inline(always) fileprivate mutating func add<Format: StepFormat>(
    _ row: UnsafePointer<L.Scalar>, _ depth: Range<Int>, times weights: UnsafePointer<L.Scalar>, stride: Int,
    _ step: register_step, _ format: Format.Type
  ) {
    var weights = weights, k = depth.lowerBound
    while k < depth.upperBound &- (Format.scalars &- 1) {
      Format.add(row + k, times: weights, to: &self, step)
      weights += stride
      k &+= Format.scalars
    }
    if Format.scalars > 1, k < depth.upperBound {
      forEachGate(weights) { $0.add(row[k], timesEvenHalvesAt: $1) }
    }
  }

  /// Calls `body` for each gate with its sum and the address of its values [unit] in an array [gate][unit].
  @inline(always) mutating func forEachGate(
    _ array: UnsafePointer<L.Scalar>, _ body: (inout L, UnsafePointer<L.Scalar>) -> Void
  ) {
    if gates > 0 { body(&first, array) }
    if gates > 1 { body(&second, array + L.count) }
    if gates > 2 { body(&third, array + 2 &* L.count) }
    if gates > 3 { body(&fourth, array + 3 &* L.count) }
  }
}
