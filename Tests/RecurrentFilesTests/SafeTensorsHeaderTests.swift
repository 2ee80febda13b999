import Foundation
import RecurrentFiles
import Testing

/// The header must be JSON in the strict form of the format, which forbids more than most JSON readers do.
@Suite struct SafeTensorsHeaderTests {
  private func file(_ header: String, _ content: Int = 0) -> Data {
    withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) } + Data(header.utf8) + Data(count: content)
  }

  private func expectProblem(_ problem: String, _ data: Data, line: Int = #line) {
    #expect(
      message { _ = try SafeTensors(data) }
        == "safetensors: its header is not what safetensors asks for: \(problem)", "line \(line)")
  }

  @Test func whatTheFormatAllowsIsRead() throws {
    let fields = #""dtype":"U8" ,\#n\#t"shape": [1], "data_offsets" :[0,1], "more": [{}, -0.5e+7, null, true, "x"]"#
    #expect(message { _ = try SafeTensors(file("{\"a\": {\(fields)} } ", 1)) } == "no error")
    #expect(try SafeTensors(file("{}   ")) == SafeTensors())
    let escapes = #"{"__metadata__":{"\u0061\"\\\/\b\f\n\r\t":"\u00e9 \ud834\udd1e é 𝄞 \u0000"}}"#
    #expect(try SafeTensors(file(escapes)).metadata == ["a\"\\/\u{8}\u{c}\n\r\t": "é 𝄞 é 𝄞 \0"])
  }

  @Test func numbersArePlainDigits() {
    let plain = "expected plain digits, at most 9223372036854775807"
    for number in ["4.8e1", "48.0", "-0", "-48", "48e0", "9223372036854775808"] {
      expectProblem(
        "'a.data_offsets' at byte 50: has the number \(number), \(plain)",
        file("{\"a\":{\"dtype\":\"U8\",\"shape\":[48],\"data_offsets\":[0,\(number)]}}", 48))
      expectProblem(
        "'a.shape' at byte 28: has the number \(number), \(plain)",
        file("{\"a\":{\"dtype\":\"U8\",\"shape\":[\(number)],\"data_offsets\":[0,48]}}", 48))
    }
    expectProblem("'a' at byte 11: has '4', expected ',' or '}'", file(#"{"a":{"x":04}}"#))
    expectProblem("'a.x' at byte 11: has '}', expected a digit", file(#"{"a":{"x":-}}"#))
    expectProblem("'a.x' at byte 12: has '}', expected a digit", file(#"{"a":{"x":1.}}"#))
    expectProblem("'a.x' at byte 13: has '}', expected a digit", file(#"{"a":{"x":1e+}}"#))
    expectProblem("'a.x' at byte 10: has 't', expected a value", file(#"{"a":{"x":tru}}"#))
  }

  @Test func noKeyComesTwice() {
    let entry = #"{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#
    expectProblem("at byte 53: has the key 'a' twice", file("{\"a\":\(entry),\"a\":\(entry)}"))
    expectProblem("'a' at byte 19: has the key 'dtype' twice", file(#"{"a":{"dtype":"U8","dtype":"U8"}}"#))
    expectProblem("'a.x' at byte 17: has the key 'y' twice", file(#"{"a":{"x":{"y":1,"y":1}}}"#))
    expectProblem("'__metadata__' at byte 25: has the key 'k' twice", file(#"{"__metadata__":{"k":"v","k":"v"}}"#))
    expectProblem("'__metadata__' at byte 25: has the key 'k' twice", file(#"{"__metadata__":{"k":"v","\u006b":""}}"#))
    expectProblem("at byte 19: has the key '__metadata__' twice", file(#"{"__metadata__":{},"__metadata__":{}}"#))
  }

  @Test func fieldsAreOfTheirTypes() {
    expectProblem("'a' at byte 7: 'dtype' is missing or null in the object that ends here", file(#"{"a":{}}"#))
    expectProblem(
      "'a' at byte 32: 'shape' is missing or null in the object that ends here",
      file(#"{"a":{"dtype":"U8","shape":null}}"#))
    expectProblem("'a.dtype' at byte 14: has '8', expected a string", file(#"{"a":{"dtype":8}}"#))
    expectProblem("'a.shape' at byte 27: has '\"', expected an array", file(#"{"a":{"dtype":"U8","shape":"48"}}"#))
    expectProblem("'a' at byte 5: has '1', expected an object", file(#"{"a":1}"#))
    expectProblem("'__metadata__.k' at byte 21: has '1', expected a string", file(#"{"__metadata__":{"k":1}}"#))
  }

  @Test func theGrammarIsHeld() {
    expectProblem("at byte 19: has '}', expected a string", file(#"{"__metadata__":{},}"#))
    expectProblem("'a.x' at byte 13: has ']', expected a value", file(#"{"a":{"x":[1,]}}"#))
    expectProblem("at byte 2: has the byte 10, expected the end", file("{}\n"))
    expectProblem("at byte 3: has '{', expected the end", file("{} {}"))
    expectProblem("at byte 1: ends, expected a string", file("{"))
    expectProblem("at byte 1: has ''', expected a string", file("{'a':{}}"))
    expectProblem("at byte 1: has '/', expected a string", file("{/**/}"))
    expectProblem("at byte 5: has '{', expected ':'", file(#"{"a" {}}"#))
    expectProblem(
      "'a.x' at byte 73: nests deeper than 64 levels", file(#"{"a":{"x":"# + String(repeating: "[", count: 100_000)))
  }

  @Test func stringsAreUTF8() {
    expectProblem("at byte 3: has 'x', expected an escape of JSON", file(#"{"\x":{}}"#))
    expectProblem("at byte 6: has 'g', expected a hexadecimal digit", file(#"{"\u12g4":{}}"#))
    expectProblem("at byte 2: has half of a surrogate pair", file(#"{"\ud834":{}}"#))
    expectProblem("at byte 2: has half of a surrogate pair", file(#"{"\udd1e\ud834":{}}"#))
    expectProblem("at byte 3: has the byte 10, expected a string's character or '\"'", file("{\"a\nb\":{}}"))
    expectProblem("at byte 3: ends, expected a string's character or '\"'", file(#"{"a"#))
    func bytes(_ header: [UInt8]) -> Data { Data([UInt8(header.count), 0, 0, 0, 0, 0, 0, 0] + header) }
    expectProblem("at byte 2: has a string that is not UTF-8", bytes(Array("{\"".utf8) + [0xe9] + Array("\":".utf8)))
    expectProblem("at byte 1: has the byte 0, expected a string", bytes("{}".utf16.flatMap { [UInt8($0), 0] }))
    for start in ["\u{feff}{}", " {}", "[]", ""] {
      let message = message { _ = try SafeTensors(file(start)) }
      #expect(message == "safetensors: is not a safetensors file: its header does not start with '{'")
    }
  }

  // MARK: - Size

  /// Reading takes linear time: a reader that takes quadratic time would exceed the limit on any machine.
  @Test(.timeLimit(.minutes(1))) func manyTensorsAreRead() throws {
    let count = 100_000
    let entries = (0..<count).map { #""t\#($0)":{"dtype":"U8","shape":[1],"data_offsets":[\#($0),\#($0 + 1)]}"# }
    let read = try SafeTensors(file("{\(entries.joined(separator: ","))}", count))
    #expect(read.tensors.count == count && read.tensors["t99999"]?.shape == [1])
  }

  /// Each file is sparse and claims 1 TB, more than anybody could read whole.
  @Test func theHeaderIsReadBeforeTheContent() throws {
    let folder = try TemporaryFolder(), path = folder["sparse"]
    let good = #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#
    for (start, problem) in [
      (Data(), "is not a safetensors file: its header does not start with '{'"),
      (
        file(#"{"a":1}"#),
        "its header is not what safetensors asks for: 'a' at byte 5: has '1', expected an object"
      ),
      (file(good), "has \((1 << 40) - 8 - good.utf8.count - 8) bytes that belong to no tensor"),
    ] {
      try start.write(to: URL(fileURLWithPath: path))
      try #require(truncate(path, 1 << 40) == 0)
      #expect(message { _ = try SafeTensors(contentsOf: path) } == "\(path): \(problem)")
    }
    try (withUnsafeBytes(of: UInt64(99_999_999).littleEndian) { Data($0) } + Data("{}".utf8))
      .write(to: URL(fileURLWithPath: path))
    #expect(
      message { _ = try SafeTensors(contentsOf: path) }
        == "\(path): is truncated: its header claims 99999999 bytes, 2 follow")
  }

  @Test func aPipeIsRead() throws {
    let folder = try TemporaryFolder(), path = folder["pipe"]
    func read(_ data: Data) throws -> SafeTensors {
      // Each read has a new pipe, because the last one's writer may not have closed it yet.
      unlink(path)
      try #require(mkfifo(path, 0o600) == 0)
      let written = DispatchSemaphore(value: 0)
      Thread.detachNewThread {
        try? writeFile(data, to: FilePath(path))
        written.signal()
      }
      defer { written.wait() }
      return try SafeTensors(contentsOf: path)
    }
    let good = #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#
    #expect(try read(file(good, 8)) == SafeTensors(tensors: ["a": Tensor([0, 0], shape: [2])]))
    #expect(message { _ = try read(file(good, 7)) } == "\(path): is truncated: 'a' ends at byte 8, 7 are there")
    #expect(message { _ = try read(file(good, 9)) } == "\(path): has 1 bytes that belong to no tensor")
    let huge = #"{"a":{"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]}}"#
    #expect(
      message { _ = try read(file(huge, 9)) }
        == "\(path): is truncated: 'a' ends at byte 9223372036854775807, 9 are there")
  }
}
