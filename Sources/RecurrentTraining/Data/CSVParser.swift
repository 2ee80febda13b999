import Recurrent

/// Reads the rows of RFC 4180.
struct CSVParser {
  private let bytes: [UInt8]
  private let separator: UInt8
  private let name: String
  private var index = 0
  private var line = 1
  /// The fields of all rows, one row after the other.
  private(set) var fields: [String] = []
  /// The line in which each row begins. The first one is 1.
  private(set) var lines: [Int] = []
  /// The number of fields of each row.
  private(set) var width = 0

  private static let quote = UInt8(ascii: "\""), lineFeed = UInt8(ascii: "\n"), carriageReturn = UInt8(ascii: "\r")

  /// - Parameters:
  ///   - text: its byte order mark, if it has one, has been removed.
  ///   - separator: between two fields.
  ///   - name: what errors call the text.
  init(_ text: String, separator: UInt8, name: String) {
    bytes = Array(text.utf8)
    self.separator = separator
    self.name = name
  }

  /// - Throws: `RecurrentError.value` that names the line in which a wrong row begins.
  mutating func parse() throws(RecurrentError) {
    while index < bytes.count {
      let begin = line, firstField = fields.count, isBlank = isAtLineBreak
      lines.append(begin)
      try parseField(begin)
      while index < bytes.count, bytes[index] == separator {
        index += 1
        try parseField(begin)
      }
      try parseLineBreak(begin)
      let count = fields.count - firstField
      if lines.count == 1 { width = count }
      guard count == width else {
        throw wrong(
          begin, isBlank ? "blank" : "a row of \(count) \(count == 1 ? "field" : "fields")",
          "\(width) \(width == 1 ? "field" : "fields"), as in the first row")
      }
    }
  }

  private var isAtLineBreak: Bool {
    index < bytes.count
      && (bytes[index] == CSVParser.lineFeed || bytes[index] == CSVParser.carriageReturn)
  }

  private func wrong(_ line: Int, _ was: String, _ expected: String) -> RecurrentError {
    .value(name: "line \(line) of \(name)", was: was, expected: expected)
  }

  /// After a field: its row goes on, or ends with LF, CRLF or the text.
  private mutating func parseLineBreak(_ begin: Int) throws(RecurrentError) {
    guard index < bytes.count else { return }
    if bytes[index] == CSVParser.carriageReturn {
      guard index + 1 < bytes.count, bytes[index + 1] == CSVParser.lineFeed else {
        throw wrong(begin, "a row with a bare carriage return", "CRLF or LF at its end, or a field in quotes")
      }
      index += 1
    }
    index += 1
    line += 1
  }

  private mutating func parseField(_ begin: Int) throws(RecurrentError) {
    if index < bytes.count, bytes[index] == CSVParser.quote { return try parseQuotedField(begin) }
    let first = index
    while index < bytes.count {
      let byte = bytes[index]
      if byte == separator || byte == CSVParser.lineFeed || byte == CSVParser.carriageReturn { break }
      guard byte != CSVParser.quote else {
        throw wrong(begin, "a row with a quote inside a field without quotes", "the whole field in quotes")
      }
      index += 1
    }
    fields.append(String(decoding: bytes[first..<index], as: UTF8.self))
  }

  private mutating func parseQuotedField(_ begin: Int) throws(RecurrentError) {
    var field: [UInt8] = []
    index += 1
    var first = index
    while true {
      guard index < bytes.count else { throw wrong(begin, "a row with a quote that is not closed", "a closing quote") }
      let byte = bytes[index]
      index += 1
      if byte == CSVParser.lineFeed { line += 1 }
      guard byte == CSVParser.quote else { continue }
      field += bytes[first..<index - 1]
      guard index < bytes.count, bytes[index] == CSVParser.quote else { break }
      // Two quotes are one. The second one is copied with what follows.
      first = index
      index += 1
    }
    guard index == bytes.count || bytes[index] == separator || isAtLineBreak else {
      throw wrong(begin, "a row with text behind a closing quote", "a separator or the row's end")
    }
    fields.append(String(decoding: field, as: UTF8.self))
  }
}
