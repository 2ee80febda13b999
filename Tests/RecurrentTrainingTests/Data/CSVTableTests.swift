import Foundation
import Recurrent
import RecurrentFiles
import RecurrentTraining
import Testing

@Suite struct CSVTableTests {
  private static func rows(_ table: CSVTable) -> [[String]] {
    (0..<table.rowCount).map { row in (0..<table.columnCount).map { table[row, $0] } }
  }

  // MARK: - RFC 4180

  @Test(arguments: [
    ("a,b\r\n1,2\r\n", [["a", "b"], ["1", "2"]]), ("a,b\n1,2\n", [["a", "b"], ["1", "2"]]),
    ("a,b\n1,2", [["a", "b"], ["1", "2"]]), ("a,b\r\n1,2\n3,4", [["a", "b"], ["1", "2"], ["3", "4"]]),
    ("a", [["a"]]), ("a\n", [["a"]]), ("\n", [[""]]), ("\r\n", [[""]]), ("a\n\nb\n", [["a"], [""], ["b"]]),
    (",", [["", ""]]), (",\n", [["", ""]]), ("a,", [["a", ""]]), (",,\n1,,3\n", [["", "", ""], ["1", "", "3"]]),
    (#""a","b""#, [["a", "b"]]), (#""a",b"# + "\r\n", [["a", "b"]]), (#"a,"b""# + "\n", [["a", "b"]]),
    (#""""#, [[""]]), (#""""""#, [["\""]]), (#""""""""#, [["\"\""]]), ("\",\"", [[","]]),
    (#""he said ""no"", twice""# + ",x\n", [["he said \"no\", twice", "x"]]), (#""""a""",b"#, [["\"a\"", "b"]]),
    ("\"a\nb\",c\n", [["a\nb", "c"]]), ("\"a\r\nb\",\"\n\"\r\n", [["a\r\nb", "\n"]]), ("\"a\rb\"\n", [["a\rb"]]),
    (" a , \tb \n", [[" a ", " \tb "]]), ("é,日本,👍🏽\n", [["é", "日本", "👍🏽"]]), ("\"é\"\"日\"\n", [["é\"日"]]),
    ("\u{feff}a,b\n", [["a", "b"]]), ("\u{feff}\"a\",b\n", [["a", "b"]]), ("a;b\n", [["a;b"]]),
    ("a,\u{301}b\n", [["a", "\u{301}b"]]),
  ])
  func rowsOfRFC4180(text: String, expected: [[String]]) throws {
    #expect(CSVTableTests.rows(try CSVTable(text, hasHeader: false)) == expected)
    // A file with the same bytes is the same table.
    let folder = try TemporaryFolder(), path = try folder.write("t.csv", text)
    let table = try CSVTable(contentsOf: path, hasHeader: false)
    #expect(CSVTableTests.rows(table) == expected && !table.isLatin1 && table.name == path)
  }

  @Test(arguments: [
    ("", "t is empty, expected rows of fields"), ("\u{feff}", "t is empty, expected rows of fields"),
    ("a,b\n1\n", "line 2 of t is a row of 1 field, expected 2 fields, as in the first row"),
    ("a,b\n1,2,3\n", "line 2 of t is a row of 3 fields, expected 2 fields, as in the first row"),
    ("a\n1,2", "line 2 of t is a row of 2 fields, expected 1 field, as in the first row"),
    ("a,b\n1,2\n\n", "line 3 of t is blank, expected 2 fields, as in the first row"),
    ("\"a\r\nb\",\"c\nd\"\r\n1,2\n3\n", "line 5 of t is a row of 1 field, expected 2 fields, as in the first row"),
    ("a,b\n1,\"2\n3,4\n", "line 2 of t is a row with a quote that is not closed, expected a closing quote"),
    ("a,b\n1,\"2\"\"", "line 2 of t is a row with a quote that is not closed, expected a closing quote"),
    ("\"", "line 1 of t is a row with a quote that is not closed, expected a closing quote"),
    ("a\n\"b\n\"c\n", "line 2 of t is a row with text behind a closing quote, expected a separator or the row's end"),
    ("a,b\n\"1\" ,2\n", "line 2 of t is a row with text behind a closing quote, expected a separator or the row's end"),
    (
      "a,b\n1,2\"\n",
      "line 2 of t is a row with a quote inside a field without quotes, expected the whole field in quotes"
    ),
    (
      "a,b\n1, \"2\"",
      "line 2 of t is a row with a quote inside a field without quotes, expected the whole field in quotes"
    ),
    (
      "a\rb\n", "line 1 of t is a row with a bare carriage return, expected CRLF or LF at its end, or a field in quotes"
    ),
    (
      "a\nb\r", "line 2 of t is a row with a bare carriage return, expected CRLF or LF at its end, or a field in quotes"
    ),
    (
      "\"a\"\rb",
      "line 1 of t is a row with a bare carriage return, expected CRLF or LF at its end, or a field in quotes"
    ),
  ])
  func wrongRowsAreNamedByLine(text: String, message: String) throws {
    expectError(message) { try CSVTable(text, name: "t", hasHeader: false) }
    expectError(message) { try CSVTable(text, name: "t") }
  }

  @Test func theSeparatorIsACharacter() throws {
    #expect(CSVTableTests.rows(try CSVTable("a;b,c\n", hasHeader: false, separator: ";")) == [["a", "b,c"]])
    #expect(CSVTableTests.rows(try CSVTable("a\t\"b\tc\"\n", hasHeader: false, separator: "\t")) == [["a", "b\tc"]])
    for separator in ["\"", "\n", "\r", "\r\n", "é"] as [Character] {
      expectError("separator is '\(separator)', expected an ASCII character but quote, CR and LF") {
        try CSVTable("a", separator: separator)
      }
    }
  }

  /// Writes random fields as RFC 4180 says and reads them back.
  @Test func whatIsWrittenIsReadAgain() throws {
    var random = SeededGenerator(seed: 1)
    let pieces = ["a", "é", ",", "\"", "\n", "\r", "\r\n", " ", "\u{301}"]
    for round in 0..<500 {
      let width = Int.random(in: 1...4, using: &random)
      let rows = (0..<Int.random(in: 1...5, using: &random)).map { _ in
        (0..<width).map { _ in
          (0..<Int.random(in: 0...4, using: &random)).map { _ in pieces.randomElement(using: &random)! }.joined()
        }
      }
      var text = "", line = 1, lines: [Int] = []
      for row in rows {
        lines.append(line)
        let fields = row.map { field in
          let isPlain = !field.utf8.contains { ",\"\r\n".utf8.contains($0) } && Bool.random(using: &random)
          let doubled = field.unicodeScalars.map { $0 == "\"" ? "\"\"" : "\($0)" }.joined()
          return isPlain ? field : "\"\(doubled)\""
        }
        text += fields.joined(separator: ",") + (Bool.random(using: &random) ? "\r\n" : "\n")
        line = 1 + text.utf8.count { $0 == UInt8(ascii: "\n") }
      }
      let table = try CSVTable(text, hasHeader: false)
      // Swift's strings are equal if they look the same, so their bytes are compared.
      let read = CSVTableTests.rows(table).map { $0.map { Array($0.utf8) } }
      #expect(read == rows.map { $0.map { Array($0.utf8) } }, "round \(round): \(text.debugDescription)")
      #expect((0..<table.rowCount).map { table.line(ofRow: $0) } == lines, "round \(round)")
    }
  }

  /// Any text is a table or an error, and a table has all rows in full.
  @Test func noTextCrashes() {
    var random = SeededGenerator(seed: 2)
    var tables = 0
    for _ in 0..<20_000 {
      let bytes = (0..<Int.random(in: 0...12, using: &random)).map { _ in
        Array("a,\"\n\r".utf8).randomElement(using: &random)!
      }
      guard let table = try? CSVTable(String(decoding: bytes, as: UTF8.self)) else { continue }
      tables += 1
      #expect(CSVTableTests.rows(table).count == table.rowCount && table.header.count == table.columnCount)
    }
    #expect(tables > 1000 && tables < 19_000)
  }

  // MARK: - Columns

  private static let text = "day,\"temp, °C\",rain,day\n1,20.5,,x\n2, -3e1 ,0,y\n\"3\n\",+.5,1,z\n4,0x10,nan,w\n"

  @Test func columnsHaveNamesAndNumbers() throws {
    let table = try CSVTable(CSVTableTests.text, name: "t")
    #expect(table.header == ["day", "temp, °C", "rain", "day"] && table.rowCount == 4 && table.columnCount == 4)
    #expect((0..<4).map { table.line(ofRow: $0) } == [2, 3, 4, 6])
    #expect(try table.strings("temp, °C") == ["20.5", " -3e1 ", "+.5", "0x10"])
    #expect(try table.strings(3) == ["x", "y", "z", "w"] && table.strings(0) == ["1", "2", "3\n", "4"])
    #expect(try table.index(of: "rain") == 2 && table.index(of: 3) == 3)
    expectError("t: column 'snow' does not exist, there are: day, temp, °C, rain, day") { try table.strings("snow") }
    expectError(
      "column 'day' of t is there twice, with the numbers 0 and 3, expected one column of this name, or a number"
    ) { try table.strings("day") }
    expectError("column number of t is 4, expected 0 to 3") { try table.strings(4) }
    expectError("column number of t is -1, expected 0 to 3") { try table.numbers(-1) }

    let bare = try CSVTable("1,2\n", name: "t", hasHeader: false)
    #expect(bare.header.isEmpty && bare.rowCount == 1 && bare.line(ofRow: 0) == 1)
    expectError("column of t is 'day', expected a number: the table has no header") { try bare.strings("day") }
  }

  @Test func numbersAreDecimalAndFinite() throws {
    let table = try CSVTable("x\n20.5\n -3e1 \n+.5\n7.\n1E-2\n0.1\n", name: "t")
    #expect(try table.numbers("x") == [20.5, -30, 0.5, 7, 0.01, 0.1] as [Float])
    #expect(try table.numbers("x", as: Double.self) == [20.5, -30, 0.5, 7, 0.01, 0.1])
    for (field, shown) in [
      ("", "empty"), ("\"  \"", "empty"), ("abc", "'abc'"), ("0x10", "'0x10'"), ("nan", "'nan'"), ("inf", "'inf'"),
      ("1e39", "'1e39'"), ("1 2", "'1 2'"), ("1_000", "'1_000'"), ("-", "'-'"), ("e5", "'e5'"), ("\"1,5\"", "'1,5'"),
      ("١", "'١'"), (String(repeating: "9", count: 41), "'\(String(repeating: "9", count: 40))…'"),
    ] {
      let table = try CSVTable("day,x\n1,5\n2,\(field)\n", name: "t")
      expectError("line 3, column 'x' of t is \(shown), expected a finite number") { try table.numbers("x") }
      let bare = try CSVTable("1,\(field)\n", name: "t", hasHeader: false)
      expectError("line 1, column 1 (from 0) of t is \(shown), expected a finite number") { try bare.numbers(1) }
    }
    #expect(try CSVTable("1e39\n", hasHeader: false).numbers(0, as: Double.self) == [1e39])
    #expect(try CSVTable("x\n").numbers("x") == [])
  }

  // MARK: - Files

  @Test func filesAreUTF8OrLatin1() throws {
    let folder = try TemporaryFolder()
    let table = try CSVTable(contentsOf: try folder.write("l.csv", Array("caf".utf8) + [0xe9, 0x0a, 0xb0, 0x0a]))
    #expect(table.isLatin1 && table.header == ["café"] && table[0, 0] == "°")
    #expect(try CSVTable(contentsOf: FilePath(folder["l.csv"])) == table)
    let other = try CSVTable(contentsOf: try folder.write("u.csv", [0xef, 0xbb, 0xbf] + Array("café\n°\n".utf8)))
    #expect(!other.isLatin1 && other.header == ["café"] && other[0, 0] == "°")
  }

  /// A pipe without a writer would keep a reader waiting, so this test would not end.
  @Test(.timeLimit(.minutes(1))) func onlyPlainFilesAreRead() throws {
    let folder = try TemporaryFolder()
    #expect(mkfifo(folder["pipe"], 0o600) == 0)
    #expect(symlink("pipe", folder["link"]) == 0)
    try folder.write("zero.csv", "a,b\0\n")
    for (path, message) in [
      (folder["pipe"], "is a pipe, expected a file"), (folder["link"], "is a pipe, expected a file"),
      (folder.path, "is a folder, expected a file"),
      (folder["none.csv"], "is unreadable (No such file or directory), expected a file"),
      (folder["zero.csv/x"], "is unreadable (Not a directory), expected a file"),
      (folder["zero.csv"], "is a file with a zero byte at 3, expected text in UTF-8 or Latin-1"),
    ] {
      expectError("\(path) \(message)") { try CSVTable(contentsOf: path) }
    }
    expectError("the path is empty, expected a file") { try CSVTable(contentsOf: "") }
    expectError("a\\0b is a path with a zero byte, expected a file") { try CSVTable(contentsOf: "a\0b") }
    try folder.write("bad.csv", "a,b\n1,2\n3\n")
    expectError("line 3 of \(folder["bad.csv"]) is a row of 1 field, expected 2 fields, as in the first row") {
      try CSVTable(contentsOf: folder["bad.csv"])
    }
  }

  @Test func aLongFieldOfQuotesIsReadInOnePass() throws {
    let quotes = String(repeating: "\"\"", count: 1 << 20)
    let table = try CSVTable("x\n\"\(quotes)\"\n", name: "t")
    #expect(table[0, 0].utf8.count == 1 << 20)
  }
}
