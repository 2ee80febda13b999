import Foundation
import ToolSupport

let commands: [any Command.Type] = [TrainText.self, RunAmp.self]

func help() -> String {
  "usage: recurrent COMMAND [options]\n\n\(Options.table(commands.map { ($0.name, $0.summary) }))\n\n"
    + "'recurrent COMMAND --help' lists a command's options."
}

do {
  let arguments = Array(CommandLine.arguments.dropFirst())
  guard let name = arguments.first else { throw ToolError("no command given\n\(help())") }
  if name == "--help" || name == "help" {
    print(help())
  } else if let command = commands.first(where: { $0.name == name }) {
    try command.run(Array(arguments.dropFirst()))
  } else {
    throw ToolError("unknown command '\(name)'\n\(help())")
  }
} catch {
  complain("recurrent: \(error)")
  exit(1)
}
