import Recurrent
import RecurrentFiles

/// A table of comma-separated values, as RFC 4180 describes them: a field may be in quotes and then contain separators,
/// line breaks and doubled quotes. Lines end with LF or CRLF; the last one need not end.
///
/// ```swift
/// let table = try CSVTable(contentsOf: "airline-passengers.csv")
/// let passengers = try table.numbers("Passengers")  // [Float]
/// ```
public struct CSVTable: Sendable, Equatable {
  /// A column by its name in the header, or by its number, which starts from 0. Literals of both kinds are columns.
  public enum Column: Sendable, Equatable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
    /// Its name in the header.
    case name(String)
    /// Its number, from 0.
    case index(Int)

    /// A name.
    public init(stringLiteral name: String) { self = .name(name) }

    /// A number, from 0.
    public init(integerLiteral index: Int) { self = .index(index) }
  }

  /// What errors call the table: the file's path.
  public let name: String
  /// The names of the columns; empty if the table has no header.
  public let header: [String]
  /// The number of columns.
  public let columnCount: Int
  /// The number of rows without the header.
  public let rowCount: Int
  /// Whether the file was not UTF-8 and was read as Latin-1.
  public let isLatin1: Bool
  /// [rowCount, columnCount]
  private let fields: ArraySlice<String>
  /// [rowCount]
  private let lines: ArraySlice<Int>

  /// Reads a file in UTF-8, with or without a byte order mark, or else in Latin-1.
  ///
  /// - Parameters:
  ///   - path: a plain file.
  ///   - hasHeader: whether the first row has the columns' names.
  ///   - separator: between two fields: one ASCII character, such as `;` or a tab.
  /// - Throws: `RecurrentError` that names the file. If a row is wrong, it names the line in which the row begins. All
  ///   rows must have the same number of fields.
  public init(
    contentsOf path: some FilePathConvertible, hasHeader: Bool = true, separator: Character = ","
  ) throws(RecurrentError) {
    let path = DataPath(path), (text, isLatin1) = try path.readText()
    try self.init(text, name: path.description, hasHeader: hasHeader, separator: separator, isLatin1: isLatin1)
  }

  /// Reads a text.
  ///
  /// - Parameters:
  ///   - text: the rows.
  ///   - name: what errors call the table.
  ///   - hasHeader: whether the first row has the columns' names.
  ///   - separator: between two fields: one ASCII character.
  /// - Throws: `RecurrentError` as for a file.
  public init(
    _ text: String, name: String = "the table", hasHeader: Bool = true, separator: Character = ","
  ) throws(RecurrentError) {
    let scalars = text.unicodeScalars
    try self.init(
      scalars.first == "\u{feff}" ? String(scalars.dropFirst()) : text, name: name, hasHeader: hasHeader,
      separator: separator, isLatin1: false)
  }

  private init(
    _ text: String, name: String, hasHeader: Bool, separator: Character, isLatin1: Bool
  ) throws(RecurrentError) {
    guard let byte = separator.asciiValue, !separator.isNewline, separator != "\"" else {
      throw .value(name: "separator", was: quoted("\(separator)"), expected: "an ASCII character but quote, CR and LF")
    }
    var parser = CSVParser(text, separator: byte, name: name)
    try parser.parse()
    guard !parser.lines.isEmpty else { throw .value(name: name, was: "empty", expected: "rows of fields") }
    self.name = name
    self.isLatin1 = isLatin1
    columnCount = parser.width
    header = hasHeader ? Array(parser.fields.prefix(columnCount)) : []
    fields = parser.fields.dropFirst(header.count)
    lines = parser.lines.dropFirst(hasHeader ? 1 : 0)
    rowCount = lines.count
  }

  // MARK: - Access

  /// A field. The row and the column must exist; the header is not a row.
  public subscript(row: Int, column: Int) -> String {
    precondition((0..<rowCount).contains(row) && (0..<columnCount).contains(column))
    return fields[fields.startIndex + row * columnCount + column]
  }

  /// The line of the file in which a row begins, from 1. The row must exist; the header is not a row.
  public func line(ofRow row: Int) -> Int {
    precondition((0..<rowCount).contains(row))
    return lines[lines.startIndex + row]
  }

  /// The number of a column, from 0.
  ///
  /// - Throws: `RecurrentError` if there is no such column, or if several have this name.
  public func index(of column: Column) throws(RecurrentError) -> Int {
    switch column {
    case .index(let index):
      guard (0..<columnCount).contains(index) else {
        throw .value(name: "column number of \(name)", was: "\(index)", expected: "0 to \(columnCount - 1)")
      }
      return index
    case .name(let name):
      guard let first = header.firstIndex(of: name), let last = header.lastIndex(of: name) else {
        guard !header.isEmpty else {
          throw .value(
            name: "column of \(self.name)", was: quoted(name), expected: "a number: the table has no header")
        }
        throw .name(name, kind: "\(self.name): column", known: header)
      }
      guard first == last else {
        throw .value(
          name: "column \(quoted(name)) of \(self.name)", was: "there twice, with the numbers \(first) and \(last)",
          expected: "one column of this name, or a number")
      }
      return first
    }
  }

  /// [rowCount]: the fields of a column.
  ///
  /// - Throws: `RecurrentError` if there is no such column.
  public func strings(_ column: Column) throws(RecurrentError) -> [String] {
    let index = try index(of: column)
    return (0..<rowCount).map { self[$0, index] }
  }

  /// [rowCount]: the numbers of a column, in decimal digits. Spaces around a number are ignored.
  ///
  /// - Parameters:
  ///   - column: its name or its number.
  ///   - type: `Float` or `Double`.
  /// - Throws: `RecurrentError` if there is no such column. If a field is empty or is not a finite number, the error
  ///   names the line, the column and the text.
  public func numbers<Scalar: BinaryFloatingPoint & LosslessStringConvertible>(
    _ column: Column, as type: Scalar.Type = Float.self
  ) throws(RecurrentError) -> [Scalar] {
    let index = try index(of: column)
    var numbers: [Scalar] = []
    numbers.reserveCapacity(rowCount)
    for row in 0..<rowCount {
      let field = self[row, index]
      var digits = field.utf8[...]
      while digits.first == UInt8(ascii: " ") { digits.removeFirst() }
      while digits.last == UInt8(ascii: " ") { digits.removeLast() }
      guard let number = CSVTable.number(digits, as: type) else {
        throw .value(
          name: "line \(line(ofRow: row)), column \(label(index)) of \(name)",
          was: digits.isEmpty ? "empty" : quoted(field), expected: "a finite number")
      }
      numbers.append(number)
    }
    return numbers
  }

  /// A finite number in decimal digits. Swift would also read hexadecimal digits, and names of infinity and NaN.
  private static func number<Scalar: BinaryFloatingPoint & LosslessStringConvertible>(
    _ digits: Substring.UTF8View, as type: Scalar.Type
  ) -> Scalar? {
    let isDecimal = digits.allSatisfy {
      switch $0 {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "e"), UInt8(ascii: "E"):
        true
      default: false
      }
    }
    guard isDecimal, let number = Scalar(String(decoding: digits, as: UTF8.self)), number.isFinite else { return nil }
    return number
  }

  /// A column for a message.
  func label(_ column: Int) -> String { header.isEmpty ? "\(column) (from 0)" : quoted(header[column]) }
}
