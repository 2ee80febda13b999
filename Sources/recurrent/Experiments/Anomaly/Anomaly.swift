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
      Option("seeds", "K", "series with other faults and another training, 1 by default; the median one is shown"),
    ] + Forecast.modelOptions

  /// What a detector found.
  private struct Findings: Sendable {
    /// How many steps after its beginning each fault was found, and by what; nil if it was missed.
    var found: [(delay: Int, sign: Detector.Sign)?]
    /// The first step of each false alarm.
    var falseAlarms: [Int] = []
    /// Every step with a sign of a fault.
    var alarms: [Int] = []
    var foundCount: Int { found.count { $0 != nil } }
    /// The found faults of all faults and false alarms.
    var score: Double { Double(foundCount) / Double(found.count + falseAlarms.count) }
  }

  /// The parts of a series: values to train on, clean ones to know the errors by, and those that are watched.
  private struct Split: Sendable {
    let trained: Int, clean: Int, watched: Int
    /// The first step that is watched.
    var start: Int { trained + clean }

    init(_ count: Int) {
      watched = count * 3 / 10
      clean = count * 15 / 100
      trained = count - clean - watched
    }
  }

  /// A series with the faults of a seed, and the model that will look for them.
  private struct Trial: Sendable {
    let seed: UInt64
    /// With the faults.
    let values: [Double]
    let faults: [Fault]
    let forecaster: Forecaster

    init(
      _ clean: [Double], season: Int, faultCount: Int, seed: UInt64, _ settings: Forecaster.Settings
    ) throws {
      let split = Split(clean.count)
      var random = SeededGenerator(seed: seed), values = clean
      faults = Fault.plan(count: faultCount, in: split.start..<clean.count, &random)
      let change = median(zip(values.dropFirst(), values).prefix(split.trained - 1).map { abs($0 - $1) }) * 1.4826
      for fault in faults { fault.plant(in: &values, change: change) }
      forecaster = try Forecaster(values, season: season, testCount: split.clean + split.watched, settings: settings)
      self.seed = seed
      self.values = values
    }
  }

  /// What a trial gave.
  private struct Outcome: Sendable {
    let trial: Trial
    /// The watched steps' values less their forecasts.
    let errors: [Double]
    /// The errors that are no alarm.
    let expectedErrors: ClosedRange<Double>
    let model: Findings
    let naive: Findings

    /// Trains the model.
    init(_ trial: Trial, threshold: Double, _ progress: (Double) throws -> Void) throws {
      let values = trial.values, split = Split(values.count), after = split.trained
      let forecasts = try trial.forecaster.run(seed: trial.seed, progress: progress).forecasts
      let errors = (after..<values.count).map { values[$0] - forecasts[$0 - after] }
      let naive = (after..<values.count).map { values[$0] - values[$0 - 1] }
      func findings(_ errors: [Double]) -> (Detector, Findings) {
        let detector = Detector(clean: Array(errors.prefix(split.clean)), threshold: threshold)
        return (detector, find(trial.faults, detector.signs(errors), after: after, from: split.start))
      }
      let (detector, found) = findings(errors)
      self.trial = trial
      self.errors = Array(errors.suffix(split.watched))
      expectedErrors = detector.expectedErrors
      model = found
      self.naive = findings(naive).1
    }
  }

  static func run(_ options: Options, _ report: Report) throws {
    let settings = try Forecast.modelSettings(options, report)
    let threshold = try options.number("threshold", in: 0.1...1000, default: 4.0)
    let seeds = try options.number("seeds", in: 1...1000, default: 1)
    let read = try options["data"].map { try Forecast.readSeries($0, column: options["column"], report) }
    if read == nil {
      for name in ["column", "season"] where options.has(name) { throw ToolError("--\(name) needs --data FILE") }
    }
    let count = read?.values.count ?? madeUpCount, split = Split(count)
    let season = try read == nil ? madeUpSeason : options.number("season", in: 1...max(1, count / 4), default: 1)
    let most = split.watched / (3 * Fault.smallestPiece)
    guard most >= 1 else {
      throw ToolError(
        "the series has \(count) values, expected at least \(Fault.smallestPiece * 10): the last three tenths get faults"
      )
    }
    let faultCount = try options.number("faults", in: 1...most, default: min(4, most))
    report.set("season", .integer(season))
    report.set("faults", .integer(faultCount))
    report.set("threshold", .number(threshold))
    report.set("seeds", .integer(seeds))

    let trials = try (0..<seeds).map { index in
      let seed = report.seed + UInt64(index)
      return try Trial(
        read?.values ?? madeUpSeries(seed), season: season, faultCount: faultCount, seed: seed, settings)
    }
    let name = read?.name ?? "value"
    report.say(
      "\(name): \(split.trained) values to train on, \(split.clean) clean ones to know the errors by, "
        + "\(split.watched) with \(trials[0].faults.count) faults; \(trials[0].forecaster.preparation.description)")
    let outcomes = try runJobs(seeds, threads: report.threads, label: "training") { index, progress in
      try Outcome(trials[index], threshold: threshold, progress)
    }
    let middle = median(outcomes) { $0.model.score }, cell = settings.cell.name.uppercased()
    addTables(middle, cell, report)
    if seeds > 1 { addSeeds(outcomes, shown: middle.trial.seed, cell, report) }
    draw(middle, name, report)
  }

  /// The watched steps, and the errors of the forecasts.
  private static func draw(_ outcome: Outcome, _ name: String, _ report: Report) {
    let values = outcome.trial.values, start = Split(values.count).start, alarms = outcome.model.alarms
    let shown = (start..<values.count).map(Double.init), faulty = outcome.trial.faults.flatMap { Array($0.steps) }
    var panel = Report.Panel("\(name) with planted faults", x: "step", y: name)
    panel.add("the series", .line, x: shown, y: Array(values[start...]))
    panel.add("planted faults", .points, x: faulty.map(Double.init), y: faulty.map { values[$0] })
    panel.add("alarms", .crosses, x: alarms.map(Double.init), y: alarms.map { values[$0] })
    report.add(panel)
    var second = Report.Panel("Error of the forecast", x: "step", y: "value - forecast")
    second.add("error", .line, x: shown, y: outcome.errors)
    let expected = outcome.expectedErrors
    for (label, limit) in [("limits of the expected errors", expected.upperBound), ("", expected.lowerBound)] {
      second.add(label, .dashed, x: [shown[0], shown[shown.count - 1]], y: [limit, limit])
    }
    report.add(second)
  }

  private static let madeUpCount = 2400, madeUpSeason = 48

  /// Two waves and noise that remembers its last value a little.
  private static func madeUpSeries(_ seed: UInt64) -> [Double] {
    var random = SeededGenerator(seed: seed &+ 1000), noise = 0.0
    return (0..<madeUpCount).map { step in
      noise = 0.6 * noise + random.nextNormal()
      return 20 + 6 * sin(2 * .pi * Double(step) / Double(madeUpSeason)) + 2
        * sin(4 * .pi * Double(step) / Double(madeUpSeason) + 1) + noise
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

  private static func addTables(_ outcome: Outcome, _ cell: String, _ report: Report) {
    let faults = outcome.trial.faults
    var table = Table(
      "faults",
      [.init("fault"), .init("step"), .init("length"), .init("size", decimals: 1), .init("found after"), .init("by")])
    for (fault, found) in zip(faults, outcome.model.found) {
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
    for (name, findings) in [(naiveName, outcome.naive), (cell, outcome.model)] {
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

  private static let naiveName = "naive: the last value"

  /// What every seed gave, and the medians.
  private static func addSeeds(_ outcomes: [Outcome], shown: UInt64, _ cell: String, _ report: Report) {
    var seeds = Table(
      "seeds",
      [
        .init("seed"), .init("faults"), .init("found by \(cell)"), .init("false alarms"), .init("found by naive"),
        .init("naive's false alarms"),
      ])
    for outcome in outcomes {
      seeds.add(
        [.integer(Int(outcome.trial.seed)), .integer(outcome.trial.faults.count)]
          + [outcome.model, outcome.naive].flatMap { [.integer($0.foundCount), .integer($0.falseAlarms.count)] })
    }
    report.say("\nabove: seed \(shown), the median one by the found faults of all faults and false alarms")
    report.add(seeds)
    var medians = Table(
      "medians", [.init("forecast"), .init("seeds"), .init("recall", decimals: 2), .init("false alarms", decimals: 0)])
    for (name, findings) in [(naiveName, outcomes.map(\.naive)), (cell, outcomes.map(\.model))] {
      medians.add([
        .text(name), .integer(outcomes.count),
        .number(median(findings.map { Double($0.foundCount) / Double($0.found.count) })),
        .number(median(findings.map { Double($0.falseAlarms.count) })),
      ])
    }
    report.add(medians)
    func sum(_ count: (Outcome) -> Int) -> Int { outcomes.reduce(0) { $0 + count($1) } }
    report.say(
      "\n\(cell) finds \(sum { $0.model.foundCount }) of \(sum { $0.trial.faults.count }) faults over "
        + "\(outcomes.count) seeds with \(sum { $0.model.falseAlarms.count }) false alarms, naive "
        + "\(sum { $0.naive.foundCount }) with \(sum { $0.naive.falseAlarms.count })")
  }
}
