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

/// A file's bytes; of a pipe, all until its end.
///
/// - Throws: `FileError` with the operating system's message.
package func readFile(_ path: FilePath) throws(FileError) -> Data { try InputFile(path).next(.max) }

/// A file, or a pipe, that is read piece by piece. It is read and not mapped: a mapped file that another process cuts
/// short would end this one.
package final class InputFile {
  private let path: FilePath
  private let descriptor: Int32
  /// The `S_IFMT` bits of its mode; 0 if they are not known.
  package let kind: mode_t
  /// The count of bytes of a regular file; nil for a pipe, whose count is not known in advance.
  package let count: Int?

  private static let action = "cannot be read"

  /// - Parameter waits: whether opening a pipe waits for a writer.
  package init(_ path: FilePath, waits: Bool = true) throws(FileError) {
    try path.check(InputFile.action)
    self.path = path
    let flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | (waits ? 0 : O_NONBLOCK)
    do throws(SystemError) {
      descriptor = try call { path.withCString { open($0, flags) } }
    } catch { throw FileError(path, InputFile.action, error) }
    var status = stat()
    kind = fstat(descriptor, &status) == 0 ? status.st_mode & S_IFMT : 0
    count = kind == S_IFREG ? Int(status.st_size) : nil
  }

  deinit { close(descriptor) }

  /// The next bytes: `limit` of them, or fewer if the file ends before. The memory grows with what is read, so that
  /// a limit that the file only claims costs nothing.
  package func next(_ limit: Int) throws(FileError) -> Data {
    // One byte more than a file has, so that its end is seen without growing.
    var capacity = min(limit, max(count ?? 0, 1 << 16) + 1), filled = 0
    var memory = malloc(capacity)
    do throws(SystemError) {
      while filled < limit {
        if filled == capacity {
          capacity = capacity > limit / 2 ? limit : 2 * capacity
          guard let larger = realloc(memory, capacity) else { throw SystemError(code: ENOMEM) }
          memory = larger
        }
        guard let memory else { throw SystemError(code: ENOMEM) }
        let count = try call { read(descriptor, memory + filled, capacity - filled) }
        if count == 0 { break }
        filled += count
      }
    } catch {
      free(memory)
      throw FileError(path, InputFile.action, error)
    }
    guard let memory, filled > 0 else {
      free(memory)
      return Data()
    }
    return Data(bytesNoCopy: memory, count: filled, deallocator: .free)
  }
}
