import Synchronization

private let lastVersion = Atomic<UInt64>(0)

/// A recurrent layer of any cell: its shape, its parameters and their packed form. It has one or more levels, and each
/// level runs in one direction or in both.
///
/// A layer is a value: copies share the packed weights until one of them changes its parameters. Several threads can
/// use a layer at the same time.
public struct Layer<Scalar: RecurrentScalar>: RecurrentLayer {
  package let shape: LayerShape
  /// The instruction set that the layer runs on. If the operating system refuses AMX, a layer with weights in bf16 runs
  /// on `.avx512bf16` instead.
  public private(set) var instructionSet: InstructionSet
  /// The probability with which `record` zeroes a value on its way to the next level, 0 ... 1.
  public let dropout: Float
  /// How the layer keeps the weights that it multiplies by.
  public private(set) var weightFormat: WeightFormat
  /// Whether every call reads and writes denormal numbers as zero, so that a decaying state does not slow it down.
  public let flushesDenormals: Bool
  /// One reference, so that copying the layer counts only one reference. Copies share the packed weights.
  private(set) var content: Content

  /// The parameters with the engine that has packed them. A layer changes its content only if it is the sole owner.
  final class Content: @unchecked Sendable {
    // Checking exclusive access would take too long in a call of 200 ns.
    @exclusivity(unchecked) var parameters: Parameters<Scalar>
    let engine: any LayerEngine<Scalar>

    /// A number that is unique in the process and changes with the parameters. It is 0 until the first `adopt`.
    private(set) var version: UInt64

    init(_ parameters: Parameters<Scalar>, _ engine: any LayerEngine<Scalar>) {
      self.parameters = parameters
      self.engine = engine
      version = 0
    }

    /// Packs the parameters after a change.
    func adopt() {
      engine.adopt(parameters)
      version = lastVersion.add(1, ordering: .relaxed).newValue
    }
  }

  /// - Parameters:
  ///   - cell: the cell that the layer computes.
  ///   - inputSize: C, at least 1.
  ///   - hiddenSize: H, at least 1.
  ///   - layerCount: L, the number of levels, at least 1. The output of each level is the input of the next one.
  ///   - direction: the direction in which each level runs.
  ///   - dropout: the probability that `record` zeroes a value on its way to the next level, 0 ... 1.
  ///   - bias: whether the layer has biases.
  ///   - weights: how the layer keeps the weights that it multiplies by. A layer with weights in 8 bits cannot be
  ///     trained.
  ///   - flushesDenormals: whether calls read and write denormal numbers as zero.
  ///   - initialization: how the parameters are drawn.
  ///   - instructionSet: the instruction set whose kernels run; `Processor.active` by default.
  /// - Throws: `RecurrentError` if a size is not positive, the weights do not fit into this machine's memory, another
  ///   number is out of its range, or the processor lacks the instruction set.
  public init(
    _ cell: Cell, inputSize: Int, hiddenSize: Int, layerCount: Int = 1, direction: Direction = .forward,
    dropout: Float = 0, bias: Bool = true, weights: WeightFormat = .full, flushesDenormals: Bool = false,
    initialization: Initialization = Initialization(), instructionSet: InstructionSet? = nil
  ) throws(RecurrentError) {
    shape = try LayerShape(
      cell: cell, inputSize: inputSize, hiddenSize: hiddenSize, layerCount: layerCount, direction: direction,
      hasBias: bias)
    guard dropout >= 0, dropout <= 1 else {
      throw .value(name: "dropout", was: "\(dropout)", expected: "0 to 1")
    }
    try initialization.check(for: shape)
    // The sizes that a format of weights allows are smaller, so they are checked before the memory.
    try weights.check(for: shape, of: Scalar.self)
    try shape.checkMemory(scalarBytes: MemoryLayout<Scalar>.size)
    weightFormat = weights
    self.dropout = dropout
    self.flushesDenormals = flushesDenormals
    self.instructionSet = weights.permitted(try Processor.check(instructionSet))
    var parameters = Parameters<Scalar>(shape)
    initialization.fill(&parameters)
    content = Content(
      parameters,
      try EngineOptions(
        shape: shape, instructionSet: self.instructionSet, weights: weights, dropout: dropout,
        flushesDenormals: flushesDenormals, secondCache: Processor.secondCache
      ).makeEngine(Scalar.self))
    content.adopt()
  }

  /// The same layer with its work cut for another second cache. Tests and `recurrent-bench --tune` use it: the bits
  /// must be the same.
  package func cut(forSecondCache bytes: Int) throws(RecurrentError) -> Layer {
    var layer = self
    layer.content = Content(
      parameters,
      try EngineOptions(
        shape: shape, instructionSet: instructionSet, weights: weightFormat, dropout: dropout,
        flushesDenormals: flushesDenormals, secondCache: bytes
      ).makeEngine(Scalar.self))
    layer.content.adopt()
    return layer
  }

  /// The same layer with its weights in another format. With `.int8` or `.bfloat16`, a trained layer becomes a
  /// faster one.
  ///
  /// - Throws: `RecurrentError` if a layer of this scalar or size cannot have such weights.
  public func converted(to weights: WeightFormat) throws(RecurrentError) -> Layer {
    try weights.check(for: shape, of: Scalar.self)
    var layer = self
    layer.weightFormat = weights
    layer.instructionSet = weights.permitted(instructionSet)
    return try layer.cut(forSecondCache: Processor.secondCache)
  }

  /// The layer itself.
  public var layer: Layer<Scalar> { self }

  /// The parameters, by PyTorch's names; changed through `setParameters` or `updateParameterValues`.
  public var parameters: Parameters<Scalar> { content.parameters }

  /// Changes the values of all parameters in place, in the order of `parameters.names`, and packs them once.
  ///
  /// They are copied only if a copy of the layer or of its `parameters` still exists.
  public mutating func updateParameterValues<Result, Failure: Error>(
    _ body: (UnsafeMutableBufferPointer<Scalar>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    makeSoleOwner()
    defer { content.adopt() }
    return try content.parameters.withMutableValues(body)
  }

  /// The seed of the dropout masks of `record`; nil if nothing is dropped.
  func dropoutSeed(_ choice: RecordDropout) -> DropoutSeed? {
    dropout > 0 && shape.layerCount > 1 ? choice.seed : nil
  }

  private mutating func makeSoleOwner() {
    if !isKnownUniquelyReferenced(&content) {
      content = Content(content.parameters, content.engine.copy())
    }
  }
}
