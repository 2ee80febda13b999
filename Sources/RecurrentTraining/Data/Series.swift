import Recurrent

/// Values of one or several quantities over time.
public struct Series: Sendable, Equatable {
  /// [C]: what each column is called.
  public let names: [String]
  /// [T,C]
  public let values: [Float]
  /// T: the number of time steps.
  public let steps: Int

  /// C: the number of columns.
  public var size: Int { names.count }

  /// - Parameters:
  ///   - values: [T,C], all finite.
  ///   - names: what each column is called: one name for each.
  /// - Throws: `RecurrentError` if there are no values, their count is not a multiple of the names' count, or one is
  ///   infinite or NaN.
  public init(_ values: [Float], names: [String] = ["value"]) throws(RecurrentError) {
    guard !names.isEmpty else { throw .size(name: "names", was: 0, expected: "at least 1") }
    steps = values.count / names.count
    guard steps >= 1 else { throw .size(name: "steps", was: 0, expected: "at least 1") }
    try checkCount("values", values.count, is: steps * names.count, "steps·names")
    if let index = values.firstIndex(where: { !$0.isFinite }) {
      throw .value(
        name: "step \(index / names.count), column \(quoted(names[index % names.count])) of the series",
        was: "\(values[index])", expected: "a finite number")
    }
    self.names = names
    self.values = values
  }

  /// Takes columns of a table, whose rows are the time steps.
  ///
  /// - Parameters:
  ///   - table: such as `try CSVTable(contentsOf: path)`.
  ///   - columns: names or numbers.
  /// - Throws: `RecurrentError` if there is no such column or no row. If a field is empty or is not a finite number,
  ///   the error names the line.
  public init(_ table: CSVTable, columns: [CSVTable.Column]) throws(RecurrentError) {
    guard table.rowCount >= 1 else {
      throw .value(name: table.name, was: "without rows under its header", expected: "a row for each time step")
    }
    guard !columns.isEmpty else { throw .size(name: "columns", was: 0, expected: "at least 1") }
    var values = Array(repeating: Float(0), count: table.rowCount * columns.count)
    var names: [String] = []
    for (place, column) in columns.enumerated() {
      let index = try table.index(of: column)
      names.append(table.header.isEmpty ? "\(index)" : table.header[index])
      for (step, number) in try table.numbers(column, as: Float.self).enumerated() {
        values[step * columns.count + place] = number
      }
    }
    try self.init(values, names: names)
  }

  /// A value. The step and the column must exist.
  public subscript(step: Int, column: Int) -> Float {
    precondition((0..<steps).contains(step) && (0..<size).contains(column))
    return values[step * size + column]
  }

  /// Divides the series in time.
  ///
  /// - Parameter count: the number of the last steps, which are for testing: 1 up to less than all.
  /// - Throws: `RecurrentError.size` if one of the parts would be empty.
  public func split(last count: Int) throws(RecurrentError) -> (training: Series, test: Series) {
    guard count >= 1, count < steps else {
      throw .size(name: "last", was: count, expected: "1 to \(steps - 1), of a series of \(steps) steps")
    }
    let cut = (steps - count) * size
    return (try Series(Array(values[..<cut]), names: names), try Series(Array(values[cut...]), names: names))
  }
}
