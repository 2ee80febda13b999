import CRecurrentKernels
import Recurrent

/// The gradients of a model, or of one of its parts: `&gradients.encoder` are those of the encoder, in the same memory.
///
/// They are one flat array in the order of the parameters. Of a parameter with sparse rows, as an embedding's weight,
/// only the rows that a batch has seen take time.
@dynamicMemberLookup
public struct Gradients<Owner: Parameterized>: Sendable {
  /// The owner's parameters.
  public let list: ParameterList
  /// The part's name within the model; empty for the model itself.
  let name: String
  var storage: GradientStorage
  let offset: Int

  /// Zeros.
  ///
  /// - Throws: `RecurrentError.value` if a list of parts is not complete, or `.instructionSet` if the processor lacks
  ///   the instruction set that `RECURRENT_FORCE_ISA` names.
  public init(_ owner: Owner) throws(RecurrentError) {
    list = try ParameterList(owner)
    name = ""
    storage = GradientStorage(list, (try Processor.active).floatSet)
    offset = 0
  }

  private init(_ part: PlacedPart, of owner: Gradients<some Parameterized>, _ storage: GradientStorage) {
    list = part.list
    name = owner.name.isEmpty || part.name.isEmpty ? owner.name + part.name : "\(owner.name).\(part.name)"
    self.storage = storage
    offset = owner.offset + part.offset
  }

  /// The gradients of a part. Its storage is lent to the part and taken back, so nothing is copied.
  public subscript<P: Parameterized>(dynamicMember path: any KeyPath<Owner, P> & Sendable) -> Gradients<P> {
    get { Gradients<P>(part(path), of: self, storage) }
    _modify {
      var lent = Gradients<P>(part(path), of: self, storage.take())
      defer { storage = lent.storage }
      yield &lent
    }
  }

  /// The same for a part whose name is also that of a member of `Gradients`: `&gradients[part: \.values]`.
  public subscript<P: Parameterized>(part path: any KeyPath<Owner, P> & Sendable) -> Gradients<P> {
    get { self[dynamicMember: path] }
    _modify { yield &self[dynamicMember: path] }
  }

  /// The gradients of an element of a list of modules.
  public subscript<P: Parameterized>(index: Int) -> Gradients<P> where Owner == [P] {
    get { Gradients<P>(list.parts[index], of: self, storage) }
    _modify {
      var lent = Gradients<P>(list.parts[index], of: self, storage.take())
      defer { storage = lent.storage }
      yield &lent
    }
  }

  /// The same gradients as those of another owner with the same parameters: of what an optional part, or the case of an
  /// enum, holds.
  subscript<P: Parameterized>(as type: P.Type) -> Gradients<P> {
    get { Gradients<P>(PlacedPart(name: "", path: \Owner.self, list: list, offset: 0), of: self, storage) }
    _modify {
      var lent = Gradients<P>(
        PlacedPart(name: "", path: \Owner.self, list: list, offset: 0), of: self, storage.take())
      defer { storage = lent.storage }
      yield &lent
    }
  }

  private func part(_ path: AnyKeyPath) -> PlacedPart {
    for part in list.parts where part.path as AnyKeyPath == path { return part }
    preconditionFailure("\(path) is not a part of \(Owner.self): add it to its list of parts")
  }

  /// The values, in the order of the parameters. In rows of a parameter with sparse rows that were not seen, they are
  /// zero.
  public var values: ArraySlice<Float> { storage.values[range] }

  private var range: Range<Int> { offset..<offset + list.count }

  /// Changes the values in place. `markRows` must say which rows of a parameter with sparse rows were changed.
  public mutating func withMutableValues<Result, Failure: Error>(
    _ body: (UnsafeMutableBufferPointer<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let range = range
    return try storage.values.withUnsafeMutableBufferPointer { all throws(Failure) in
      try body(UnsafeMutableBufferPointer(rebasing: all[range]))
    }
  }

  /// Says that rows of a parameter with sparse rows get gradients.
  ///
  /// - Parameter parameter: the number of the parameter in `list`.
  /// - Throws: `RecurrentError.size` if the parameter or a row does not exist. Nothing is marked then.
  public mutating func markRows(_ rows: [Int], ofParameter parameter: Int = 0) throws(RecurrentError) {
    guard list.ranges.indices.contains(parameter) else {
      throw .size(name: "parameter", was: parameter, expected: "0 to \(list.ranges.count - 1)")
    }
    let start = offset + list.ranges[parameter].lowerBound
    guard let index = storage.sparse.firstIndex(where: { $0.range.lowerBound == start }) else { return }
    let count = storage.sparse[index].rowCount
    for row in rows where row < 0 || row >= count {
      throw .size(name: "row of \(list.shapes[parameter].name)", was: row, expected: "0 to \(count - 1)")
    }
    storage.sparse[index].mark(rows)
  }

  /// Makes all values zero.
  public mutating func clear() {
    storage.forEachPiece(in: range) { $0.update(repeating: 0) }
    storage.forgetRows(in: range)
  }

  /// Multiplies all values by a factor.
  public mutating func scale(by factor: Float) {
    storage.forEachPiece(in: range) { values in for index in values.indices { values[index] *= factor } }
  }

  /// A bit for each row of the parameters with sparse rows, in words that begin anew at each parameter. The bits say
  /// which rows have gradients.
  var rowWords: [UInt64] {
    get { storage.sparse.filter { $0.isIn(range) }.flatMap(\.bits) }
    set {
      var start = 0
      for index in storage.sparse.indices where storage.sparse[index].isIn(range) {
        let end = start + storage.sparse[index].bits.count
        storage.sparse[index].bits = Array(newValue[start..<end])
        start = end
      }
    }
  }

  /// Calls `body` with all values that may not be zero, piece by piece.
  mutating func forEachPiece(_ body: (UnsafeMutableBufferPointer<Float>) -> Void) {
    storage.forEachPiece(in: range, body)
  }

  /// Adds the gradients of another part of a batch, for the same model.
  ///
  /// - Throws: `RecurrentError` if they are those of another model. Nothing has changed then.
  public mutating func add(_ other: Gradients) throws(RecurrentError) {
    try checkCount("gradients", other.list.count, is: list.count, "the model's parameters")
    if list !== other.list {
      for (shape, own) in zip(other.list.shapes, list.shapes) where shape != own {
        throw .shape(name: "gradients", was: shape.description, expected: "\(own.description), as in the model")
      }
      try checkCount("gradients' parameters", other.list.shapes.count, is: list.shapes.count, "the model's parameters")
    }
    let distance = offset - other.offset
    storage.mark(other.storage.sparse, in: other.range, movedBy: distance)
    storage.values.withUnsafeMutableBufferPointer { sum in
      other.storage.forEachPieceRead(in: other.range) { part, start in
        for index in part.indices { sum[start + distance + index] += part[index] }
      }
    }
  }

  /// √Σ g² over all parameters, in double precision.
  public var totalNorm: Double {
    var sum = 0.0
    storage.forEachPieceRead(in: range) { values, _ in
      if let start = values.baseAddress { add_squares(storage.set, start, values.count, &sum) }
    }
    return sum.squareRoot()
  }

  /// The parameter with the largest gradient, by absolute value. A NaN counts as the largest.
  public var largest: (parameter: String, value: Float) {
    var best = (at: offset, value: Float(0))
    storage.forEachPieceRead(in: range) { values, start in
      for (index, value) in values.enumerated() where !(abs(value) <= abs(best.value)) {
        if !best.value.isNaN { best = (start + index, value) }
      }
    }
    let owner = list.ranges.firstIndex { $0.contains(best.at - offset) } ?? 0
    return (list.shapes.isEmpty ? "" : list.shapes[owner].name, best.value)
  }
}

/// Runs something for a part of a model, whose name an error says.
func inPart<Result>(
  _ name: String, _ body: () throws(RecurrentError) -> Result
) throws(RecurrentError) -> Result {
  do throws(RecurrentError) { return try body() } catch {
    if name.isEmpty { throw error }
    throw .part(name, error)
  }
}
