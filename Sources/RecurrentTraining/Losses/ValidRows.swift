import Recurrent

/// Which rows of a batch are valid: the steps of each sequence before its length. Row t·N + n is step t of sequence n.
struct ValidRows {
  let steps: Int
  let batchSize: Int
  let lengths: [Int]?
  /// The number of valid rows.
  let count: Int

  /// - Parameter lengths: [N]; nil means those of y.
  /// - Throws: `RecurrentError` if a length is wrong, or if no row is valid: there is no mean over nothing.
  init(_ y: Sequences<Float>, lengths: [Int]?) throws(RecurrentError) {
    (steps, batchSize) = (y.steps, y.batchSize)
    if let lengths {
      try checkLengths(lengths.span, steps: steps, batchSize: batchSize)
      if let own = y.lengths, own != lengths {
        throw .value(name: "lengths", was: "\(lengths)", expected: "those of the outputs = \(own), or nil")
      }
    }
    self.lengths = lengths ?? y.lengths
    guard let lengths = self.lengths else {
      count = steps * batchSize
      return
    }
    count = lengths.reduce(0, +)
    guard count > 0 else { throw .size(name: "the longest of the lengths", was: 0, expected: "at least 1 valid step") }
  }

  /// Calls `body` with neighboring rows that are all valid, or all not valid, in ascending order.
  func forEachRun(_ body: (_ rows: Range<Int>, _ isValid: Bool) -> Void) {
    guard let lengths else { return body(0..<steps * batchSize, true) }
    var start = 0, isValid = lengths[0] > 0
    for step in 0..<steps {
      for sequence in 0..<batchSize where (step < lengths[sequence]) != isValid {
        let row = step * batchSize + sequence
        if row > start { body(start..<row, isValid) }
        (start, isValid) = (row, !isValid)
      }
    }
    body(start..<steps * batchSize, isValid)
  }

  /// Whether every number of the valid rows passes a check.
  ///
  /// - Returns: the first position in `values` [rows, size] that does not.
  func first<Value>(in values: [Value], size: Int, where isWrong: (Value) -> Bool) -> Int? {
    var first: Int?
    values.withUnsafeBufferPointer { values in
      forEachRun { rows, isValid in
        guard isValid, first == nil else { return }
        for index in rows.lowerBound * size..<rows.upperBound * size where isWrong(values[index]) {
          first = index
          return
        }
      }
    }
    return first
  }

  /// "step 3 of sequence 1"
  func place(_ row: Int) -> String { "step \(row / batchSize) of sequence \(row % batchSize)" }

  /// Whether there is a class from 0 to C - 1 for each row, of those that are valid.
  ///
  /// - Parameter targets: [T,N]
  /// - Throws: `RecurrentError` that names the row of the first target that is no class, or the count.
  func checkClasses(_ targets: [Int], count classes: Int) throws(RecurrentError) {
    try checkCount("targets", targets.count, is: steps * batchSize, "\(steps)·\(batchSize)")
    if let row = first(in: targets, size: 1, where: { $0 < 0 || $0 >= classes }) {
      throw .size(name: "target of \(place(row))", was: targets[row], expected: "0 to \(classes - 1)")
    }
  }

  /// Whether there is a number in a range for each feature of each row, of those that are valid.
  ///
  /// - Parameters:
  ///   - targets: [T,N,size]
  ///   - expected: the range, in errors.
  /// - Throws: `RecurrentError` that names the row of the first target that is not right, or the count.
  func checkNumbers(
    _ targets: [Float], size: Int, _ isRight: (Float) -> Bool, expected: String
  ) throws(RecurrentError) {
    try checkCount("targets", targets.count, is: steps * batchSize * size, "\(steps)·\(batchSize)·\(size)")
    if let index = first(in: targets, size: size, where: { !isRight($0) }) {
      throw .number("the target of \(place(index / size))", targets[index], expected: expected)
    }
  }

  /// - Throws: `RecurrentError` that names the first row of the gradients with a number that is not finite, if the loss
  ///   is not finite.
  func checkFinite(_ loss: Double, _ gradients: Sequences<Float>) throws(RecurrentError) {
    guard !loss.isFinite else { return }
    let index = first(in: gradients.values, size: gradients.size) { !$0.isFinite }
    let row = index.map { " at \(place($0 / gradients.size))" } ?? ""
    throw .number(RecurrentError.loss + row, loss, expected: "a finite number")
  }
}

extension RecurrentError {
  /// How the name of a loss begins in errors.
  fileprivate static let loss = "the loss"

  /// Whether this error says that a loss is not finite.
  package var isOfLoss: Bool {
    if case .value(let name, _, _) = self { name.hasPrefix(RecurrentError.loss) } else { false }
  }
}

/// Weights of the classes or features of a loss.
///
/// - Throws: `RecurrentError` if there is one that is not 0 or more and finite, or if their count is not that of the
///   outputs.
func checkWeights(_ name: String, _ weights: [Float]?, size: Int) throws(RecurrentError) {
  guard let weights else { return }
  try checkCount(name, weights.count, is: size, "the size of y")
  for (index, weight) in weights.enumerated() {
    try checkNumber("\(name)[\(index)]", weight, weight >= 0 && weight.isFinite, "0 or more")
  }
}
