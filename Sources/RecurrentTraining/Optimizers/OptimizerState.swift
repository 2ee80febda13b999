import Recurrent

/// What an optimizer remembers from update to update: how many there were, and arrays that run parallel to a model's
/// parameters, all of them in one array each. Checkpoints keep it.
public struct OptimizerState: Sendable, Equatable {
  /// The number of updates so far.
  public var updates = 0
  /// The names of the arrays.
  public let names: [String]
  /// One array for each name: of every parameter's value, or empty before the first update that uses it.
  var values: [[Float]]

  /// No updates yet.
  init(_ names: String...) {
    self.names = names
    values = Array(repeating: [], count: names.count)
  }

  /// The values of an array; none if there is no array of that name, as in the state of another kind of optimizer.
  func array(_ name: String) -> [Float] { names.firstIndex(of: name).map { values[$0] } ?? [] }

  /// - Throws: `RecurrentError.value` if the state is that of another kind of optimizer.
  func check(names expected: String...) throws(RecurrentError) {
    guard names == expected else {
      throw .value(name: "the arrays of the optimizer's state", was: "\(names)", expected: "\(expected)")
    }
  }

  /// The arrays that are in use, by their names.
  public var arrays: [(name: String, values: [Float])] {
    zip(names, values).filter { !$1.isEmpty }.map { ($0, $1) }
  }

  /// Takes the place in a training of a checkpoint.
  ///
  /// - Parameters:
  ///   - updates: the number of updates.
  ///   - arrays: what `arrays` gave.
  /// - Throws: `RecurrentError` if a name does not exist or is there twice, if the arrays differ in count, if a number
  ///   in them is not finite, or if a mean of squares is negative; nothing has changed then.
  public mutating func restore(updates: Int, arrays: [(name: String, values: [Float])]) throws(RecurrentError) {
    try checkUpdates(updates)
    var restored: [[Float]] = Array(repeating: [], count: names.count)
    for (name, values) in arrays {
      guard let index = names.firstIndex(of: name) else {
        throw .name(name, kind: "array of the optimizer", known: names)
      }
      guard restored[index].isEmpty else {
        throw .value(name: "array '\(name)' of the optimizer", was: "there twice", expected: "once")
      }
      try checkCount("array '\(name)' of the optimizer", values.count, is: arrays[0].values.count, arrays[0].name)
      let isSquares = name == "second"
      for (index, value) in values.enumerated() where !value.isFinite || isSquares && value < 0 {
        throw .number(
          "\(name)[\(index)] of the optimizer", value, expected: isSquares ? "0 or more" : "a finite number")
      }
      restored[index] = values
    }
    self.updates = updates
    values = restored
  }

  /// Calls `body` with the memory of up to three arrays, which is nil for those that are empty.
  mutating func withPointers(
    _ body: (
      (UnsafeMutablePointer<Float>?, UnsafeMutablePointer<Float>?, UnsafeMutablePointer<Float>?)
    ) throws(RecurrentError) -> Void
  ) throws(RecurrentError) {
    func pointer(_ values: UnsafeMutableBufferPointer<Float>) -> UnsafeMutablePointer<Float>? {
      values.isEmpty ? nil : values.baseAddress
    }
    var arrays = (
      first: values.first ?? [], second: values.dropFirst().first ?? [], third: values.dropFirst(2).first ?? []
    )
    let count = values.count
    // Nobody else holds the arrays now, so they change in place and are not copied.
    values = []
    defer { values = Array([arrays.first, arrays.second, arrays.third].prefix(count)) }
    try arrays.first.withUnsafeMutableBufferPointer { first throws(RecurrentError) in
      try arrays.second.withUnsafeMutableBufferPointer { second throws(RecurrentError) in
        try arrays.third.withUnsafeMutableBufferPointer { third throws(RecurrentError) in
          try body((pointer(first), pointer(second), pointer(third)))
        }
      }
    }
  }
}
