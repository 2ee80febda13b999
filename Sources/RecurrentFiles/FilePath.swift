#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The path of a file, as the bytes that the operating system gets: `~`, `..` and UTF-8 are not interpreted.
///
/// A string literal is a path, and so is any `String`. A path that came as bytes, from a command line or from C, goes
/// through `FilePath(cString:)` and may have any bytes but zero.
public struct FilePath: Sendable, Hashable, CustomStringConvertible, ExpressibleByStringLiteral {
  /// Without the zero at the end.
  package let bytes: [UInt8]

  package init(bytes: [UInt8]) { self.bytes = bytes }

  /// The UTF-8 bytes of a string.
  public init(_ string: String) { self.init(bytes: Array(string.utf8)) }

  /// The bytes before the first zero.
  public init(cString: UnsafePointer<CChar>) {
    var bytes: [UInt8] = []
    var next = cString
    while next.pointee != 0 {
      bytes.append(UInt8(bitPattern: next.pointee))
      next += 1
    }
    self.init(bytes: bytes)
  }

  /// The UTF-8 bytes of a string literal.
  public init(stringLiteral string: String) { self.init(string) }

  /// For messages: what is not UTF-8 is replaced, and a zero byte is shown as `\0`.
  public var description: String { String(decoding: bytes, as: UTF8.self).replacing("\0", with: "\\0") }

  /// The path as C takes it. `errno` is that of `body`.
  package func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
    let (result, code) = (bytes + [0]).withUnsafeBytes {
      (body($0.assumingMemoryBound(to: CChar.self).baseAddress!), errno)
    }
    errno = code  // freeing the bytes may have changed it
    return result
  }

  /// - Throws: `FileError` if no file can have this path: the system would take another path, or a folder's.
  func check(_ action: String) throws(FileError) {
    guard !bytes.isEmpty else { throw FileError(self, "\(action): the path is empty", .path) }
    if let index = bytes.firstIndex(of: 0) {
      throw FileError(self, "\(action): the path has a zero byte at \(index)", .path)
    }
    guard bytes.last != UInt8(ascii: "/") else {
      throw FileError(self, "\(action): the path ends in '/', expected a file's", .path)
    }
  }
}

/// What can be the path of a file: a `FilePath`, or a `String` for its UTF-8 bytes.
public protocol FilePathConvertible {
  /// The path's bytes.
  var filePath: FilePath { get }
}

extension FilePath: FilePathConvertible {
  /// Itself.
  public var filePath: FilePath { self }
}

extension String: FilePathConvertible {
  /// The UTF-8 bytes of the string.
  public var filePath: FilePath { FilePath(self) }
}
