import Foundation
import Synchronization

/// The `errno` of the first write to standard output that failed; 0 if none did.
private let outputFailure = Mutex<Int32>(0)

/// Prints a line to standard output.
public func printLine(_ text: String) { printText(text + "\n") }

/// Prints to standard output without a buffer, so that a reader sees the text at once, also through a pipe. If the
/// output cannot be written, for example to a full disk, the tool goes on with its work, later text is dropped, and
/// `checkOutput` reports the error at the end. If a pipe has no reader, SIGPIPE ends the process, as usual.
public func printText(_ text: String) {
  var bytes = Array(text.utf8)[...]
  outputFailure.withLock { failure in
    while failure == 0, !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
      if count < 0 {
        switch errno {
        case EINTR: break
        case EAGAIN:
          // A pipe that does not block is full.
          var place = pollfd(fd: STDOUT_FILENO, events: Int16(POLLOUT), revents: 0)
          poll(&place, 1, -1)
        default: failure = errno
        }
      }
      bytes = bytes.dropFirst(max(0, count))
    }
  }
}

/// - Throws: `ToolError` if something that was printed could not be written.
public func checkOutput() throws {
  let failure = outputFailure.withLock { $0 }
  guard failure == 0 else { throw ToolError("standard output cannot be written: \(systemMessage(failure))") }
}

/// Prints a line to standard error.
public func complain(_ text: String) { writeToStandardError(text + "\n") }

/// Writes to standard error. If that fails, for example on a full disk, the text is dropped and the tool goes on.
func writeToStandardError(_ text: String) {
  try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
}
