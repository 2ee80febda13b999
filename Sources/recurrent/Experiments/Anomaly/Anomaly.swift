import Foundation
import Recurrent
import RecurrentTraining
import ToolSupport

/// `recurrent experiment anomaly`: does a model that forecasts a series notice when its sensor fails?
enum Anomaly: Experiment {
  static let name = "anomaly"
  static let summary = "find planted faults of a sensor by what a forecast did not expect"
  static let options =
    [
      Option("data", "FILE", "a CSV file with a header; without it, a made-up series with seasons and noise"),
      Option("column", "NAME", "the column with the values, the last one by default"),
      Option("season", "K", "the steps of a season; 1 by default, which is none; 48 of the made-up series"),
      Option("faults", "K", "faults of each kind: spike, stuck and shift; 4 by default"),
      Option("threshold", "X", "how far errors may be from their median, in robust deviations, 4 by default"),
    ] + Forecast.modelOptions

  /// What a detector found.
  private struct Findings {
    /// How many steps after its beginning each fault was found, and by what; nil if it was missed.
    var found: [(delay: Int, sign: Detector.Sign)?]
    /// The first step of each false alarm.
    var falseAlarms: [Int] = []
    /// Every step with a sign of a fault.
    var alarms: [Int] = []
    var foundCount: Int { found.count { $0 != nil } }
  }

  static func run(_ options: Options, _ report: Report) throws {
    let settings = try Forecast.modelSettings(options, report)
    let threshold = try options.number("threshold", in: 0.1...1000, default: 4.0)
    let series: (name: String, values: [Double]), season: Int
    if let path = options["data"] {
      series = try Forecast.readSeries(path, column: options["column"], report)
      season = try options.number("season", in: 1...max(1, series.values.count / 4), default: 1)
    } else {
      for name in ["column", "season"] where options.has(name) { throw ToolError("--\(name) needs --data FILE") }
      (series, season) = (("value", madeUpSeries(report.seed)), 48)
    }
    let count = series.values.count, watched = count * 3 / 10, clean = count * 15 / 100
    let most = watched / (3 * Fault.smallestPiece)
    guard most >= 1 else {
      throw ToolError(
        "the series has \(count) values, expected at least \(Fault.smallestPiece * 10): the last three tenths get faults"
      )
    }
    let faultCount = try options.number("faults", in: 1...most, default: min(4, most))
    report.set("season", .integer(season))
    report.set("faults", .integer(faultCount))
    report.set("threshold", .number(threshold))

    var random = SeededGenerator(seed: report.seed), values = series.values
    let start = count - watched
    let faults = Fault.plan(count: faultCount, in: start..<count, &random)
    let change = median(zip(values.dropFirst(), values).prefix(start - clean - 1).map { abs($0 - $1) }) * 1.4826
    for fault in faults { fault.plant(in: &values, change: change) }

    let forecaster = try Forecaster(values, season: season, testCount: clean + watched, settings: settings)
    report.say(
      "\(series.name): \(count - clean - watched) values to train on, \(clean) clean ones to know the errors by, "
        + "\(watched) with \(faults.count) faults; \(forecaster.preparation.description)")
    let seed = report.seed
    let result = try runJobs(1, threads: 1, label: "training") { _, progress in
      try forecaster.run(seed: seed, progress: progress)
    }[0]

    let after = start - clean, cell = settings.cell.name.uppercased()
    let errors = (after..<count).map { values[$0] - result.forecasts[$0 - after] }
    let naive = (after..<count).map { values[$0] - values[$0 - 1] }
    let detector = Detector(clean: Array(errors.prefix(clean)), threshold: threshold)
    let naiveDetector = Detector(clean: Array(naive.prefix(clean)), threshold: threshold)
    let findings = find(faults, detector.signs(errors), after: after, from: start)
    let naiveFindings = find(faults, naiveDetector.signs(naive), after: after, from: start)
    addTables(faults, findings, naiveFindings, cell, report)

    let shown = (start..<count).map(Double.init)
    var panel = Report.Panel("\(series.name) with planted faults", x: "step", y: series.name)
    panel.add("the series", .line, x: shown, y: Array(values[start...]))
    let faulty = faults.flatMap { Array($0.steps) }
    panel.add("planted faults", .points, x: faulty.map(Double.init), y: faulty.map { values[$0] })
    panel.add("alarms", .crosses, x: findings.alarms.map(Double.init), y: findings.alarms.map { values[$0] })
    report.add(panel)
    var second = Report.Panel("Error of the forecast", x: "step", y: "value - forecast")
    second.add("error", .line, x: shown, y: Array(errors.suffix(watched)))
    for limit in [detector.largestError, -detector.largestError] {
      second.add(
        limit > 0 ? "largest expected error" : "", .dashed, x: [shown[0], shown[watched - 1]], y: [limit, limit])
    }
    report.add(second)
  }

  /// Two waves and noise that remembers its last value a little.
  private static func madeUpSeries(_ seed: UInt64) -> [Double] {
    var random = SeededGenerator(seed: seed &+ 1000), noise = 0.0
    return (0..<2400).map { step in
      noise = 0.6 * noise + random.nextNormal()
      return 20 + 6 * sin(2 * .pi * Double(step) / 48) + 2 * sin(4 * .pi * Double(step) / 48 + 1) + noise
    }
  }

  /// - Parameters:
  ///   - signs: of each step from `after` on.
  ///   - start: the first step that is watched.
  private static func find(_ faults: [Fault], _ signs: [Detector.Sign?], after: Int, from start: Int) -> Findings {
    var findings = Findings(found: Array(repeating: nil, count: faults.count)), last = Int.min / 2
    for (index, sign) in signs.enumerated() where index + after >= start {
      guard let sign else { continue }
      let step = index + after
      findings.alarms.append(step)
      // A fault is in the last errors for a while after its end.
      if let fault = faults.firstIndex(where: {
        step >= $0.steps.lowerBound && step < $0.steps.upperBound + Detector.length
      }) {
        if findings.found[fault] == nil { findings.found[fault] = (step - faults[fault].steps.lowerBound, sign) }
      } else {
        if step - last > Detector.length { findings.falseAlarms.append(step) }
        last = step
      }
    }
    return findings
  }

  private static func addTables(
    _ faults: [Fault], _ findings: Findings, _ naive: Findings, _ cell: String, _ report: Report
  ) {
    var table = Table(
      "faults",
      [.init("fault"), .init("step"), .init("length"), .init("size", decimals: 1), .init("found after"), .init("by")])
    for (fault, found) in zip(faults, findings.found) {
      table.add([
        .text(fault.kind.rawValue), .integer(fault.steps.lowerBound), .integer(fault.steps.count),
        fault.kind == .stuck ? .missing : .number(fault.size), found.map { .integer($0.delay) } ?? .missing,
        .text(found?.sign.rawValue ?? "missed"),
      ])
    }
    report.add(table)

    var summary = Table(
      "summary",
      [
        .init("forecast"), .init("found"), .init("missed"), .init("false alarms"), .init("precision", decimals: 2),
        .init("recall", decimals: 2),
      ] + Fault.Kind.allCases.map { .init($0.rawValue) })
    for (name, findings) in [("naive: the last value", naive), (cell, findings)] {
      let found = findings.foundCount, alarms = found + findings.falseAlarms.count
      let kinds: [Value] = Fault.Kind.allCases.map { kind in
        let all = zip(faults, findings.found).filter { $0.0.kind == kind }
        return .text("\(all.count { $0.1 != nil }) of \(all.count)")
      }
      summary.add(
        [
          .text(name), .integer(found), .integer(faults.count - found), .integer(findings.falseAlarms.count),
          alarms == 0 ? .missing : .number(Double(found) / Double(alarms)),
          .number(Double(found) / Double(faults.count)),
        ] + kinds)
    }
    report.add(summary)
  }
}
