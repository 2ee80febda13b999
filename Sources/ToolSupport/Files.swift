import Foundation
import RecurrentFiles

extension Options {
  /// Whether a file can be written where an option says: asked before long work, not after it. Nothing is opened or
  /// changed; an option that was not given is fine.
  ///
  /// - Throws: `ToolError` that says why not.
  public func checkWritable(_ name: String) throws {
    guard let argument = argument(name) else { return }
    func refuse(_ problem: String) -> ToolError { ToolError("--\(name) '\(argument.text)' \(problem)") }
    // The place that the links lead to, whether a file is there or not.
    var target = argument.bytes.dropLast().map(UInt8.init(bitPattern:))
    for _ in 0..<40 {
      guard let link = linkTarget(target) else { break }
      target = link.first == slash ? link : folder(of: target) + [slash] + link
    }
    var status = stat()
    if stat(argument.bytes, &status) != 0 {
      guard errno == ENOENT || errno == ENOTDIR else { throw refuse("cannot be written: \(systemMessage(errno))") }
      status.st_mode = S_IFREG
    }
    let kind = status.st_mode & S_IFMT
    guard kind != S_IFDIR, !target.isEmpty, target.last != slash else {
      throw refuse("is a folder or empty, expected a file's path")
    }
    if kind == S_IFREG {
      // A file is written beside the old one first.
      let folder = folder(of: target)
      guard access(cString(folder + [slash, UInt8(ascii: ".")]), W_OK | X_OK) == 0 else {
        throw refuse(
          "is in the folder '\(String(decoding: folder, as: UTF8.self))', which does not exist or cannot be written to: "
            + systemMessage(errno))
      }
    } else {
      guard access(argument.bytes, W_OK) == 0 else { throw refuse("cannot be written: \(systemMessage(errno))") }
    }
  }
}

/// Everything that a file, a pipe or a device has to give.
///
/// - Throws: `ToolError` with the path and what the system said.
public func readBytes(_ path: FilePath) throws -> [UInt8] {
  func failure() -> ToolError { ToolError("\(path): cannot be read: \(systemMessage(errno))") }
  let descriptor = open(cString(path.bytes), O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw failure() }
  defer { close(descriptor) }
  var bytes: [UInt8] = [], buffer = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let count = read(descriptor, &buffer, buffer.count)
    if count == 0 { return bytes }
    if count < 0 {
      guard errno == EINTR else { throw failure() }
    } else {
      bytes += buffer[..<count]
    }
  }
}

/// What the system says of an error number.
public func systemMessage(_ number: Int32) -> String { String(cString: strerror(number)) }

private let slash = UInt8(ascii: "/")

private func cString(_ bytes: [UInt8]) -> [CChar] { bytes.map(CChar.init(bitPattern:)) + [0] }

/// What stands before the last slash.
private func folder(of path: [UInt8]) -> [UInt8] {
  guard let end = path.lastIndex(of: slash) else { return [UInt8(ascii: ".")] }
  return end == 0 ? [slash] : Array(path[..<end])
}

/// Where a symbolic link leads; nil of anything else.
private func linkTarget(_ path: [UInt8]) -> [UInt8]? {
  var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
  let count = readlink(cString(path), &buffer, buffer.count)
  return count < 0 ? nil : buffer[..<count].map(UInt8.init(bitPattern:))
}
