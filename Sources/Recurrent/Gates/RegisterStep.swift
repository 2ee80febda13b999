import CRecurrentKernels

/// The equations of one stage of a cell, for a step whose sums stay in registers.
protocol StepEquations {
  /// G: the number of gates that W has, and U if the cell has it.
  static var gates: Int { get }
  /// The number of slots that start from a bias.
  static var biasedSlots: Int { get }
  static var hasU: Bool { get }
  /// Computes and stores the states of some units.
  static func run<L: Lanes>(_ place: StepPlace<L>)
}

/// Runs one stage of a step for all units. A step block of one vector runs as two halves.
@inline(always) func runStep<Equations: StepEquations, E: LaneElement>(
  _ equations: Equations.Type, _ scalar: E.Type, _ step: UnsafePointer<register_step>
) {
  let step = step.pointee
  let blocks = StepBlocks(
    hiddenSize: step.hidden_size, lanes: E.laneCount,
    inPairs: equations.gates <= most_gates_in_pairs_here(step.most_gates_in_pairs))
  var index = 0
  while index < blocks.pairs {
    let unit = (step.downwards ? blocks.pairs &- 1 &- index : index) &* E.Pair.count
    equations.run(StepPlace<E.Pair>(step, equations, unit: unit))
    index &+= 1
  }
  index = 0
  while index < blocks.vectors {
    let unit = blocks.firstVector &+ (step.downwards ? blocks.vectors &- 1 &- index : index) &* E.laneCount
    equations.run(StepPlace<Halves<E.Half>>(step, equations, unit: unit))
    index &+= 1
  }
  if blocks.hasHalf {
    equations.run(StepPlace<E.Half>(step, equations, unit: blocks.half))
  }
}

/// How a step in registers divides the units: into step blocks of two vectors, then of one, and finally of half a
/// vector.
struct StepBlocks {
  let pairs: Int
  let vectors: Int
  let hasHalf: Bool
  /// The first unit of the vectors.
  let firstVector: Int
  /// The first unit of the half vector.
  let half: Int

  /// - Parameters:
  ///   - lanes: the number of units in a vector.
  ///   - inPairs: whether there are step blocks of two vectors.
  @inline(always) init(hiddenSize: Int, lanes: Int, inPairs: Bool) {
    // A step block is used only if smaller ones would compute as many units.
    let mostOfRest = lanes &+ lanes / 2
    pairs = inPairs ? max(0, hiddenSize &- mostOfRest &+ 2 &* lanes &- 1) / (2 &* lanes) : 0
    firstVector = pairs &* 2 &* lanes
    vectors = max(0, hiddenSize &- firstVector &- lanes / 2 &+ lanes &- 1) / lanes
    half = firstVector &+ vectors &* lanes
    hasHalf = half < hiddenSize
  }

  /// Calls `body` with the first unit and the number of units of each step block.
  func forEach(lanes: Int, _ body: (_ first: Int, _ count: Int) -> Void) {
    for index in 0..<pairs { body(index * 2 * lanes, 2 * lanes) }
    for index in 0..<vectors { body(firstVector + index * lanes, lanes) }
    if hasHalf { body(half, lanes / 2) }
  }
}

/// A step block.
struct StepPlace<L: Lanes> {
  private let step: register_step
  private let unit: Int
  /// The biases, W and U of the step block.
  private let biases: UnsafePointer<L.Scalar>
  private let w: UnsafePointer<L.Scalar>
  private let u: UnsafePointer<L.Scalar>
  /// The distance from one k of W or U to the next one.
  private let stride: Int

  @inline(always) fileprivate init<Equations: StepEquations>(
    _ step: register_step, _ equations: Equations.Type, unit: Int
  ) {
    self.step = step
    self.unit = unit
    // A scalar of W and U holds one k or two.
    func rows(_ depth: Int) -> Int { L.Scalar.canBeHalves && step.halves ? (depth &+ 1) / 2 : depth }
    let depth = rows(step.input_size) &+ (equations.hasU ? rows(step.hidden_size) : 0)
    stride = equations.gates &* L.count
    biases =
      step.weights.assumingMemoryBound(to: L.Scalar.self) + unit
      &* (equations.biasedSlots &+ equations.gates &* depth)
    w = biases + equations.biasedSlots &* L.count
    u = w + rows(step.input_size) &* stride
  }

  /// The sums of W x for some gates from `input` on, and of U times the operand for some gates from `recurrent` on.
  ///
  /// Each sum is one chain of multiply-adds in ascending k, as in the products. A multiply-add takes four cycles and
  /// two start in each cycle, so eight chains keep the units busy. Both products run side by side if their sums take at
  /// most `most_side_by_side` vectors.
  @inline(always) func sums<let inputs: Int, let recurrents: Int>(
    input: Int, recurrent: Int
  ) -> (x: GateSums<L, inputs>, h: GateSums<L, recurrents>) {
    typealias E = L.Scalar
    var x = GateSums<L, inputs>(), h = GateSums<L, recurrents>()
    let xRow = step.x.assumingMemoryBound(to: E.self), hRow = step.operand.assumingMemoryBound(to: E.self)
    var w = self.w + input &* L.count, u = self.u + recurrent &* L.count
    let besides = recurrents > 0 && (inputs &+ recurrents) &* L.count <= step.most_side_by_side &* E.laneCount
    var k = 0
    if E.canBeHalves && step.halves {
      let both = besides ? min(step.input_size, step.hidden_size) / 2 &* 2 : 0
      while k < both {
        x.add(pair: xRow + k, times: w)
        h.add(pair: hRow + k, times: u)
        w += stride
        u += stride
        k &+= 2
      }
      x.add(pairs: xRow, k..<step.input_size, times: w, stride: stride)
      if recurrents > 0 { h.add(pairs: hRow, k..<step.hidden_size, times: u, stride: stride) }
      return (x, h)
    }
    if besides {
      let both = min(step.input_size, step.hidden_size)
      while k < both {
        x.add(xRow[k], times: w)
        h.add(hRow[k], times: u)
        w += stride
        u += stride
        k &+= 1
      }
    }
    var rest = k
    while rest < step.input_size {
      x.add(xRow[rest], times: w)
      w += stride
      rest &+= 1
    }
    if recurrents > 0 {
      while k < step.hidden_size {
        h.add(hRow[k], times: u)
        u += stride
        k &+= 1
      }
    }
    return (x, h)
  }

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
    L(at: source.assumingMemoryBound(to: L.Scalar.self) + unit)
  }
  @inline(always) private func store(_ values: L, _ target: UnsafeMutableRawPointer) {
    values.store(at: target.assumingMemoryBound(to: L.Scalar.self) + unit)
  }
}

/// The sums of up to four gates for a step block.
struct GateSums<L: Lanes, let gates: Int> {
  private(set) var first = L(0)
  private(set) var second = L(0)
  private(set) var third = L(0)
  private(set) var fourth = L(0)

  @inline(always) init() {}

  /// Adds one value of the row times its weights [gate][unit].
  @inline(always) fileprivate mutating func add(_ value: L.Scalar, times weights: UnsafePointer<L.Scalar>) {
    if gates > 0 { first.add(value, times: weights) }
    if gates > 1 { second.add(value, times: weights + L.count) }
    if gates > 2 { third.add(value, times: weights + 2 &* L.count) }
    if gates > 3 { fourth.add(value, times: weights + 3 &* L.count) }
  }

  /// The same with weights in halves, for an even k.
  @inline(always) private mutating func add(even value: L.Scalar, times weights: UnsafePointer<L.Scalar>) {
    if gates > 0 { first.add(value, timesEvenHalvesAt: weights) }
    if gates > 1 { second.add(value, timesEvenHalvesAt: weights + L.count) }
    if gates > 2 { third.add(value, timesEvenHalvesAt: weights + 2 &* L.count) }
    if gates > 3 { fourth.add(value, timesEvenHalvesAt: weights + 3 &* L.count) }
  }

  /// The same with weights in halves, for an odd k.
  @inline(always) private mutating func add(odd value: L.Scalar, times weights: UnsafePointer<L.Scalar>) {
    if gates > 0 { first.add(value, timesOddHalvesAt: weights) }
    if gates > 1 { second.add(value, timesOddHalvesAt: weights + L.count) }
    if gates > 2 { third.add(value, timesOddHalvesAt: weights + 2 &* L.count) }
    if gates > 3 { fourth.add(value, timesOddHalvesAt: weights + 3 &* L.count) }
  }

  /// Adds two neighboring values of the row times their weights in halves.
  @inline(always) fileprivate mutating func add(
    pair: UnsafePointer<L.Scalar>, times weights: UnsafePointer<L.Scalar>
  ) {
    add(even: pair[0], times: weights)
    add(odd: pair[1], times: weights)
  }

  /// Adds the values of a row from an even k on, of which the last may have no neighbor.
  @inline(always) fileprivate mutating func add(
    pairs row: UnsafePointer<L.Scalar>, _ depth: Range<Int>, times weights: UnsafePointer<L.Scalar>, stride: Int
  ) {
    var weights = weights, k = depth.lowerBound
    while k &+ 1 < depth.upperBound {
      add(pair: row + k, times: weights)
      weights += stride
      k &+= 2
    }
    if k < depth.upperBound { add(even: row[k], times: weights) }
  }
}
