import Foundation
import Recurrent
import RecurrentTraining
import ToolSupport

/// `recurrent experiment memory`: how far back cells can learn to look, and what their gradients do on the way.
enum Memory: Experiment {
  static let name = "memory"
  static let summary = "the adding and the copy problem over lags, and the gradients that vanish or explode"
  static let options = [
    Option("problem", "NAME", "adding, copy or both (default)"),
    Option("cells", "LIST", "of rnn, irnn (ReLU from the identity), indrnn, gru and lstm; all by default"),
    Option("lags", "LIST", "numbers of steps, 10,50,100,200 by default"),
    Option("units", "H", "hidden units, 32 by default"),
    Option("updates", "U", "at most so many of 32 sequences each, 3000 by default; a cell that has learned stops"),
    Option("full", nil, "also lags of 400 and 1000, and up to 5000 updates: ten minutes on two free cores"),
  ]

  static func run(_ options: Options, _ report: Report) throws {
    let kinds = MemoryProblem.allCases
    let problems = try options.choice("problem", among: kinds.map { ($0.rawValue, [$0]) } + [("both", kinds)]) ?? kinds
    let cells = try options.choices("cells", among: MemoryCell.allCases.named) ?? MemoryCell.allCases
    let isFull = options.has("full")
    let lags = try lags(options) ?? (isFull ? [10, 50, 100, 200, 400, 1000] : [10, 50, 100, 200])
    let units = try options.number("units", in: 1...10_000, default: 32)
    let updates = try options.number("updates", in: 1...10_000_000, default: isFull ? 5000 : 3000)
    report.set("units", .integer(units))
    report.set("updates", .integer(updates))

    // The longest trainings start first, so that all threads end at about the same time.
    let jobs = lags.sorted(by: >).flatMap { lag in
      problems.flatMap { problem in cells.reversed().map { MemoryTraining(problem, $0, lag: lag) } }
    }
    let seed = report.seed
    let trained = try runJobs(jobs.count, threads: report.threads, label: "training") { index, progress in
      var training = jobs[index]
      try training.run(units: units, limit: updates, seed: seed, progress)
      return training
    }
    for problem in problems {
      addResults(problem, cells, lags, trained.filter { $0.problem == problem }, to: report)
    }
    addTrainings(trained, problems, cells, to: report)
    // At lag 1000, powers of 1.05 would overflow the loss.
    try addGradients(lag: min(200, lags.max()!), units: units, to: report)
    try addClipping(lag: min(100, lags.max()!), units: units, to: report)
  }

  private static func lags(_ options: Options) throws -> [Int]? {
    guard let text = options["lags"] else { return nil }
    let lags = try text.split(separator: ",", omittingEmptySubsequences: false).map { part in
      guard let lag = Int(part), (2...100_000).contains(lag) else {
        throw ToolError("--lags has '\(part)', expected numbers from 2 to 100000 with commas between them")
      }
      return lag
    }
    guard Set(lags).count == lags.count else { throw ToolError("--lags is '\(text)', expected each lag once") }
    return lags
  }

  // MARK: - Who learns

  private static func addResults(
    _ problem: MemoryProblem, _ cells: [MemoryCell], _ lags: [Int], _ trained: [MemoryTraining], to report: Report
  ) {
    let isAdding = problem == .adding
    report.say(
      isAdding
        ? "\nAdding: the mean squared error by lag. The constant answer 1 has 0.1667."
        : "\nCopy: the fraction of \(MemoryProblem.remembered) symbols that are right, by lag. Guesses have "
          + String(format: "%.3f.", 1 / Double(MemoryProblem.symbols)))
    var table = Table(
      problem.rawValue, [Table.Column("cell")] + lags.map { Table.Column("\($0)", decimals: isAdding ? 4 : 3) })
    var panel = Report.Panel(
      isAdding ? "Adding: mean squared error" : "Copy: symbols that are right", x: "lag",
      y: isAdding ? "error" : "fraction")
    panel.hasLogarithmicX = true
    panel.hasLogarithmicY = isAdding
    for cell in cells {
      let scores = lags.map { lag in trained.first { $0.cell == cell && $0.lag == lag }?.score ?? .nan }
      table.add([.text(cell.title)] + scores.map { .number($0) })
      panel.add(cell.title, x: lags.map(Double.init), y: scores)
    }
    report.add(table)
    report.add(panel)
  }

  private static func addTrainings(
    _ trained: [MemoryTraining], _ problems: [MemoryProblem], _ cells: [MemoryCell], to report: Report
  ) {
    var table = Table(
      "trainings",
      [
        Table.Column("problem"), Table.Column("cell"), Table.Column("lag"), Table.Column("updates"),
        Table.Column("score", decimals: 4), Table.Column("learned"), Table.Column("seconds", decimals: 1),
      ])
    var errors = Table(
      "errors", [Table.Column("error of"), Table.Column("cell"), Table.Column("lag"), Table.Column("what it was")])
    for problem in problems {
      for cell in cells {
        let own = trained.filter { $0.problem == problem && $0.cell == cell }
        for training in own.sorted(by: { $0.lag < $1.lag }) {
          table.add([
            .text(problem.rawValue), .text(cell.title), .integer(training.lag), .integer(training.updates),
            .number(training.score), .text(training.failure != nil ? "error" : training.hasLearned ? "yes" : "no"),
            .number(training.seconds),
          ])
          if let failure = training.failure {
            errors.add([.text(problem.rawValue), .text(cell.title), .integer(training.lag), .text(failure)])
          }
        }
      }
    }
    report.add(table)
    if !errors.rows.isEmpty { report.add(errors) }
  }

  // MARK: - Gradients

  private static func addGradients(lag: Int, units: Int, to report: Report) throws {
    var random = SeededGenerator(seed: report.seed)
    let batch = try MemoryProblem.adding.batch(lag: lag, count: 32, using: &random)
    let head = try Dense(inputSize: units, outputSize: 1, seed: report.seed)
    func plain(_ cell: Cell, forgetBias: Double? = nil) throws -> Layer<Float> {
      try Layer(
        cell, inputSize: 2, hiddenSize: units,
        initialization: Initialization(forgetBias: forgetBias, seed: report.seed))
    }
    func start(_ cell: MemoryCell) throws -> Layer<Float> {
      try cell.layer(inputSize: 2, units: units, steps: lag, seed: report.seed)
    }
    let layers: [(name: String, layer: Layer<Float>)] = [
      ("RNN, tanh, as PyTorch draws it", try plain(.rnn())), ("RNN, tanh, orthogonal U", try start(.rnn)),
      ("RNN, ReLU from I", try start(.irnn)),
      (
        "RNN, ReLU from \(MemoryClipping.identity)·I",
        try MemoryCell.reluLayer(
          identity: MemoryClipping.identity, inputSize: 2, units: units, steps: lag, random: &random)
      ),
      ("GRU, as PyTorch draws it", try plain(.gru())), ("GRU, biases log k", try start(.gru)),
      ("LSTM, forget bias 1", try plain(.lstm(), forgetBias: 1)), ("LSTM, biases ±log k", try start(.lstm)),
    ]
    let places = [lag, lag - lag / 20, lag / 2, 0]
    var table = Table(
      "gradients", [Table.Column("before training")] + places.map { Table.Column("t = \($0)") })
    var panel = Report.Panel(
      "The norm of dL/dh[t] (of dL/dc[t]: dashed), divided by that of dL/dh[T]", x: "t", y: "norm")
    panel.hasLogarithmicY = true
    for (name, layer) in layers {
      try Interrupted.check()
      let norms = try MemoryGradients(layer, head, batch), last = norms.h[lag]
      for (kind, values) in [("dL/dh", norms.h), ("dL/dc", norms.c)] where !values.isEmpty {
        let relative = values.map { $0 / last }
        let label = norms.c.isEmpty ? name : "\(name), \(kind)"
        table.add([.text(label)] + places.map { .text(String(format: "%.1e", relative[$0])) })
        panel.add(label, kind == "dL/dc" ? .dashed : .line, y: relative.map { $0 > 0 ? $0 : .nan })
      }
    }
    report.say("\nThe norm of the loss's gradient by the state of step t, divided by that of dL/dh[\(lag)]:")
    report.add(table)
    report.add(panel)
  }

  private static func addClipping(lag: Int, units: Int, to report: Report) throws {
    let updates = 200, seed = report.seed
    let both = try runJobs(2, threads: report.threads, label: "clipping") { index, progress in
      try MemoryClipping(
        index == 0 ? .none : .norm(1), lag: lag, units: units, updates: updates, seed: seed, progress)
    }
    var table = Table(
      "clipping",
      [
        Table.Column("update"), Table.Column("loss, not clipped"), Table.Column("norm, not clipped"),
        Table.Column("loss, clipped"), Table.Column("norm, clipped"),
      ])
    func value(_ values: [Double], _ update: Int) -> Value {
      update <= values.count ? .text(String(format: "%.3g", values[update - 1])) : .missing
    }
    for update in [1, 2, 3, 4, 5, 10, 20, 50, 100, 200] {
      table.add(
        [.integer(update)] + both.flatMap { [value($0.losses, update), value($0.norms, update)] })
    }
    report.say(
      "\nRNN, ReLU from \(MemoryClipping.identity)·I, the adding problem at lag \(lag) by SGD: the loss and the norm of the "
        + "gradient, without and with clipping at 1:")
    report.add(table)
    if let failure = both[0].failure {
      report.say("without clipping, the training ended at update \(failure.update): \(failure.error)")
    }
    var panel = Report.Panel("The loss with and without clipping", x: "update", y: "mean squared error")
    panel.hasLogarithmicY = true
    for (name, training) in zip(["not clipped", "clipped at 1"], both) {
      panel.add(
        name, name == "not clipped" ? .crosses : .line, x: training.losses.indices.map { Double($0 + 1) },
        y: training.losses)
    }
    report.add(panel)
  }
}
