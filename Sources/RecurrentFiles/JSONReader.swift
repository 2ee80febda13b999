/// Reads JSON (RFC 8259) from its bytes, each value once, so that the time is linear. It is strict: UTF-8 without a
/// byte order mark, no trailing comma, no key twice in an object.
struct JSONReader {
  /// What is wrong, and where.
  struct Failure: Error, CustomStringConvertible {
    let problem: String
    let place: Int
    /// The keys of the objects around it, innermost first.
    var keys: [String] = []

    var description: String {
      (keys.isEmpty ? "" : "'\(keys.reversed().joined(separator: "."))' ") + "at byte \(place): \(problem)"
    }

    func inside(_ key: String) -> Failure { Failure(problem: problem, place: place, keys: keys + [key]) }
  }

  private let bytes: UnsafeRawBufferPointer
  private(set) var place = 0
  private var depth = 0

  /// No format here nests deeper than four; a recursion without a limit would run out of stack.
  private static let deepest = 64

  /// - Parameter bytes: must outlive the reader.
  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// The next byte; at the end zero, which JSON never has.
  private var byte: UInt8 { place < bytes.count ? bytes[place] : 0 }

  private func failure(_ problem: String) -> Failure { Failure(problem: problem, place: place) }

  private func expected(_ what: String) -> Failure {
    guard place < bytes.count else { return failure("ends, expected \(what)") }
    let shown = (33..<127).contains(byte) ? "'\(Character(UnicodeScalar(byte)))'" : "the byte \(byte)"
    return failure("has \(shown), expected \(what)")
  }

  private mutating func skipSpace() {
    while byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { place += 1 }
  }

  /// Skips a character if it is next.
  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard byte == UInt8(ascii: character) else { return false }
    place += 1
    return true
  }

  /// Checks that everything has been read.
  ///
  /// - Parameter padding: which characters may follow.
  mutating func end(padding: Set<Unicode.Scalar> = [" ", "\n", "\r", "\t"]) throws {
    while place < bytes.count, padding.contains(Unicode.Scalar(byte)) { place += 1 }
    guard place == bytes.count else { throw expected("the end") }
  }

  /// An object; `member` reads the value of each key.
  mutating func object(_ member: (inout JSONReader, String) throws -> Void) throws {
    // By their characters: a Swift string would equal one of other, equivalent characters.
    var keys: Set<[Unicode.Scalar]> = []
    try list("{", "}", "an object") { reader in
      reader.skipSpace()
      let start = reader.place, key = try reader.string()
      guard keys.insert(Array(key.unicodeScalars)).inserted else {
        throw Failure(problem: "has the key '\(key)' twice", place: start)
      }
      guard reader.take(":") else { throw reader.expected("':'") }
      do { try member(&reader, key) } catch let error as Failure { throw error.inside(key) }
    }
  }

  /// An array; `element` reads each value.
  mutating func array(_ element: (inout JSONReader) throws -> Void) throws {
    try list("[", "]", "an array", element)
  }

  /// An object whose values are read in any order: here they are only stepped over.
  mutating func fields() throws -> Fields {
    var values: [String: JSONReader] = [:]
    try object { reader, key in
      values[key] = reader
      try reader.skip()
    }
    return Fields(values: values, place: place)
  }

  /// The values of an object by their keys, each as a reader whose next byte is the value's first.
  struct Fields {
    fileprivate let values: [String: JSONReader]
    /// Where the object ends.
    fileprivate let place: Int

    /// A value; nil if it is `null` or not there.
    func optional<Value>(
      _ key: String, _ read: (inout JSONReader) throws -> Value
    ) throws -> Value? {
      guard var reader = values[key], !reader.takeWord("null") else { return nil }
      do { return try read(&reader) } catch let error as Failure { throw error.inside(key) }
    }

    /// A value that must be there.
    func required<Value>(
      _ key: String, _ read: (inout JSONReader) throws -> Value
    ) throws -> Value {
      guard let value = try optional(key, read) else {
        throw Failure(problem: "'\(key)' is missing or null in the object that ends here", place: place)
      }
      return value
    }
  }

  /// Steps over an array. Returns how many values it has.
  mutating func skipArray() throws -> Int {
    var count = 0
    try array {
      count += 1
      try $0.skip()
    }
    return count
  }

  private mutating func list(
    _ first: Unicode.Scalar, _ last: Unicode.Scalar, _ name: String,
    _ element: (inout JSONReader) throws -> Void
  ) throws {
    guard take(first) else { throw expected(name) }
    guard depth < JSONReader.deepest else { throw failure("nests deeper than \(JSONReader.deepest) levels") }
    depth += 1
    defer { depth -= 1 }
    if take(last) { return }
    repeat { try element(&self) } while take(",")
    guard take(last) else { throw expected("',' or '\(last)'") }
  }

  mutating func string() throws -> String {
    guard take("\"") else { throw expected("a string") }
    let start = place
    while byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") { place += 1 }
    var text = Array(bytes[start..<place])
    while byte != UInt8(ascii: "\"") {
      if byte == UInt8(ascii: "\\") {
        place += 1
        text.append(contentsOf: try escape())
      } else {
        guard byte >= 0x20 else { throw expected("a string's character or '\"'") }
        text.append(byte)
        place += 1
      }
    }
    guard let string = String(validating: text, as: UTF8.self) else {
      throw Failure(problem: "has a string that is not UTF-8", place: start)
    }
    place += 1
    return string
  }

  /// The UTF-8 of the escape sequence after a backslash.
  private mutating func escape() throws -> [UInt8] {
    let start = place - 1
    let plain: UInt8? =
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): byte
      case UInt8(ascii: "b"): 0x08
      case UInt8(ascii: "f"): 0x0c
      case UInt8(ascii: "n"): 0x0a
      case UInt8(ascii: "r"): 0x0d
      case UInt8(ascii: "t"): 0x09
      default: nil
      }
    if let plain {
      place += 1
      return [plain]
    }
    var units = [try codeUnit()]
    if UTF16.isLeadSurrogate(units[0]), byte == UInt8(ascii: "\\") {
      place += 1
      units.append(try codeUnit())
    }
    guard let text = String(validating: units, as: UTF16.self) else {
      throw Failure(problem: "has half of a surrogate pair", place: start)
    }
    return Array(text.utf8)
  }

  /// `u` and four hexadecimal digits.
  private mutating func codeUnit() throws -> UInt16 {
    guard byte == UInt8(ascii: "u") else { throw expected("an escape of JSON") }
    place += 1
    var unit: UInt16 = 0
    for _ in 0..<4 {
      guard let digit = Character(UnicodeScalar(byte)).hexDigitValue else { throw expected("a hexadecimal digit") }
      unit = unit << 4 | UInt16(digit)
      place += 1
    }
    return unit
  }

  /// Any number that a double holds.
  mutating func number() throws -> Double {
    let range = try skipNumber(), text = String(decoding: bytes[range], as: UTF8.self)
    guard let number = Double(text), number.isFinite else {
      throw Failure(problem: "has the number \(text), too large for a double", place: range.lowerBound)
    }
    return number
  }

  /// Any number that a float holds, rounded as a double first, as Python does.
  mutating func float() throws -> Float {
    skipSpace()
    let start = place, number = try number(), float = Float(number)
    guard float.isFinite else {
      throw Failure(problem: "has the number \(number), too large for a float", place: start)
    }
    return float
  }

  /// A whole number in plain digits, without a sign, a point or an exponent.
  mutating func count() throws -> Int {
    let range = try skipNumber(), text = String(decoding: bytes[range], as: UTF8.self)
    guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let count = Int(text) else {
      let problem = "has the number \(text), expected plain digits, at most \(Int.max)"
      throw Failure(problem: problem, place: range.lowerBound)
    }
    return count
  }

  private mutating func skipNumber() throws -> Range<Int> {
    skipSpace()
    let start = place
    if byte == UInt8(ascii: "-") { place += 1 }
    if byte == UInt8(ascii: "0") { place += 1 } else { try skipDigits(start == place ? "a number" : "a digit") }
    if byte == UInt8(ascii: ".") {
      place += 1
      try skipDigits("a digit")
    }
    if byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E") {
      place += 1
      if byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") { place += 1 }
      try skipDigits("a digit")
    }
    return start..<place
  }

  private mutating func skipDigits(_ what: String) throws {
    guard (0x30...0x39).contains(byte) else { throw expected(what) }
    while (0x30...0x39).contains(byte) { place += 1 }
  }

  /// Skips `null`, `true` or `false` if it is next.
  mutating func takeWord(_ word: StaticString) -> Bool {
    skipSpace()
    let text = UnsafeRawBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
    guard bytes[place...].starts(with: text) else { return false }
    place += text.count
    return true
  }

  /// Any value.
  mutating func skip() throws {
    skipSpace()
    switch byte {
    case UInt8(ascii: "{"): try object { reader, _ in try reader.skip() }
    case UInt8(ascii: "["): try array { try $0.skip() }
    case UInt8(ascii: "\""): _ = try string()
    case UInt8(ascii: "-"), 0x30...0x39: _ = try skipNumber()
    default: if !takeWord("null"), !takeWord("true"), !takeWord("false") { throw expected("a value") }
    }
  }
}
