import Recurrent

/// What has parameters that can be trained: a layer, a head, a whole model.
///
/// The values stay where their owner keeps them. Everything else that training needs for each of them (gradients,
/// moments) is one flat array in the same order, so that an optimizer or an exchange between machines does not depend
/// on the model. A model conforms by `Composite`, which asks only for a list of its parts.
public protocol Parameterized: Sendable {
  /// The parameters' names and shapes, in a fixed order. A name is unique within its owner.
  var parameterShapes: [ParameterShape] { get }
  /// The parts with parameters of their own, whose gradients can be lent to them; none of an owner without parts.
  ///
  /// - Throws: `RecurrentError.value` if a list of parts is not complete.
  func placedParts() throws(RecurrentError) -> [PlacedPart]
  /// Calls `body` with all values, piece by piece, in the order of `parameterShapes`. A parameter with sparse rows is a
  /// piece by itself.
  func readParameters(_ body: (UnsafeBufferPointer<Float>) -> Void)
  /// The same, and the values can be changed. Nothing is copied if nobody else holds a copy of the owner.
  mutating func updateParameters(_ body: (UnsafeMutableBufferPointer<Float>) -> Void)
}

/// The name and the shape of a parameter.
public struct ParameterShape: Sendable, Equatable {
  /// The name in checkpoints: the parts' names with dots between them, as in PyTorch.
  public var name: String
  /// The rightmost dimension is contiguous.
  public var shape: [Int]
  /// Whether a batch gives gradients to few of its rows, as to those of an embedding.
  public var hasSparseRows: Bool

  /// Each parameter is explained at its property.
  public init(name: String, shape: [Int], hasSparseRows: Bool = false) {
    self.name = name
    self.shape = shape
    self.hasSparseRows = hasSparseRows
  }

  /// The number of values.
  public var count: Int { shape.reduce(1, *) }

  /// "weight [4, 3]", for messages.
  var description: String { "\(name) \(shape)\(hasSparseRows ? " with sparse rows" : "")" }
}

extension Parameterized {
  /// No parts.
  public func placedParts() throws(RecurrentError) -> [PlacedPart] { [] }

  /// The number of values to learn.
  public var parameterCount: Int {
    var count = 0
    readParameters { count += $0.count }
    return count
  }

  /// Every parameter with its values, for a checkpoint.
  public func namedParameters() -> [(name: String, shape: [Int], values: [Float])] {
    var values: [Float] = []
    readParameters { values.append(contentsOf: $0) }
    let list = ParameterList(shapes: parameterShapes)
    return zip(list.shapes, list.ranges).map { ($0.name, $0.shape, Array(values[$1])) }
  }

  /// Sets every parameter, by its name.
  ///
  /// - Throws: `RecurrentError` if a name is missing or unknown, or a count is wrong. Nothing has changed then.
  public mutating func setParameters(_ named: [String: [Float]]) throws(RecurrentError) {
    let shapes = parameterShapes
    var all: [Float] = []
    for shape in shapes {
      guard let values = named[shape.name] else {
        throw .name(shape.name, kind: "parameter", known: named.keys.sorted())
      }
      try checkCount(shape.name, values.count, is: shape.count, "\(shape.shape)")
      all += values
    }
    if let unknown = named.keys.first(where: { name in !shapes.contains { $0.name == name } }) {
      throw .name(unknown, kind: "parameter of the model", known: shapes.map(\.name))
    }
    var start = 0
    updateParameters { values in
      _ = values.update(fromContentsOf: all[start..<start + values.count])
      start += values.count
    }
  }
}

/// A part that a model may lack. Its parameters keep their names; nil has no parameters.
extension Optional: Parameterized where Wrapped: Parameterized {
  public var parameterShapes: [ParameterShape] { self?.parameterShapes ?? [] }
  public func placedParts() throws(RecurrentError) -> [PlacedPart] {
    guard let self else { return [] }
    return try self.placedParts()
  }
  public func readParameters(_ body: (UnsafeBufferPointer<Float>) -> Void) { self?.readParameters(body) }
  public mutating func updateParameters(_ body: (UnsafeMutableBufferPointer<Float>) -> Void) {
    self?.updateParameters(body)
  }
}

/// A list of modules, as PyTorch's `ModuleList`: their names are 0, 1 and so on.
extension Array: Parameterized where Element: Parameterized {
  public var parameterShapes: [ParameterShape] {
    indices.flatMap { index in self[index].parameterShapes.map { $0.named(after: "\(index)") } }
  }
  public func placedParts() throws(RecurrentError) -> [PlacedPart] {
    var offset = 0, parts: [PlacedPart] = []
    for index in indices {
      let list = try ParameterList(self[index])
      parts.append(PlacedPart(name: "\(index)", path: \[Element].[index], list: list, offset: offset))
      offset += list.count
    }
    return parts
  }
  public func readParameters(_ body: (UnsafeBufferPointer<Float>) -> Void) {
    for element in self { element.readParameters(body) }
  }
  public mutating func updateParameters(_ body: (UnsafeMutableBufferPointer<Float>) -> Void) {
    for index in indices { self[index].updateParameters(body) }
  }
}
