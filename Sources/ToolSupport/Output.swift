import Foundation
import Synchronization

/// The `errno` of the first write to standard output that failed; 0 if none did.
private let outputFailure = Mutex<Int32>(0)

/// Prints a line to standard output.
public func printLine(_ text: String) { printText(text + "\n") }

/// Prints to standard output without a buffer: a reader sees the text at once, also through a pipe. No work ends
/// because its output cannot be written, to a full disk for example: `checkOutput` says so at the end of the tool.
/// Without a reader the process ends by SIGPIPE, as usual.
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

/// Writes to standard error. What cannot be written, to a full disk for example, is dropped: no work ends for a
/// message.
func writeToStandardError(_ text: String) {
  try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
}
