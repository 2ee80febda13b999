/// The parameters of a layer, or their gradients, by PyTorch's names, shapes and gate orders: i f g o, and r z n.
///
/// They are `weight_ih_l0` [G·H,C], `weight_hh_l0` [G·H,H], `bias_ih_l0` and `bias_hh_l0` [G·H]. The names of the next
/// level end in `l1`, and those of a reverse direction in `l0_reverse`. An `IndRNN` has `weight_hh_l0` [H] and no
/// `bias_hh_l0`. One array holds all parameters, in the order of
/// `names`.
public struct Parameters<Scalar: RecurrentScalar>: Sendable, Equatable {
  /// All values, one parameter after the other.
  public private(set) var values: [Scalar]
  package let shape: LayerShape

  /// Zeros.
  package init(_ shape: LayerShape) {
    self.shape = shape
    values = zeros(shape.parameterCount)
  }

  /// Whether the layer has biases.
  public var hasBias: Bool { shape.hasBias }

  /// The names of all parameters, as in PyTorch.
  public var names: [String] { all.map(\.name) }

  /// The name, the shape and the range in `values` of each parameter.
  package var all: [(name: String, shape: [Int], range: Range<Int>)] { Self.all(shape) }

  /// The same of the parameters that a layer of a shape has.
  package static func all(_ shape: LayerShape) -> [(name: String, shape: [Int], range: Range<Int>)] {
    (0..<shape.parts).flatMap { part in
      let parameters = shape.parameters(ofPart: part), suffix = shape.suffix(part: part)
      return shape.parameterLayout.rows.map {
        ("\($0.name)_\(suffix)", parameters.shape($0.role), parameters[$0.role])
      }
    }
  }

  /// The shape of a parameter by its PyTorch name; nil if the layer does not have it.
  public func shape(_ name: String) -> [Int]? {
    guard let (part, role) = try? find(name) else { return nil }
    return shape.parameters(ofPart: part).shape(role)
  }

  /// The range of a parameter in `values`.
  ///
  /// - Throws: `RecurrentError.name` with the names that exist if the layer does not have this one.
  public func range(_ name: String) throws(RecurrentError) -> Range<Int> {
    let (part, role) = try find(name)
    return shape.parameters(ofPart: part)[role]
  }

  /// The values of a parameter.
  ///
  /// - Throws: `RecurrentError.name` with the names that exist if the layer does not have this one.
  public func values(_ name: String) throws(RecurrentError) -> [Scalar] { Array(values[try range(name)]) }

  /// Sets the values of a parameter.
  ///
  /// - Throws: `RecurrentError.name` with the names that exist if the layer does not have this one, or `.count` if the
  ///   count is wrong.
  public mutating func set(_ name: String, to new: [Scalar]) throws(RecurrentError) {
    let range = try range(name)
    try checkCount(name, new.count, is: range.count, "\(shape(name)!)")
    values.replaceSubrange(range, with: new)
  }

  /// Changes the values of all parameters in place. Their count cannot change.
  public mutating func withMutableValues<Result, Failure: Error>(
    _ body: (UnsafeMutableBufferPointer<Scalar>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try values.withUnsafeMutableBufferPointer { values throws(Failure) in try body(values) }
  }

  private func find(_ name: String) throws(RecurrentError) -> (part: Int, role: ParameterRole) {
    for part in 0..<shape.parts {
      for row in shape.parameterLayout.rows where name == "\(row.name)_\(shape.suffix(part: part))" {
        return (part, row.role)
      }
    }
    throw .name(name, kind: "parameter", known: names)
  }

  /// - Throws: `RecurrentError.shape` if the parameters are of another shape.
  package func check(against other: LayerShape, _ name: String) throws(RecurrentError) {
    guard shape == other else { throw .shape(name: name, was: "\(shape)", expected: "\(other)") }
  }
}

extension Parameters: CustomStringConvertible {
  /// The shape of their layer, and the count of values.
  public var description: String { "Parameters of \(shape): \(counted(values.count, "value"))" }
}
