import Foundation
import Recurrent
import RecurrentTraining
import ToolSupport

/// `recurrent experiment translate`: an encoder and a decoder, with attention and without.
enum Translate: Experiment {
  static let name = "translate"
  static let summary = "translate dates or number words by an encoder and a decoder, with attention and without"
  static let options = [
    Option("task", "TASK", "dates (default): written dates into ISO 8601; numbers: number words into digits"),
    Option("attention", "LIST", "of none, dot, general, additive and predictive; none,general by default"),
    Option("cell", "CELL", "gru, lstm or rnn; gru by default"),
    Option(
      "units", "H", "of the decoder, an even number; the encoder has half as many in each direction; 128 by default"),
    Option("embedding", "D", "size of a character's vector, 32 by default"),
    Option("pairs", "K", "pairs to train on, 10000 by default"),
    Option("held-out", "K", "pairs that are held out, 1000 by default"),
    Option("epochs", "E", "times through the pairs, 8 by default"),
    Option("batch", "N", "pairs in an update, 64 by default"),
    Option("learning-rate", "R", "of Adam, at its highest, 0.004 by default"),
    Option("input-feeding", nil, "the output of the attention is a part of the next input; takes longer"),
    Option("sampling", "P", "scheduled sampling: the probability of the model's own symbol, 0 by default"),
    Option("beam", "K", "sequences that the beam search follows, 5 by default"),
    Option("seeds", "K", "trainings of each model, 1 by default; the table gives the one with the median result"),
    Option("say", "TEXT", "translate this text at the end"),
  ]

  static func run(_ options: Options, _ report: Report) throws {
    let settings = try settings(options)
    let attentions = try options.choices("attention", among: TranslateAttention.allCases.named) ?? [.none, .general]
    let count = try options.number("pairs", in: 1...10_000_000, default: 10_000)
    let heldOut = try options.number("held-out", in: 1...10_000, default: 1000)
    let seeds = try options.number("seeds", in: 1...1000, default: 1)
    let text = try options["say"].map { try checked($0) }
    for (name, value) in [
      ("units", settings.units), ("embedding", settings.embeddingSize), ("pairs", count), ("held-out", heldOut),
      ("epochs", settings.epochs), ("batch", settings.batchSize), ("beam", settings.beam), ("seeds", seeds),
    ] { report.set(name, .integer(value)) }
    report.set("task", .text(settings.task.rawValue))
    report.set("cell", .text(settings.cell.name))
    report.set("learning-rate", .number(Double(settings.learningRate)))
    report.set("sampling", .number(settings.sampling))
    report.set("input-feeding", .text(settings.feedsInput ? "yes" : "no"))

    var random = SeededGenerator(seed: report.seed)
    let pairs = TranslateTask.pairs(settings.task, count: count, heldOut: heldOut, using: &random)
    report.say("\(settings.task.rawValue): \(count) pairs to train on, \(heldOut) held out, such as")
    for pair in pairs.heldOut.prefix(3) { report.say("  \(pair.source) -> \(pair.target)") }

    let jobs = attentions.flatMap { attention in (0..<seeds).map { (attention, report.seed &+ UInt64($0)) } }
    let trained = try runJobs(jobs.count, threads: report.threads, label: "training") { index, progress in
      var training = try TranslateTraining(settings, jobs[index].0, seed: jobs[index].1)
      try training.run(pairs.training, heldOut: pairs.heldOut, progress)
      return training
    }
    let groups = attentions.map { attention in trained.filter { $0.attention == attention } }
    let medians = groups.map { median($0, by: \.exact) }
    addEpochs(medians, to: report)
    addModels(medians, settings, to: report)
    if seeds > 1 { addSeeds(trained, to: report) }
    try addTranslations(medians, pairs.heldOut, text, to: report)
  }

  private static func settings(_ options: Options) throws -> TranslateSettings {
    var settings = TranslateSettings()
    settings.task = try options.choice("task", among: TranslateTask.allCases.named) ?? settings.task
    settings.cell = try options.cell() ?? settings.cell
    settings.units = try options.number("units", in: 2...4096, default: settings.units)
    guard settings.units.isMultiple(of: 2) else {
      throw ToolError("--units is '\(settings.units)', expected an even number")
    }
    settings.embeddingSize = try options.number("embedding", in: 1...4096, default: settings.embeddingSize)
    settings.epochs = try options.number("epochs", in: 1...100_000, default: settings.epochs)
    settings.batchSize = try options.number("batch", in: 1...10_000, default: settings.batchSize)
    settings.learningRate = try options.number("learning-rate", in: 1e-8...1e8, default: settings.learningRate)
    settings.sampling = try options.number("sampling", in: 0...1, default: 0.0)
    settings.beam = try options.number("beam", in: 1...1000, default: settings.beam)
    settings.feedsInput = options.has("input-feeding")
    return settings
  }

  /// The text of `--say` in lower case.
  ///
  /// - Throws: `ToolError` if it is empty or has a character that sources do not have.
  private static func checked(_ text: String) throws -> String {
    let text = text.lowercased()
    guard !text.isEmpty else { throw ToolError("--say is empty, expected a text to translate") }
    if let unknown = text.first(where: { !TranslateTask.sourceCharacters.contains($0) }) {
      throw ToolError(
        "--say has '\(unknown)', expected characters of \"\(String(TranslateTask.sourceCharacters))\"")
    }
    return text
  }

  // MARK: - Tables

  private static func addEpochs(_ trained: [TranslateTraining], to report: Report) {
    var table = Table(
      "epochs",
      [
        Table.Column("model"), Table.Column("epoch"), Table.Column("training loss", decimals: 4),
        Table.Column("exact", decimals: 3), Table.Column("seconds", decimals: 1),
      ])
    var exact = Report.Panel("Held-out sources that are translated exactly", x: "epoch", y: "fraction")
    var losses = Report.Panel("Training loss", x: "epoch", y: "nats a symbol")
    losses.hasLogarithmicY = true
    for training in trained {
      for (index, epoch) in training.epochs.enumerated() {
        table.add([
          .text(training.attention.title), .integer(index + 1), .number(epoch.loss), .number(epoch.exact),
          .number(epoch.seconds),
        ])
      }
      let x = training.epochs.indices.map { Double($0 + 1) }
      exact.add(training.attention.title, x: x, y: training.epochs.map(\.exact))
      losses.add(training.attention.title, x: x, y: training.epochs.map(\.loss))
    }
    report.add(table)
    report.add(exact)
    report.add(losses)
  }

  private static func addModels(
    _ trained: [TranslateTraining], _ settings: TranslateSettings, to report: Report
  ) {
    var table = Table(
      "models",
      [
        Table.Column("model"), Table.Column("parameters"), Table.Column("exact, greedy", decimals: 3),
        Table.Column("exact, beam of \(settings.beam)", decimals: 3), Table.Column("seconds", decimals: 1),
      ])
    for training in trained {
      table.add([
        .text(training.attention.title), .integer(training.model.parameterCount), .number(training.exact),
        .number(training.exactByBeam), .number(training.seconds),
      ])
    }
    report.add(table)
  }

  private static func addSeeds(_ trained: [TranslateTraining], to report: Report) {
    var table = Table(
      "seeds",
      [
        Table.Column("model"), Table.Column("seed"), Table.Column("exact, greedy", decimals: 3),
        Table.Column("exact, beam", decimals: 3), Table.Column("seconds", decimals: 1),
      ])
    for training in trained {
      table.add([
        .text(training.attention.title), .integer(Int(training.seed)), .number(training.exact),
        .number(training.exactByBeam), .number(training.seconds),
      ])
    }
    report.add(table)
  }

  /// Some translations, and the weights of the last model that has an attention.
  private static func addTranslations(
    _ trained: [TranslateTraining], _ heldOut: [TranslateTask.Pair], _ text: String?, to report: Report
  ) throws {
    let sources = heldOut.prefix(5).map(\.source) + (text.map { [$0] } ?? [])
    var table = Table(
      "translations", [Table.Column("source")] + trained.map { Table.Column($0.attention.title) })
    for source in sources {
      table.add([.text(source)] + (try trained.map { .text(try $0.translate(source).text) }))
    }
    report.add(table)
    guard let source = text ?? heldOut.first?.source,
      let attentive = trained.last(where: { $0.attention != .none })
    else { return }
    let (translation, weights) = try attentive.translate(source)
    guard let weights else { return }
    var panel = Report.Panel(
      "Where the decoder looks (\(attentive.attention.title))", x: "source", y: "translation")
    panel.heat = Report.Panel.Heat(
      columns: source.map(String.init), rows: translation.map(String.init) + ["end"],
      values: weights.map { $0.map(Double.init) })
    report.add(panel)
  }
}
