#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What was wrong with a file.
public struct FileError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What a caller can tell apart.
  public enum Reason: Equatable, Sendable {
    /// No file can have this path: it is empty, has a zero byte or ends in `/`.
    case path
    /// The operating system refused, with this `errno`.
    case system(Int32)
    /// The content is not what its format asks for.
    case content
  }

  /// The file's path; if the bytes did not come from a file, the name of the format.
  public let path: FilePath
  /// What was wrong, what it was and what was expected.
  public let problem: String
  /// The kind of problem.
  public let reason: Reason
  /// The path and the problem.
  public var description: String { "\(path.bytes.isEmpty ? "''" : path.description): \(problem)" }

  package init(_ path: FilePath, _ problem: String, _ reason: Reason = .content) {
    self.path = path
    self.problem = problem
    self.reason = reason
  }

  /// A call that the operating system refused.
  init(_ path: FilePath, _ action: String, _ error: SystemError) {
    self.init(path, "\(action): \(error.detail)\(String(cString: strerror(error.code)))", .system(error.code))
  }

  /// The same problem of a file whose path was not known where it was found.
  func at(_ path: FilePath) -> FileError { FileError(path, problem, reason) }
}

/// A call to the operating system that failed.
package struct SystemError: Error {
  /// Its `errno`.
  package let code: Int32
  /// The text before the system's own message.
  var detail = ""
}

/// Calls the operating system again for as long as a signal interrupts it.
///
/// - Throws: `SystemError` if it returns -1.
@discardableResult
func call<Result: SignedInteger>(_ body: () -> Result) throws(SystemError) -> Result {
  while true {
    let result = body()
    if result != -1 { return result }
    if errno != EINTR { throw SystemError(code: errno) }
  }
}
