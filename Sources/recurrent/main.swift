import Foundation
import ToolSupport

let commands: [any Command.Type] = [
  TrainText.self, Generate.self, Quantize.self, Inspect.self, RunAmp.self, RunExperiment.self,
]

func help() -> String {
  "usage: recurrent COMMAND [options]\n\n\(Options.table(commands.map { ($0.name, $0.summary) }))\n\n"
    + "'recurrent COMMAND --help' lists a command's options; 'recurrent --version' prints the version."
}

do {
  let arguments = Argument.all
  guard let name = arguments.first?.text else { throw ToolError("no command given\n\(help())") }
  if ["--help", "-h", "help"].contains(name) {
    print(help())
  } else if name == "--version" {
    print(Options.version)
  } else if let command = commands.first(where: { $0.name == name }) {
    try command.run(Array(arguments.dropFirst()))
  } else {
    throw ToolError("unknown command '\(name)'\n\(help())")
  }
} catch let end as EarlyEnd {
  if let message = end.message { complain("recurrent: \(message)") }
  exit(end.status)
} catch {
  complain("recurrent: \(error)")
  exit(1)
}
