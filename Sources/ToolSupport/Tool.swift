import Foundation

/// An error that ends the program with a status other than 1, or whose message has already been printed.
public struct EarlyEnd: Error, CustomStringConvertible {
  let status: Int32
  /// Nil if there is nothing left to say.
  let message: String?

  public init(status: Int32, message: String?) {
    self.status = status
    self.message = message
  }

  public var description: String { message ?? "ended with the status \(status)" }
}

/// Runs a whole tool. The process ends with the status 0, or as `endTool` says if the body throws an error or if its
/// output could not be written.
public func runTool(_ name: String, _ body: () throws -> Void) -> Never {
  openClosedStreams()
  do {
    try body()
    try checkOutput()
  } catch { endTool(name, error) }
  exit(0)
}

/// Prints the error's message, if it has one, and ends the process. The status is that of an `EarlyEnd`, and 1 for any
/// other error.
public func endTool(_ name: String, _ error: any Error) -> Never {
  let end = error as? EarlyEnd ?? EarlyEnd(status: 1, message: "\(error)")
  if let message = end.message { complain("\(name): \(message)") }
  exit(end.status)
}

/// Opens `/dev/null` where the caller has closed standard input, standard output or standard error. Without this, the
/// next file that is opened would get the free number, and output or messages could be written into it. Input is opened
/// for writing and output for reading: each use then fails with an error, as it would if they were still closed,
/// instead of reading an empty text or losing the output. Messages to standard error are dropped.
private func openClosedStreams() {
  // In this order, `open` returns the descriptor that was found closed, because it returns the lowest free one.
  for (descriptor, mode) in [(STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY)]
  where fcntl(descriptor, F_GETFD) == -1 {
    _ = open("/dev/null", mode)
  }
}
