import Recurrent

/// The names, shapes and ranges of all parameters of an owner. It is made once, and all its gradients share it.
public final class ParameterList: Sendable {
  /// In the order of the values.
  public let shapes: [ParameterShape]
  /// Where each parameter's values are in a flat array of all values.
  public let ranges: [Range<Int>]
  /// The number of all values.
  public let count: Int
  let parts: [PlacedPart]

  /// - Throws: `RecurrentError.value` if a property with parameters is not in its model's list of parts, since it would
  ///   never be trained, or if two parameters have one name.
  public convenience init(_ owner: some Parameterized) throws(RecurrentError) {
    let shapes = owner.parameterShapes
    var names: Set<String> = []
    for shape in shapes where !names.insert(shape.name).inserted {
      throw .value(name: "parameter '\(shape.name)'", was: "listed twice", expected: "a name of its own")
    }
    self.init(shapes: shapes, parts: try owner.placedParts())
  }

  /// The list of an owner whose parameters can be read by it.
  ///
  /// - Throws: `RecurrentError.count` if the owner has more or fewer values than its shapes say, because a property was
  ///   set to an array of another count; and as the other initializer does.
  convenience init(checking owner: some Parameterized) throws(RecurrentError) {
    try self.init(owner)
    try checkCount("the model", owner.parameterCount, is: count, "the sum of its shapes")
  }

  init(shapes: [ParameterShape], parts: [PlacedPart] = []) {
    self.shapes = shapes
    self.parts = parts
    var end = 0
    ranges = shapes.map { shape in
      defer { end += shape.count }
      return end..<end + shape.count
    }
    count = end
  }
}

/// Where the gradients of a part lie in those of its owner.
public struct PlacedPart: Sendable {
  let name: String
  let path: any AnyKeyPath & Sendable
  let list: ParameterList
  let offset: Int
}
