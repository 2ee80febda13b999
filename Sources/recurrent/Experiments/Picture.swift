import Foundation
import RecurrentFiles
import ToolSupport

/// A picture of an experiment's curves, drawn by matplotlib. The script for it is part of the tool, so the tool draws
/// wherever it is installed.
struct Picture {
  let path: FilePath
  private let name: String
  private let python: String

  /// Nil if no picture is asked for.
  ///
  /// - Throws: `ToolError` if it could not be drawn or written: an experiment should not run for minutes before that.
  init?(_ options: Options) throws {
    guard let path = options.path("picture") else {
      if options.has("python") { throw ToolError("--python needs --picture FILE") }
      return nil
    }
    try options.checkWritable("picture")
    self.path = path
    name = options["picture"] ?? ""
    python = options["python"] ?? "python3"
    let endings = [".svg", ".png", ".pdf"]
    guard endings.contains(where: { name.lowercased().hasSuffix($0) }) else {
      throw ToolError("--picture is '\(name)', expected a name that ends in one of \(Options.list(endings))")
    }
    let look = "import importlib.util, sys; sys.exit(importlib.util.find_spec('matplotlib') is None)"
    guard try run(["-c", look]) == 0 else {
      throw ToolError(
        "--picture needs matplotlib, which '\(python)' lacks: '\(python) -m pip install matplotlib' installs it, or "
          + "--python FILE names a Python that has it. Without it, --json FILE keeps the curves, and "
          + "Scripts/draw-experiment draws them later")
    }
  }

  /// - Parameter json: what `Report` writes.
  /// - Throws: `ToolError` if Python fails, which then has said why.
  func draw(_ json: Data) throws {
    let script = String(decoding: PackageResources.draw_experiment_py, as: UTF8.self)
    let status = try run(["-c", script, "-", name], input: json)
    guard status == 0 else {
      throw ToolError("--picture \(name) is not drawn: '\(python)' ended with the status \(status), expected 0")
    }
  }

  private func run(_ arguments: [String], input: Data = Data()) throws -> Int32 {
    let process = Process(), pipe = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [python] + arguments
    process.standardInput = pipe
    try process.run()
    // A Python that ends early leaves a pipe without a reader.
    let before = signal(SIGPIPE, SIG_IGN)
    defer { signal(SIGPIPE, before) }
    try? pipe.fileHandleForWriting.write(contentsOf: input)
    try? pipe.fileHandleForWriting.close()
    process.waitUntilExit()
    return process.terminationStatus
  }
}
