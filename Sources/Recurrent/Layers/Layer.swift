import Synchronization

private let lastVersion = Atomic<UInt64>(0)

/// One layer of one direction, of any cell: sizes, parameters and their packed form.
///
/// A layer is a value: copies share the packed weights until one of them changes its parameters. It can be used from
/// several threads at once.
public struct Layer<Scalar: RecurrentScalar>: RecurrentLayer {
  public let cell: Cell
  /// C
  public let inputSize: Int
  /// H
  public let hiddenSize: Int
  public let instructionSet: InstructionSet
  /// One reference: a copy of the layer costs one count, and copies share the packed weights.
  private(set) var content: Content

  /// What changes together; only ever changed by a layer that is its sole owner.
  final class Content: @unchecked Sendable {
    // A call of 200 ns should not count the accesses to either.
    @exclusivity(unchecked) var parameters: Parameters<Scalar>
    @exclusivity(unchecked) var engine: Scalar.Engine

    /// Another number for every change of the parameters, in the whole process.
    private(set) var version: UInt64  // 0 until the first `adopt`

    init(_ parameters: Parameters<Scalar>, _ engine: Scalar.Engine) {
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
  ///   - bias: whether there are biases.
  ///   - initialization: how the parameters are drawn.
  ///   - instructionSet: whose kernels run; `Processor.active` by default.
  /// - Throws: `RecurrentError` where a size is not positive or the processor lacks the instruction set.
  public init(
    _ cell: Cell, inputSize: Int, hiddenSize: Int, bias: Bool = true, initialization: Initialization = Initialization(),
    instructionSet: InstructionSet? = nil
  ) throws(RecurrentError) {
    var parameters = try Parameters<Scalar>(cell: cell, inputSize: inputSize, hiddenSize: hiddenSize, bias: bias)
    initialization.fill(&parameters, cell: cell)
    self.cell = cell
    self.inputSize = inputSize
    self.hiddenSize = hiddenSize
    if let instructionSet { self.instructionSet = instructionSet } else { self.instructionSet = try Processor.active }
    content = Content(
      parameters,
      try Scalar.Engine(
        cell: cell, inputSize: inputSize, hiddenSize: hiddenSize, instructionSet: self.instructionSet))
    content.adopt()
  }

  public var layer: Layer<Scalar> {
    get { self }
    _modify { yield &self }
  }

  public var parameters: Parameters<Scalar> { content.parameters }

  /// Replaces the parameters and packs them.
  ///
  /// - Throws: `RecurrentError.count` where an array has the wrong count; the layer is then as it was before.
  public mutating func setParameters(_ new: Parameters<Scalar>) throws(RecurrentError) {
    try new.check(against: parameters)
    makeSoleOwner()
    content.parameters = new
    content.adopt()
  }

  /// Changes the values of each parameter in place, in the order of `parameters.names`, and packs them again.
  public mutating func updateEachParameter(
    _ body: (_ name: String, _ values: UnsafeMutableBufferPointer<Scalar>) throws -> Void
  ) rethrows {
    makeSoleOwner()
    let names = parameters.names
    var index = 0
    defer { content.adopt() }
    try content.parameters.forEach { values in
      try values.withUnsafeMutableBufferPointer { try body(names[index], $0) }
      index += 1
    }
  }

  private mutating func makeSoleOwner() {
    if !isKnownUniquelyReferenced(&content) { content = Content(content.parameters, content.engine) }
  }
}
