import ToolSupport

let commands: [any Command.Type] = [
  TrainText.self, Generate.self, Quantize.self, Inspect.self, RunAmp.self, RunExperiment.self,
]

func help() -> String {
  "usage: recurrent COMMAND [options]\n\n\(Options.table(commands.map { ($0.name, $0.summary) }))\n\n"
    + "'recurrent COMMAND --help' lists a command's options; 'recurrent --version' prints the version."
}

runTool("recurrent") {
  let arguments = Argument.all
  guard let name = arguments.first?.text else { throw ToolError("no command given\n\(help())") }
  if ["--help", "-h", "help"].contains(name) {
    printLine(help())
  } else if name == "--version" {
    printLine(Options.version)
  } else if let command = commands.first(where: { $0.name == name }) {
    try command.run(Array(arguments.dropFirst()))
  } else {
    throw ToolError("unknown command '\(name)'\n\(help())")
  }
}
