import CRecurrentKernels

/// How a step in registers multiplies weights that lie as a `step_format` says.
///
/// Each format is a type. The compiler would inline all formats wherever a value chose one, and drop the others only
/// later: the module would take twice as long to compile.
protocol StepFormat {
  /// The number of a row's numbers that a scalar holds.
  static var numbers: Int { get }
  /// The number of a row's scalars that `add` multiplies.
  static var scalars: Int { get }
  /// Whether sums are exact integers, and rows and weights have scales.
  static var isExact: Bool { get }
  /// Adds the products of some scalars of a row with their weights [gate][unit].
  static func add<L: Lanes, let gates: Int>(
    _ row: UnsafePointer<L.Scalar>, times weights: UnsafePointer<L.Scalar>, to sums: inout GateSums<L, gates>,
    _ step: register_step)
}

/// Weights that were not rounded.
enum FullWeights: StepFormat {
  @inline(always) static var numbers: Int { 1 }
  @inline(always) static var scalars: Int { 1 }
  @inline(always) static var isExact: Bool { false }

  @inline(always) static func add<L: Lanes, let gates: Int>(
    _ row: UnsafePointer<L.Scalar>, times weights: UnsafePointer<L.Scalar>, to sums: inout GateSums<L, gates>,
    _ step: register_step
  ) {
    sums.forEachGate(weights) { $0.add(row[0], times: $1) }
  }
}

/// Weights in bf16, of which a word holds an even k and the odd one after it. They are added in ascending k.
enum EvenAndOddHalves: StepFormat {
  @inline(always) static var numbers: Int { 1 }
  @inline(always) static var scalars: Int { 2 }
  @inline(always) static var isExact: Bool { false }

  @inline(always) static func add<L: Lanes, let gates: Int>(
    _ row: UnsafePointer<L.Scalar>, times weights: UnsafePointer<L.Scalar>, to sums: inout GateSums<L, gates>,
    _ step: register_step
  ) {
    sums.forEachGate(weights) { $0.add(row[0], timesEvenHalvesAt: $1) }
    // With few registers, the weights are loaded again. Otherwise the compiler keeps some of them, or some sums, in
    // other memory meanwhile.
    let hides = few_registers(step.set)
    let weights = (hides ? hidden_address(weights) : UnsafeRawPointer(weights)).assumingMemoryBound(to: L.Scalar.self)
    let row = (hides ? hidden_address(row) : UnsafeRawPointer(row)).assumingMemoryBound(to: L.Scalar.self)
    sums.forEachGate(weights) { $0.add(row[1], timesOddHalvesAt: $1) }
  }
}

/// Weights in bf16 and rows in bf16, which one instruction multiplies: of each pair, it adds the odd k first.
enum Words: StepFormat {
  @inline(always) static var numbers: Int { 2 }
  @inline(always) static var scalars: Int { 1 }
  @inline(always) static var isExact: Bool { false }

  @inline(always) static func add<L: Lanes, let gates: Int>(
    _ row: UnsafePointer<L.Scalar>, times weights: UnsafePointer<L.Scalar>, to sums: inout GateSums<L, gates>,
    _ step: register_step
  ) {
    sums.forEachGate(weights) { $0.add(row[0], timesWordsAt: $1) }
  }
}

/// Weights and rows in 8 bits, four to a word, for one instruction that adds all four products.
enum Bytes: StepFormat {
  @inline(always) static var numbers: Int { 4 }
  @inline(always) static var scalars: Int { 1 }
  @inline(always) static var isExact: Bool { true }

  @inline(always) static func add<L: Lanes, let gates: Int>(
    _ row: UnsafePointer<L.Scalar>, times weights: UnsafePointer<L.Scalar>, to sums: inout GateSums<L, gates>,
    _ step: register_step
  ) {
    sums.forEachGate(weights) { $0.add(row[0], timesBytesAt: $1) }
  }
}

/// Weights and rows of 8 bits that are kept in 16, two to a word, for one instruction that adds both products.
enum Shorts: StepFormat {
  @inline(always) static var numbers: Int { 2 }
  @inline(always) static var scalars: Int { 1 }
  @inline(always) static var isExact: Bool { true }

  @inline(always) static func add<L: Lanes, let gates: Int>(
    _ row: UnsafePointer<L.Scalar>, times weights: UnsafePointer<L.Scalar>, to sums: inout GateSums<L, gates>,
    _ step: register_step
  ) {
    sums.forEachGate(weights) { $0.add(row[0], timesShortsAt: $1) }
  }
}
