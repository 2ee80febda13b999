#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What was wrong with a file.
public struct FileError: Error, Equatable, Sendable, CustomStringConvertible {
  public let path: String
  public let problem: String
  public var description: String { "\(path): \(problem)" }

  package init(_ path: String, _ problem: String) {
    self.path = path
    self.problem = problem
  }
}

/// A file's bytes.
func readData(_ path: String) throws(FileError) -> Data {
  // What Foundation says of a folder nobody understands, and it leaks a page for an empty file.
  var status = stat()
  if stat(path, &status) == 0 {
    let kind = status.st_mode & S_IFMT
    guard kind != S_IFDIR else { throw FileError(path, "cannot be read: it is a folder") }
    guard kind != S_IFREG || status.st_size > 0 else { return Data() }
  }
  do { return try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe) } catch {
    throw FileError(path, "cannot be read: \(reason(error))")
  }
}

/// Writes a file beside it first and renames it then, so that an interruption leaves the old one.
func writeData(_ data: Data, _ path: String) throws(FileError) {
  do { try data.write(to: URL(fileURLWithPath: path), options: .atomic) } catch {
    throw FileError(path, "cannot be written: \(reason(error))")
  }
}

/// The part of an error that a reader can use.
func reason(_ error: any Error) -> String {
  switch error {
  case let error as CocoaError where error.code == .fileReadNoSuchFile: "no such file"
  case let error as CocoaError where error.code == .fileReadNoPermission || error.code == .fileWriteNoPermission:
    "no permission"
  case let error as CocoaError where error.code == .fileNoSuchFile: "no such folder"
  case DecodingError.keyNotFound(let key, _): "'\(key.stringValue)' is missing"
  case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
    DecodingError.dataCorrupted(let context):
    (context.codingPath.isEmpty ? "" : context.codingPath.map(\.stringValue).joined(separator: ".") + " ")
      + context.debugDescription
  default: "\(error)"
  }
}
