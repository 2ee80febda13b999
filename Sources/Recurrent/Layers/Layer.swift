import Synchronization

private let lastVersion = Atomic<UInt64>(0)

/// A recurrent layer of any cell: its shape, its parameters and their packed form. One level or several, each in one
/// direction or both.
///
/// A layer is a value: copies share the packed weights until one of them changes its parameters. It can be used from
/// several threads at once.
public struct Layer<Scalar: RecurrentScalar>: RecurrentLayer {
  package let shape: LayerShape
  /// What the layer's kernels are compiled for.
  public let instructionSet: InstructionSet
  /// The probability with which `record` zeroes what one level hands to the next, 0 ... 1.
  public let dropout: Float
  /// Whether every call reads and writes denormal numbers as zero: a state that decays does not slow it down then.
  public let flushesDenormals: Bool
  /// One reference: a copy of the layer costs one count, and copies share the packed weights.
  private(set) var content: Content

  /// What changes together; only ever changed by a layer that is its sole owner.
  final class Content: @unchecked Sendable {
    // A call of 200 ns should not count the accesses.
    @exclusivity(unchecked) var parameters: Parameters<Scalar>
    let engine: any LayerEngine<Scalar>

    /// Another number for every change of the parameters, in the whole process.
    private(set) var version: UInt64  // 0 until the first `adopt`

    init(_ parameters: Parameters<Scalar>, _ engine: any LayerEngine<Scalar>) {
      self.parameters = parameters
      self.engine = engine
      version = 0
    }

    /// After a change of the parameters.
    func adopt() {
      engine.adopt(parameters)
      version = lastVersion.add(1, ordering: .relaxed).newValue
    }
  }

  /// - Parameters:
  ///   - cell: the equations.
  ///   - inputSize: C, at least 1.
  ///   - hiddenSize: H, at least 1.
  ///   - layerCount: L, at least 1: levels, each the input of the next.
  ///   - direction: in which direction each level runs.
  ///   - dropout: the probability that `record` zeroes a value on its way to the next level, 0 ... 1.
  ///   - bias: whether there are biases.
  ///   - flushesDenormals: whether calls read and write denormal numbers as zero.
  ///   - initialization: how the parameters are drawn.
  ///   - instructionSet: whose kernels run; `Processor.active` by default.
  /// - Throws: `RecurrentError` if a size is not positive, another number is out of its range or the processor lacks
  ///   the instruction set.
  public init(
    _ cell: Cell, inputSize: Int, hiddenSize: Int, layerCount: Int = 1, direction: Direction = .forward,
    dropout: Float = 0, bias: Bool = true, flushesDenormals: Bool = false,
    initialization: Initialization = Initialization(), instructionSet: InstructionSet? = nil
  ) throws(RecurrentError) {
    shape = try LayerShape(
      cell: cell, inputSize: inputSize, hiddenSize: hiddenSize, layerCount: layerCount, direction: direction,
      hasBias: bias, scalarBytes: MemoryLayout<Scalar>.size)
    guard dropout >= 0, dropout <= 1 else {
      throw .value(name: "dropout", was: "\(dropout)", expected: "0 ... 1")
    }
    try initialization.check(for: shape)
    self.dropout = dropout
    self.flushesDenormals = flushesDenormals
    if let instructionSet { self.instructionSet = instructionSet } else { self.instructionSet = try Processor.active }
    var parameters = Parameters<Scalar>(shape)
    initialization.fill(&parameters)
    content = Content(
      parameters,
      try EngineOptions(
        shape: shape, instructionSet: self.instructionSet, dropout: dropout, flushesDenormals: flushesDenormals,
        secondCache: Processor.secondCache
      ).makeEngine(Scalar.self))
    content.adopt()
  }

  /// The same layer with its work cut for another second cache, which must not change a bit: for tests.
  package func cut(forSecondCache bytes: Int) throws(RecurrentError) -> Layer {
    var layer = self
    layer.content = Content(
      parameters,
      try EngineOptions(
        shape: shape, instructionSet: instructionSet, dropout: dropout, flushesDenormals: flushesDenormals,
        secondCache: bytes
      ).makeEngine(Scalar.self))
    layer.content.adopt()
    return layer
  }

  /// The layer itself.
  public var layer: Layer<Scalar> { self }

  /// The parameters, by PyTorch's names; changed through `setParameters` or `updateEachParameter`.
  public var parameters: Parameters<Scalar> { content.parameters }

  /// Changes the values of each parameter in place, in the order of `parameters.names`, and packs them again.
  public mutating func updateEachParameter(
    _ body: (_ name: String, _ values: UnsafeMutableBufferPointer<Scalar>) throws -> Void
  ) rethrows {
    makeSoleOwner()
    defer { content.adopt() }
    try content.parameters.updateEach(body)
  }

  /// The seed that `record` drops with, nil if nothing is dropped.
  func dropoutSeed(_ choice: RecordDropout) -> DropoutSeed? {
    dropout > 0 && shape.layerCount > 1 ? choice.seed : nil
  }

  private mutating func makeSoleOwner() {
    if !isKnownUniquelyReferenced(&content) {
      content = Content(content.parameters, content.engine.copy())
    }
  }
}
