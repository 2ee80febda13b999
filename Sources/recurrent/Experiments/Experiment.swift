import CToolSupport
import Foundation
import Recurrent
import RecurrentFiles
import RecurrentTraining
import ToolSupport

/// What `recurrent experiment NAME` runs: a question about recurrent networks, answered with tables and a picture.
///
/// To add one, write a type that conforms, and add it to `RunExperiment.all`.
protocol Experiment: SendableMetatype {
  static var name: String { get }
  /// A sentence for the list of experiments.
  static var summary: String { get }
  /// Its own options, besides those that all experiments have.
  static var options: [Option] { get }
  /// Runs it. `Report` takes what it finds: tables, panels of the picture, settings.
  static func run(_ options: Options, _ report: Report) throws
}

/// `recurrent experiment NAME`.
enum RunExperiment: Command {
  static let all: [any Experiment.Type] = [
    Text.self, Sentiment.self, Forecast.self, Memory.self, Compare.self, Anomaly.self, Speech.self, Tagging.self,
    Translate.self,
  ]

  static let name = "experiment"
  static let summary = "run an experiment, and write its tables and its picture"
  static let usage = "NAME [options]"
  static let options: [Option] = []

  /// The options of every experiment.
  static let common = [
    Option("seed", "S", "equal seeds give equal results, 1 by default"),
    Option("threads", "K", "2 by default, if there are as many cores"),
    Option("json", "FILE", "write settings, tables and curves"),
    Option("picture", "FILE", "draw the curves with Python's matplotlib: .svg, .png or .pdf"),
    Option("python", "FILE", "the Python that draws, python3 by default"),
  ]

  private static var list: String {
    "usage: recurrent experiment NAME [options]\n\n\(Options.table(all.map { ($0.name, $0.summary) }))\n\n"
      + "'recurrent experiment NAME --help' lists an experiment's options."
  }

  static func run(_ options: Options) throws {}

  static func run(_ arguments: [Argument]) throws {
    guard let name = arguments.first?.text else { throw ToolError("no experiment given\n\(list)") }
    if ["--help", "-h", "help"].contains(name) {
      printLine(list)
    } else if name == "--version" {
      printLine(Options.version)
    } else if let experiment = all.first(where: { $0.name == name }) {
      try run(experiment, Array(arguments.dropFirst()))
    } else {
      throw ToolError("unknown experiment '\(name)'\n\(list)")
    }
  }

  private static func run(_ experiment: any Experiment.Type, _ arguments: [Argument]) throws {
    guard
      let options = try Options(
        arguments, known: experiment.options + common, usage: "recurrent experiment \(experiment.name) [options]")
    else { return }
    if options.has("distributed") {
      try runDistributed { ranks in try run(experiment, options, ranks) }
    } else {
      try run(experiment, options, nil)
    }
  }

  private static func run(_ experiment: any Experiment.Type, _ options: Options, _ ranks: Ranks?) throws {
    let report = try Report(experiment.name, options, ranks)
    note_interrupts()
    // A signal reaches all ranks. The first one that ends makes the others throw its error.
    do { try experiment.run(options, report) } catch
      where error is Interrupted || noted_interrupt() != 0 && ranks != nil
    {
      try report.finish(isInterrupted: true)
      let reason = error is Interrupted ? "" : " (\(error))"
      throw EarlyEnd(status: 128 + noted_interrupt(), message: "interrupted: the tables are not complete\(reason)")
    } catch {
      // After an error, what was found before it is written too, as after a signal.
      stop_noting_interrupts()
      if report.hasRows { try? report.finish(isInterrupted: true) }
      throw error
    }
    stop_noting_interrupts()
    try report.finish()
  }
}

/// A signal asked the experiment to end.
struct Interrupted: Error {
  /// - Throws: `Interrupted` if a signal was noted. Experiments call it often enough to end within a moment.
  static func check() throws { if noted_interrupt() != 0 { throw Interrupted() } }
}

/// Runs `write`, which writes to `path`. While signals are noted, a write to a pipe without a reader could not be
/// interrupted. So if `path` is not a regular file, a signal ends the process during the write, as it does by default.
///
/// - Throws: `Interrupted` if a signal was noted before the write to such a path, or the errors of `write`.
func endingBySignals(_ path: FilePath, _ write: () throws -> Void) throws {
  guard path.mayKeepWaiting else { return try write() }
  stop_noting_interrupts()
  defer { note_interrupts() }
  try Interrupted.check()
  try write()
}
