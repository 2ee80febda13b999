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
  public var names: [String] { all.map(\.name) }

  /// Every parameter: its name, its shape and where it lies in `values`.
  package var all: [(name: String, shape: [Int], range: Range<Int>)] {
    (0..<shape.parts).flatMap { part in
      let parameters = shape.parameters(ofPart: part), suffix = shape.suffix(part: part)
      return rows.map { ("\($0.name)_\(suffix)", parameters.shape($0.role), parameters[$0.role]) }
    }
  }

  private var rows: [ParameterLayout.Row] { shape.parameterLayout.rows }

  /// The shape of a parameter by PyTorch's name, nil if there is none.
  public func shape(_ name: String) -> [Int]? {
    guard let (part, role) = try? place(name) else { return nil }
    return shape.parameters(ofPart: part).shape(role)
  }

  /// Where a parameter lies in `values`.
  ///
  /// - Throws: `RecurrentError.name` with the names that exist.
  public func range(_ name: String) throws(RecurrentError) -> Range<Int> {
    let (part, role) = try place(name)
    return shape.parameters(ofPart: part)[role]
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
    let all = self.all
    try values.withUnsafeMutableBufferPointer { values in
      for (name, _, range) in all { try body(name, UnsafeMutableBufferPointer(rebasing: values[range])) }
    }
  }

  /// Changes the values of all parameters in place; their count stays.
  public mutating func withMutableValues<Result, Failure: Error>(
    _ body: (UnsafeMutableBufferPointer<Scalar>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try values.withUnsafeMutableBufferPointer { values throws(Failure) in try body(values) }
  }

  private func place(_ name: String) throws(RecurrentError) -> (part: Int, role: ParameterRole) {
    for part in 0..<shape.parts {
      for row in rows where name == "\(row.name)_\(shape.suffix(part: part))" { return (part, row.role) }
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
