import Recurrent
import RecurrentFiles
import ToolSupport

/// The characters of bytes that are UTF-8, or else Latin-1, without the byte order mark that some editors write before
/// UTF-8: it is no character of the text.
func characters(of bytes: some Collection<UInt8>) -> [Unicode.Scalar] {
  guard var text = String(validating: bytes, as: UTF8.self)?.unicodeScalars.map(\.self) else {
    return bytes.map { Unicode.Scalar($0) }
  }
  if text.first == "\u{feff}" { text.removeFirst() }
  return text
}

/// A text to train on.
///
/// - Throws: `ToolError` if it cannot be read, is too short or has a zero byte, which no text has.
func readText(_ path: FilePath) throws -> [Unicode.Scalar] {
  let bytes = try readFile(path)
  if let index = bytes.firstIndex(of: 0) {
    throw ToolError("\(path) has a zero byte at \(index), expected text in UTF-8 or Latin-1")
  }
  let text = characters(of: bytes)
  guard text.count >= 16 else {
    throw ToolError("\(path) has \(counted(text.count, "character")), expected at least 16")
  }
  return text
}
