import Foundation
import ToolSupport

/// A value of a table or of a setting.
enum Value: Encodable {
  case text(String)
  case integer(Int)
  case number(Double)
  /// Nothing was measured.
  case missing

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .text(let text): try container.encode(text)
    case .integer(let number): try container.encode(number)
    // JSON has no infinity and no NaN.
    case .number(let number) where number.isFinite: try container.encode(number)
    case .number, .missing: try container.encodeNil()
    }
  }
}

extension Value: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral {
  init(stringLiteral text: String) { self = .text(text) }
  init(integerLiteral number: Int) { self = .integer(number) }
  init(floatLiteral number: Double) { self = .number(number) }
}

/// A table that is printed with aligned columns and kept for the JSON file.
struct Table: Encodable {
  struct Column: Encodable {
    let name: String
    /// The digits behind the point of its numbers.
    let decimals: Int
    /// At least so many characters: what a row that is printed before later ones must leave room for.
    let width: Int

    init(_ name: String, decimals: Int = 0, width: Int = 0) {
      self.name = name
      self.decimals = decimals
      self.width = max(width, name.count)
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      try container.encode(name)
    }

    func text(of value: Value) -> String {
      switch value {
      case .text(let text): text
      case .integer(let number): "\(number)"
      case .number(let number): String(format: "%.\(decimals)f", number)
      case .missing: "-"
      }
    }
  }

  let name: String
  let columns: [Column]
  private(set) var rows: [[Value]] = []

  /// - Parameter name: unique in the experiment, for the JSON file.
  init(_ name: String, _ columns: [Column]) {
    self.name = name
    self.columns = columns
  }

  /// Adds a row, with one value for each column.
  mutating func add(_ row: [Value]) {
    precondition(row.count == columns.count)
    rows.append(row)
  }

  /// The columns' names, then a line for each row.
  var lines: [String] {
    let texts = rows.map { row in zip(columns, row).map { $0.text(of: $1) } }
    let widths = columns.indices.map { column in
      texts.reduce(columns[column].width) { max($0, $1[column].count) }
    }
    let isText = columns.indices.map { column in
      rows.contains { if case .text = $0[column] { true } else { false } }
    }
    return ([columns.map(\.name)] + texts).map { row in
      let padded = row.indices.map { row[$0].padded(widths[$0], isLeft: isText[$0]) }
      return String(padded.joined(separator: "  ").reversed().drop { $0 == " " }.reversed())
    }
  }
}

extension String {
  /// The text with spaces before or behind it.
  func padded(_ width: Int, isLeft: Bool = false) -> String {
    let spaces = String(repeating: " ", count: max(0, width - count))
    return isLeft ? self + spaces : spaces + self
  }
}
