import Foundation
import RecurrentFiles

extension Options {
  /// Whether a file can be written where an option or an operand says: asked before long work, not after it. Nothing is
  /// opened or changed; an option that was not given is fine.
  ///
  /// - Parameter replaced: an option whose file may be the same one. Any other file of the command line would be lost.
  /// - Throws: `ToolError` that says why not.
  public func checkWritable(_ name: String, mayReplace replaced: String? = nil) throws {
    let paths = paths
    guard let (_, shown, argument) = paths.first(where: { $0.name == name }) else { return }
    func refuse(_ problem: String) -> ToolError { ToolError("\(shown) '\(argument.text)' \(problem)") }
    var status = stat()
    if stat(argument.bytes, &status) != 0 {
      guard errno == ENOENT || errno == ENOTDIR else { throw refuse("cannot be written: \(systemMessage(errno))") }
      status.st_mode = S_IFREG
    }
    // The place that the links lead to, whether a file is there or not.
    let target: FilePath
    do throws(SystemError) { target = try FilePath(cString: argument.bytes).followingLinks() } catch {
      throw refuse("cannot be written: \(systemMessage(error.code))")
    }
    let kind = status.st_mode & S_IFMT
    guard kind != S_IFDIR else { throw refuse("is a folder, expected a file's path") }
    guard !target.name.isEmpty else { throw refuse("has no file name, expected a file's path") }
    if kind == S_IFREG {
      let others = paths.filter { ![name, replaced].contains($0.name) }
      if let other = others.first(where: { $0.argument.isFile(target) }) {
        throw refuse("is the file of \(other.shown) too, which would be lost")
      }
      // A file is written beside the old one first, and its folder is opened to be synced.
      guard target.folder.withCString({ access($0, R_OK | W_OK | X_OK) }) == 0 else {
        throw refuse(
          "is in the folder '\(target.folder)', which does not exist or cannot be written to: \(systemMessage(errno))")
      }
    } else {
      guard access(argument.bytes, W_OK) == 0 else { throw refuse("cannot be written: \(systemMessage(errno))") }
    }
  }
}

extension FilePath {
  /// Whether the path leads to something other than a regular file, such as a pipe, for whose reader a write may wait
  /// forever.
  public var mayKeepWaiting: Bool {
    var status = stat()
    return withCString { stat($0, &status) } == 0 && status.st_mode & S_IFMT != S_IFREG
  }
}

extension Argument {
  /// Whether this path leads to a file, by any links.
  fileprivate func isFile(_ target: FilePath) -> Bool {
    var own = stat(), other = stat()
    if stat(bytes, &own) == 0, target.withCString({ stat($0, &other) }) == 0 {
      return own.st_dev == other.st_dev && own.st_ino == other.st_ino
    }
    // A file that is not there yet.
    return (try? FilePath(cString: bytes).followingLinks()) == target
  }
}

/// What the system says of an error number.
public func systemMessage(_ number: Int32) -> String { String(cString: strerror(number)) }
