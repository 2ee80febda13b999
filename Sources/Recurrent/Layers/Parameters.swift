/// The parameters of a layer, or their gradients, by PyTorch's names, shapes and gate orders: i f g o, and r z n.
///
/// `weight_ih_l0` [G·H,C], `weight_hh_l0` [G·H,H], `bias_ih_l0` and `bias_hh_l0` [G·H]; the next level's end in `l1`,
/// those of a reverse direction in `l0_reverse`. One array holds them all, in the order of `names`.
public struct Parameters<Scalar: RecurrentScalar>: Sendable, Equatable {
  /// All values, one parameter after the other.
  public private(set) var values: [Scalar]
  package let shape: LayerShape

  /// Zeros.
  package init(_ shape: LayerShape) {
    self.shape = shape
    values = Array(repeating: 0, count: shape.parameterCount)
  }

  /// Whether there are biases.
  public var hasBias: Bool { shape.hasBias }

  /// PyTorch's names.
  public var names: [String] { (0..<shape.parts).flatMap { part in kinds.map { "\($0)_\(shape.suffix(part: part))" } } }

  private var kinds: [String] { ["weight_ih", "weight_hh"] + (hasBias ? ["bias_ih", "bias_hh"] : []) }

  /// The shape of a parameter by PyTorch's name, nil if there is none.
  public func shape(_ name: String) -> [Int]? {
    guard let (part, kind) = try? place(name) else { return nil }
    let units = shape.cell.gates * shape.hiddenSize
    return switch kind {
    case 0: [units, shape.inputSize(ofLevel: part / shape.directions)]
    case 1: [units, shape.hiddenSize]
    default: [units]
    }
  }

  /// Where a parameter lies in `values`.
  ///
  /// - Throws: `RecurrentError.name` with the names that exist.
  public func range(_ name: String) throws(RecurrentError) -> Range<Int> {
    let (part, kind) = try place(name)
    return ranges(part)[kind]
  }

  /// The values of a parameter.
  ///
  /// - Throws: `RecurrentError.name` with the names that exist.
  public func values(_ name: String) throws(RecurrentError) -> [Scalar] { Array(values[try range(name)]) }

  /// Sets a parameter.
  ///
  /// - Throws: `RecurrentError.name` with the names that exist, or `.count` where the count is wrong.
  public mutating func set(_ name: String, to new: [Scalar]) throws(RecurrentError) {
    let range = try range(name)
    try checkCount(name, new.count, is: range.count, "\(shape(name)!)")
    values.replaceSubrange(range, with: new)
  }

  /// Calls `body` with each parameter's name and values, in the order of `names`.
  public mutating func updateEach(
    _ body: (_ name: String, _ values: UnsafeMutableBufferPointer<Scalar>) throws -> Void
  ) rethrows {
    let names = names, all = (0..<shape.parts).flatMap { ranges($0) }.filter { !$0.isEmpty }
    try values.withUnsafeMutableBufferPointer { values in
      for (name, range) in zip(names, all) { try body(name, UnsafeMutableBufferPointer(rebasing: values[range])) }
    }
  }

  /// Changes the values of all parameters in place; their count stays.
  public mutating func withMutableValues<Result, Failure: Error>(
    _ body: (UnsafeMutableBufferPointer<Scalar>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try values.withUnsafeMutableBufferPointer { values throws(Failure) in try body(values) }
  }

  /// By PyTorch's order of kinds; empty ranges without biases.
  private func ranges(_ part: Int) -> [Range<Int>] {
    let places = shape.parameters(ofPart: part)
    return [places.weightIH, places.weightHH, places.biasIH, places.biasHH]
  }

  private func place(_ name: String) throws(RecurrentError) -> (part: Int, kind: Int) {
    for part in 0..<shape.parts {
      for (kind, text) in kinds.enumerated() where name == "\(text)_\(shape.suffix(part: part))" { return (part, kind) }
    }
    throw .name(name, kind: "parameter", known: names)
  }

  /// - Throws: `RecurrentError.shape` if the parameters are of another shape.
  package func check(against other: LayerShape, _ name: String) throws(RecurrentError) {
    guard shape == other else { throw .shape(name: name, was: "\(shape)", expected: "\(other)") }
  }
}

extension Parameters: CustomStringConvertible {
  /// The layer that they are of, and their count.
  public var description: String { "Parameters of \(shape): \(counted(values.count, "value"))" }
}
