import CRecurrentKernels

/// The sums of up to four gates for some units.
struct GateSums<L: Lanes, let gates: Int> {
  private(set) var first = L(0)
  private(set) var second = L(0)
  private(set) var third = L(0)
  private(set) var fourth = L(0)

  @inline(always) init() {}

  /// Adds one value of the row times its weights.
  ///
  /// - Parameters:
  ///   - weights: those of the units in the panel of the first gate.
  ///   - stride: the distance between the panels of two gates.
  @inline(always) fileprivate mutating func add(
    _ value: L.Scalar, times weights: UnsafePointer<L.Scalar>, stride: Int
  ) {
    let value = L(value)
    if gates > 0 { first = first.adding(L(at: weights), times: value) }
    if gates > 1 { second = second.adding(L(at: weights + stride), times: value) }
    if gates > 2 { third = third.adding(L(at: weights + 2 &* stride), times: value) }
    if gates > 3 { fourth = fourth.adding(L(at: weights + 3 &* stride), times: value) }
  }
}

/// Some units of a step in registers.
struct StepPlace<L: Lanes> {
  private let step: register_step
  private let unit: Int
  private let block: Int
  /// The first unit's place in its block.
  private let offset: Int

  @inline(always) fileprivate init(_ step: register_step, unit: Int) {
    self.step = step
    self.unit = unit
    // P is a power of two, and a division takes longer than many multiply-adds.
    block = unit &>> step.width.trailingZeroBitCount
    offset = unit & (step.width &- 1)
  }

  /// The sums of W x for some gates from `input` on, and of U times the operand for some gates from `recurrent` on.
  ///
  /// Each sum is one chain of multiply-adds in ascending k, as in the products. With few gates, the chains of both
  /// products run side by side: a multiply-add takes four cycles and two start in each cycle, so that eight chains keep
  /// the units busy (RNN, H 64 and 128: 13 and 16 % faster; with eight or more chains it was up to 8 % slower).
  @inline(always) func sums<let inputs: Int, let recurrents: Int>(
    input: Int, recurrent: Int
  ) -> (x: GateSums<L, inputs>, h: GateSums<L, recurrents>) {
    typealias E = L.Scalar
    var x = GateSums<L, inputs>(), h = GateSums<L, recurrents>()
    let width = step.width, strideW = step.input_size &* width, strideU = step.hidden_size &* width
    let xRow = step.x.assumingMemoryBound(to: E.self)
    let hRow = step.operand.assumingMemoryBound(to: E.self)
    var w = step.weight_ih.assumingMemoryBound(to: E.self) + ((block &* step.gates &+ input) &* strideW &+ offset)
    var u = step.weight_hh.assumingMemoryBound(to: E.self) + ((block &* step.gates &+ recurrent) &* strideU &+ offset)
    var k = 0
    if recurrents > 0, inputs + recurrents <= 4 {
      let both = min(step.input_size, step.hidden_size)
      while k < both {
        x.add(xRow[k], times: w, stride: strideW)
        h.add(hRow[k], times: u, stride: strideU)
        w += width
        u += width
        k &+= 1
      }
    }
    var rest = k
    while rest < step.input_size {
      x.add(xRow[rest], times: w, stride: strideW)
      w += width
      rest &+= 1
    }
    if recurrents > 0 {
      while k < step.hidden_size {
        h.add(hRow[k], times: u, stride: strideU)
        u += width
        k &+= 1
      }
    }
    return (x, h)
  }

  @inline(always) func bias(ofSlot slot: Int) -> L {
    load(step.bias, (block &* step.biased_slots &+ slot) &* step.width &+ offset)
  }
  /// The parameter with one value for each unit.
  @inline(always) var vector: L { load(step.vectors, unit) }
  @inline(always) var previousH: L { load(step.previous_h, unit) }
  @inline(always) var c: L {
    get { load(step.c, unit) }
    nonmutating set { store(newValue, step.c) }
  }
  @inline(always) func setH(_ h: L) { store(h, step.h) }
  /// What a stage leaves for the gates of the next one.
  @inline(always) var kept: L {
    get { load(step.kept, unit) }
    nonmutating set { store(newValue, step.kept) }
  }
  /// Leaves the operand of the next stage's product.
  @inline(always) func setOperand(_ operand: L) { store(operand, step.next_operand) }

  @inline(always) private func load(_ source: UnsafeRawPointer, _ index: Int) -> L {
    L(at: source.assumingMemoryBound(to: L.Scalar.self) + index)
  }
  @inline(always) private func store(_ values: L, _ target: UnsafeMutableRawPointer) {
    values.store(at: target.assumingMemoryBound(to: L.Scalar.self) + unit)
  }
}

/// Visits the units of a step in registers, upwards or downwards.
struct StepWalk<L: Lanes> {
  private let step: register_step
  private var unit: Int

  @inline(always) init(_ step: register_step) {
    self.step = step
    unit = step.downwards ? (step.hidden_size &- 1) & -L.count : 0
  }

  @inline(always) mutating func next() -> StepPlace<L>? {
    guard unit >= 0, unit < step.hidden_size else { return nil }
    defer { unit &+= step.downwards ? -L.count : L.count }
    return StepPlace(step, unit: unit)
  }
}
