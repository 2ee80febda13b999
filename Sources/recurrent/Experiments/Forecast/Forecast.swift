import Foundation
import Recurrent
import RecurrentTraining
import ToolSupport

/// `recurrent experiment forecast`: does a recurrent network forecast a series better than a rule of thumb?
enum Forecast: Experiment {
  static let name = "forecast"
  static let summary = "forecast a series, beside forecasts that learn nothing"
  static let options =
    [
      Option("data", "FILE", "a CSV file with a header; without it, 100, 102, 105, 107, 110 and what comes next"),
      Option("column", "NAME", "the column with the values, the last one by default"),
      Option("season", "K", "the steps of a season: 12 for months, 365 for days; 1 by default, which is none"),
      Option("test", "K", "the last values, which are only forecast: a sixth of them by default"),
      Option("leave-out", "K", "drop the last values first: what settings are chosen on; 0 by default"),
      Option("seeds", "K", "trainings, whose median counts; 5 by default"),
    ] + modelOptions

  /// How a model is trained.
  static let modelOptions = [
    Option("cell", "CELL", "lstm (default), gru or rnn"),
    Option("hidden", "H", "hidden units, 16 by default"),
    Option("window", "T", "the steps that the model sees, 24 by default"),
    Option("epochs", "E", "times through the training part, 30 by default"),
    Option("batch", "N", "windows in an update, 32 by default"),
    Option("learning-rate", "R", "at its highest, 0.003 by default"),
    Option("weight-decay", "W", "0.1 by default"),
  ]

  static func run(_ options: Options, _ report: Report) throws {
    let seeds = try options.number("seeds", in: 1...1000, default: 5)
    guard let path = options["data"] else {
      for name in ["column", "season", "test", "leave-out", "seeds"] where options.has(name) {
        throw ToolError("--\(name) needs --data FILE")
      }
      let few = Forecaster.Settings(window: 2, epochs: 150, learningRate: 0.02)
      return try runFive(try modelSettings(options, report, default: few), report)
    }
    let settings = try modelSettings(options, report)
    let all = try readSeries(path, column: options["column"], report)
    let dropped = try options.number("leave-out", in: 0...max(0, all.values.count - 4), default: 0)
    let values = Array(all.values.dropLast(dropped))
    let season = try options.number("season", in: 1...max(1, values.count / 3), default: 1)
    let count = try options.number("test", in: 1...max(1, values.count - 3), default: max(1, values.count / 6))
    report.set("season", .integer(season))
    report.set("test", .integer(count))
    report.set("leave-out", .integer(dropped))
    report.set("seeds", .integer(seeds))
    let forecaster = try Forecaster(values, season: season, testCount: count, settings: settings)
    report.say(
      "\(all.name): \(values.count) values, of which the last \(count) are forecast, each from those before it")
    report.say(
      "\(forecaster.preparation.description); \(forecaster.trainingCount) windows of \(settings.window) steps to train on"
    )
    try run(forecaster, values, season: season, seeds: seeds, all.name, report)
  }

  /// - Throws: `ToolError` if an option is wrong.
  static func modelSettings(
    _ options: Options, _ report: Report, default standard: Forecaster.Settings = .init()
  ) throws -> Forecaster.Settings {
    var settings = standard
    settings.cell = try options.cell() ?? settings.cell
    settings.hiddenSize = try options.number("hidden", in: 1...10_000, default: settings.hiddenSize)
    settings.window = try options.number("window", in: 1...100_000, default: settings.window)
    settings.epochs = try options.number("epochs", in: 1...100_000, default: settings.epochs)
    settings.batchSize = try options.number("batch", in: 1...100_000, default: settings.batchSize)
    settings.learningRate = try options.number("learning-rate", in: 1e-8...1e30, default: settings.learningRate)
    settings.weightDecay = try options.number("weight-decay", in: 0...1, default: settings.weightDecay)
    report.set("cell", .text(settings.cell.name))
    report.set("hidden", .integer(settings.hiddenSize))
    report.set("window", .integer(settings.window))
    report.set("epochs", .integer(settings.epochs))
    report.set("batch", .integer(settings.batchSize))
    report.set("learning-rate", .number(Double(settings.learningRate)))
    report.set("weight-decay", .number(Double(settings.weightDecay)))
    return settings
  }

  /// A column of a CSV file, the last one by default.
  static func readSeries(
    _ path: String, column: String?, _ report: Report
  ) throws -> (name: String, values: [Double]) {
    let table = try CSVTable(contentsOf: path), last = CSVTable.Column.index(table.columnCount - 1)
    let index = try table.index(of: column.map { .name($0) } ?? last)
    let values = try table.numbers(.index(index), as: Double.self)
    guard values.count >= 4 else { throw ToolError("\(path) has \(counted(values.count, "row")), expected at least 4") }
    report.set("data", .text(path))
    report.set("column", .text(table.header[index]))
    return (table.header[index], values)
  }

  // MARK: - The textbooks' five values

  private static func runFive(_ settings: Forecaster.Settings, _ report: Report) throws {
    let values: [Double] = [100, 102, 105, 107, 110]
    let forecaster = try Forecaster(values, season: 1, testCount: 0, settings: settings)
    report.say("100, 102, 105, 107, 110: the model sees the changes, \(settings.window) at a time")
    let result = try forecaster.run(seed: report.seed) { _ in try Interrupted.check() }
    addLosses([result], report)
    report.say(String(format: "\nnext value: %.2f", result.next))
    var panel = Report.Panel("Five values and the next one", x: "step", y: "value")
    panel.add("the series", .line, y: values)
    panel.add("the forecast", .points, x: [5], y: [result.next])
    report.add(panel)
    report.set("next", .number(result.next))
  }

  // MARK: - A file

  private static func run(
    _ forecaster: Forecaster, _ values: [Double], season: Int, seeds: Int, _ name: String, _ report: Report
  ) throws {
    let first = report.seed, start = values.count - forecaster.testCount
    guard start > season else {
      throw ToolError(
        "--test is \(forecaster.testCount) of \(values.count) values, expected at most \(values.count - season - 1): "
          + "a season of \(season) and one more value come before the test part")
    }
    let results = try runJobs(seeds, threads: report.threads, label: "training") { index, progress in
      try forecaster.run(seed: first + UInt64(index), progress: progress)
    }
    let truth = Array(values[start...])
    func errors(_ forecasts: [Double]) throws -> ForecastErrors {
      try ForecastErrors(forecasts.map(Float.init), of: truth.map(Float.init))
    }
    addLosses(results, report)

    var rules: [(name: String, forecasts: [Double])] = [
      ("naive: the last value", truth.indices.map { values[start + $0 - 1] })
    ]
    if season > 1 {
      rules.append(("seasonal naive: the value a season ago", truth.indices.map { values[start + $0 - season] }))
      rules.append(
        (
          "last value + change a season ago",
          truth.indices.map { Preparation.Simple.change.forecast(values, start + $0, season: season) }
        ))
      if values.allSatisfy({ $0 > 0 }) {
        rules.append(
          (
            "last value · ratio a season ago",
            truth.indices.map {
              values[start + $0 - 1] * values[start + $0 - season] / values[start + $0 - season - 1]
            }
          ))
      }
    }
    let naive = try errors(rules[0].forecasts).rootMeanSquared
    var table = Table(
      "errors",
      [.init("forecast"), .init("RMSE", decimals: 3), .init("MAE", decimals: 3), .init("of naive's RMSE", decimals: 3)])
    func add(_ name: String, _ errors: ForecastErrors) {
      table.add([
        .text(name), .number(errors.rootMeanSquared), .number(errors.meanAbsolute),
        .number(errors.rootMeanSquared / naive),
      ])
    }
    for rule in rules { add(rule.name, try errors(rule.forecasts)) }
    let trained = try results.map { (result: $0, errors: try errors($0.forecasts)) }
    let cell = forecaster.settings.cell.name.uppercased(), middle = median(trained) { $0.errors.rootMeanSquared }
    add(seeds == 1 ? cell : "\(cell), median of \(seeds) seeds", middle.errors)
    if seeds > 1 {
      let ranked = trained.map(\.errors).sorted { $0.rootMeanSquared < $1.rootMeanSquared }
      add("\(cell), best seed", ranked[0])
      add("\(cell), worst seed", ranked[seeds - 1])
      let mean = truth.indices.map { step in results.reduce(0) { $0 + $1.forecasts[step] } / Double(seeds) }
      add("\(cell), mean of the seeds' forecasts", try errors(mean))
    }
    report.add(table)
    report.say(String(format: "\nnext value after the series: %g (median seed)", middle.result.next))

    let best = try rules.map { ($0, try errors($0.forecasts).rootMeanSquared) }.min { $0.1 < $1.1 }!.0
    draw(name, values, from: start, [(best.name, best.forecasts), (cell, middle.result.forecasts)], report)
  }

  /// The end of the series with forecasts from `start` on.
  private static func draw(
    _ name: String, _ values: [Double], from start: Int, _ forecasts: [(name: String, values: [Double])],
    _ report: Report
  ) {
    // More than some months of days could not be told apart.
    let count = min(120, values.count - start), first = values.count - count, shown = max(0, first - min(24, count))
    let steps = (first..<values.count).map(Double.init), truth = values[first...]
    var panel = Report.Panel("\(name), one step ahead", x: "step", y: name)
    var errors = Report.Panel("Forecast - value", x: "step", y: "difference")
    panel.add("the series", .line, x: (shown..<values.count).map(Double.init), y: Array(values[shown...]))
    for (index, forecast) in forecasts.enumerated() {
      let style: Report.Panel.Style = index == 0 ? .dashed : .line, last = Array(forecast.values.suffix(count))
      panel.add(forecast.name, style, x: steps, y: last)
      errors.add(forecast.name, style, x: steps, y: zip(last, truth).map { $0 - $1 })
    }
    report.add(panel)
    report.add(errors)
  }

  /// A table of some epochs, with the mean loss of all seeds.
  private static func addLosses(_ results: [Forecaster.Result], _ report: Report) {
    let epochs = results[0].losses.count
    let losses = (0..<epochs).map { epoch in results.reduce(0) { $0 + $1.losses[epoch] } / Double(results.count) }
    var table = Table("epochs", [.init("epoch"), .init("training loss", decimals: 4)])
    for epoch in 1...epochs where epoch == 1 || epoch == epochs || epoch % max(1, (epochs + 9) / 10) == 0 {
      table.add([.integer(epoch), .number(losses[epoch - 1])])
    }
    report.add(table)
  }
}
