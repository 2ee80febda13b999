/// The path of a file as the bytes that the operating system gets: nothing of it is read as `~`, `..` or UTF-8.
///
/// A string literal is a path, and so is any `String` through `FilePath(string)`. A path that came as bytes, from a
/// command line or from C, goes through `FilePath(cString:)` and may have any bytes but zero.
public struct FilePath: Sendable, Hashable, CustomStringConvertible, ExpressibleByStringLiteral {
  /// Without the zero at the end.
  package let bytes: [UInt8]

  /// The UTF-8 bytes of a string.
  public init(_ string: String) { bytes = Array(string.utf8) }

  /// The bytes before the first zero.
  public init(cString: UnsafePointer<CChar>) {
    var bytes: [UInt8] = []
    var next = cString
    while next.pointee != 0 {
      bytes.append(UInt8(bitPattern: next.pointee))
      next += 1
    }
    self.bytes = bytes
  }

  public init(stringLiteral string: String) { self.init(string) }

  /// For messages: what is not UTF-8 is replaced.
  public var description: String { String(decoding: bytes, as: UTF8.self) }
}
