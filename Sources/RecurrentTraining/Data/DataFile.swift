import Foundation
import Recurrent
import RecurrentFiles

/// The path of a file or folder of data. The names in a folder need not be UTF-8.
struct DataPath: CustomStringConvertible {
  private let path: FilePath
  private var bytes: [UInt8] { path.bytes }

  init(_ path: some FilePathConvertible) { self.path = path.filePath }

  private init(bytes: [UInt8]) { path = FilePath(bytes: bytes) }

  /// For messages and names: what is not UTF-8 is replaced.
  var description: String { path.description }

  /// The part after the last `/`.
  var lastComponent: String { String(decoding: bytes.split(separator: UInt8(ascii: "/")).last ?? [], as: UTF8.self) }

  /// Something in this folder.
  func appending(_ name: [UInt8]) -> DataPath {
    DataPath(bytes: bytes.last == UInt8(ascii: "/") ? bytes + name : bytes + [UInt8(ascii: "/")] + name)
  }

  // MARK: - What is at the path

  /// - Throws: `RecurrentError` unless the path leads to a plain file. Only such a file is opened: a pipe could wait
  ///   forever, and opening a device can change it.
  private func checkFile() throws(RecurrentError) {
    let kind = try kind(expected: "a file")
    guard kind == S_IFREG else { throw wrongKind(kind, expected: "a file") }
  }

  private func wrongKind(_ kind: mode_t, expected: String) -> RecurrentError {
    let was =
      switch kind {
      case S_IFREG: "a file"
      case S_IFDIR: "a folder"
      case S_IFIFO: "a pipe"
      case S_IFSOCK: "a socket"
      default: "a device"
      }
    return .value(name: description, was: was, expected: expected)
  }

  private func refused(_ code: Int32, expected: String) -> RecurrentError {
    .value(name: description, was: "unreadable (\(String(cString: strerror(code))))", expected: expected)
  }

  /// The `S_IFMT` bits of the mode; links are followed.
  private func kind(expected: String) throws(RecurrentError) -> mode_t {
    guard !bytes.isEmpty else { throw .value(name: "the path", was: "empty", expected: expected) }
    guard !bytes.contains(0) else {
      throw .value(name: description, was: "a path with a zero byte", expected: expected)
    }
    var status = stat()
    let result = path.withCString { stat($0, &status) }
    guard result == 0 else { throw refused(errno, expected: expected) }
    return status.st_mode & S_IFMT
  }

  /// Whether the path leads to a folder.
  var isFolder: Bool {
    get throws(RecurrentError) { try kind(expected: "a file or a folder") == S_IFDIR }
  }

  // MARK: - Reading

  /// What is in the folder, in the order of the names' bytes. Names that begin with a dot are left out.
  ///
  /// - Throws: `RecurrentError` if it is not a folder or cannot be read.
  func entries() throws(RecurrentError) -> [DataPath] {
    let kind = try kind(expected: "a folder")
    guard kind == S_IFDIR else { throw wrongKind(kind, expected: "a folder") }
    guard let folder = path.withCString({ opendir($0) }) else { throw refused(errno, expected: "a folder") }
    defer { closedir(folder) }
    var names: [[UInt8]] = []
    errno = 0
    while let entry = readdir(folder) {
      // The name is longer than its declared array in some file systems, so it is read by its pointer.
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: UInt8.self, capacity: 1) { Array(UnsafeBufferPointer(start: $0, count: strlen($0))) }
      }
      if name.first != UInt8(ascii: ".") { names.append(name) }
      errno = 0
    }
    guard errno == 0 else { throw refused(errno, expected: "a folder") }
    return names.sorted { $0.lexicographicallyPrecedes($1) }.map(appending)
  }

  /// A plain file's bytes.
  ///
  /// - Throws: `RecurrentError` if it is something else or cannot be read.
  func read() throws(RecurrentError) -> [UInt8] {
    try checkFile()
    let file: InputFile
    // If the file becomes a pipe after the check, opening does not wait.
    do throws(FileError) { file = try InputFile(path, waits: false) } catch { throw refused(error) }
    guard let count = file.count else { throw wrongKind(file.kind, expected: "a file") }
    let most = largestCount * MemoryLayout<Float>.size
    guard count <= most else {
      throw .value(
        name: description, was: "a file of \(count) bytes",
        expected: "at most \(most), what this machine's memory holds")
    }
    do throws(FileError) { return Array(try file.next(.max)) } catch { throw refused(error) }
  }

  private func refused(_ error: FileError) -> RecurrentError {
    if case .system(let code) = error.reason { return refused(code, expected: "a file") }
    return .value(name: description, was: error.problem, expected: "a file")
  }

  /// A plain file's text, without a byte order mark. It is UTF-8, or else Latin-1.
  ///
  /// - Throws: `RecurrentError` if there is no such file, or if it is not text.
  func readText() throws(RecurrentError) -> (text: String, isLatin1: Bool) {
    let bytes = try read()
    if let index = bytes.firstIndex(of: 0) {
      throw .value(
        name: description, was: "a file with a zero byte at \(index)", expected: "text in UTF-8 or Latin-1")
    }
    let content = bytes[(bytes.starts(with: [0xef, 0xbb, 0xbf]) ? 3 : 0)...]
    if let text = String(validating: content, as: UTF8.self) { return (text, false) }
    var scalars = String.UnicodeScalarView()
    for byte in bytes { scalars.append(Unicode.Scalar(byte)) }
    return (String(scalars), true)
  }
}

/// The lines of a text, which end with LF or CRLF. The last one need not end.
func lines(of text: String) -> [String] {
  var lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
  if lines.last?.isEmpty == true { lines.removeLast() }
  return lines.map { line in
    String(decoding: line.last == UInt8(ascii: "\r") ? line.dropLast() : line, as: UTF8.self)
  }
}

/// A text in single quotes for a message; a long one is cut.
func quoted(_ text: String) -> String { "'\(text.count > 40 ? "\(text.prefix(40))…" : text)'" }
