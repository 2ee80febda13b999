import Recurrent

/// What is made of parts. A model lists its parts, and everything else follows from the list:
///
///     struct Sentiment: Composite {
///       var embedding: Embedding, encoder: GRU<Float>, head: Dense
///       static let parts = [Part("embedding", \Self.embedding), Part("encoder", \.encoder), Part("head", \.head)]
///     }
public protocol Composite: Parameterized {
  /// The parts, in the order of their parameters. What has no parameters may be left out.
  static var parts: [Part<Self>] { get }
}

/// What has no parameters, such as a dropout.
public protocol Parameterless: Composite {}

extension Parameterless {
  /// None.
  public static var parts: [Part<Self>] { [] }
}

/// A line of a model's list of parts: a name in checkpoints, and a property.
public struct Part<Owner>: Sendable {
  let name: String
  let path: any AnyKeyPath & Sendable
  let shapes: @Sendable (Owner) -> [ParameterShape]
  /// Nil if the part is a parameter, and not an owner of parameters.
  let list: (@Sendable (Owner) throws(RecurrentError) -> ParameterList)?
  let read: @Sendable (Owner, (UnsafeBufferPointer<Float>) -> Void) -> Void
  let update: @Sendable (inout Owner, (UnsafeMutableBufferPointer<Float>) -> Void) -> Void

  /// A part with parameters. Their names become those of the part with `name` and a dot before them; with an empty
  /// `name` they stay.
  public init<P: Parameterized>(_ name: String, _ path: any WritableKeyPath<Owner, P> & Sendable) {
    self.name = name
    self.path = path
    shapes = { owner in owner[keyPath: path].parameterShapes.map { $0.named(after: name) } }
    list = { owner throws(RecurrentError) in
      try inPart(name) { () throws(RecurrentError) in try ParameterList(owner[keyPath: path]) }
    }
    read = { owner, body in owner[keyPath: path].readParameters(body) }
    update = { owner, body in owner[keyPath: path].updateParameters(body) }
  }

  /// A parameter.
  ///
  /// - Parameters:
  ///   - hasSparseRows: whether a batch gives gradients to few of its rows.
  ///   - shape: the shape, which an owner must not change.
  public init(
    _ name: String, _ path: any WritableKeyPath<Owner, [Float]> & Sendable, hasSparseRows: Bool = false,
    shape: @escaping @Sendable (Owner) -> [Int]
  ) {
    self.name = name
    self.path = path
    shapes = { [ParameterShape(name: name, shape: shape($0), hasSparseRows: hasSparseRows)] }
    list = nil
    read = { owner, body in owner[keyPath: path].withUnsafeBufferPointer(body) }
    update = { owner, body in owner[keyPath: path].withUnsafeMutableBufferPointer { body($0) } }
  }
}

extension ParameterShape {
  func named(after part: String) -> ParameterShape {
    ParameterShape(name: part.isEmpty ? name : "\(part).\(name)", shape: shape, hasSparseRows: hasSparseRows)
  }
}

extension Composite {
  public var parameterShapes: [ParameterShape] { Self.parts.flatMap { $0.shapes(self) } }

  /// The parts of the list that have parameters of their own.
  ///
  /// - Throws: `RecurrentError` if the list lacks a property that has parameters, or a parameter has another count than
  ///   its shape says.
  public func placedParts() throws(RecurrentError) -> [PlacedPart] {
    try checkParts()
    var offset = 0, placed: [PlacedPart] = []
    for part in Self.parts {
      if let list = try part.list?(self) {
        placed.append(PlacedPart(name: part.name, path: part.path, list: list, offset: offset))
        offset += list.count
      } else {
        offset += part.shapes(self).reduce(0) { $0 + $1.count }
      }
    }
    return placed
  }

  public func readParameters(_ body: (UnsafeBufferPointer<Float>) -> Void) {
    for part in Self.parts { part.read(self, body) }
  }
  public mutating func updateParameters(_ body: (UnsafeMutableBufferPointer<Float>) -> Void) {
    for part in Self.parts { part.update(&self, body) }
  }

  /// - Throws: `RecurrentError.value` if the list lacks a property that has parameters, or a parameter has another
  ///   count than its shape says.
  private func checkParts() throws(RecurrentError) {
    let owners = Mirror(reflecting: self).children.filter {
      ($0.value as? any Parameterized).map { $0.parameterCount > 0 } ?? false
    }
    let listed = Self.parts.filter { $0.list != nil && !$0.shapes(self).isEmpty }
    guard owners.count <= listed.count else {
      throw .value(
        name: "the list of parts of \(Self.self)", was: "\(listed.map(\.name))",
        expected: "a line for each property with parameters: \(owners.compactMap(\.label))")
    }
    for part in Self.parts where part.list == nil {
      var count = 0
      part.read(self) { count += $0.count }
      let shape = part.shapes(self)[0]
      try checkCount(shape.name, count, is: shape.count, "\(shape.shape)")
    }
  }
}
