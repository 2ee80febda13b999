import Foundation
import Recurrent
import RecurrentTraining
import ToolSupport

/// `recurrent experiment sentiment`: whether a text is positive or negative, or any other class.
enum Sentiment: Experiment {
  static let name = "sentiment"
  static let summary = "classify texts: the IMDb model of the Keras tutorials, and a better one"
  static let options = [
    Option("data", "PATH", "a folder with a folder or a file for each class, or a CSV file"),
    Option("positive", "FILE", "instead of --data: a positive text in each line"),
    Option("negative", "FILE", "with --positive: a negative text in each line"),
    Option("text", "NAME", "the column of a CSV file with the texts, 'text' by default"),
    Option("label", "NAME", "the column of a CSV file with the classes, 'label' by default"),
    Option("cell", "CELL", "of the tutorial's model: rnn, gru or lstm; all three by default"),
    Option("model", "MODEL", "tutorial, better or both (default)"),
    Option("seeds", "K", "trainings of each model, 1 by default; the table gives their median"),
    Option("epochs", "E", "at most, 12 by default; a training ends earlier if it gets no better"),
    Option("split-seed", "S", "which texts are held out, 1 by default"),
    Option("save", "FILE", "of one training: write the model, its optimizer and its vocabulary after every epoch"),
    distributedOption,
    Option("say", "TEXT", "classify this text at the end, or each line of the standard input if it is -"),
  ]

  static func run(_ options: Options, _ report: Report) throws {
    var models = try settings(options)
    let seeds = try options.number("seeds", in: 1...1000, default: 1)
    let splitSeed = try options.number("split-seed", in: 0...UInt64(UInt32.max), default: 1)
    let epochs = try options.number("epochs", in: 1...100_000, default: 12)
    for index in models.indices { models[index].epochs = epochs }
    guard !options.has("save") || models.count * seeds == 1 else {
      throw ToolError(
        "--save is of one training, expected no --seeds, and --model better, or --model tutorial with a --cell; these are "
          + "\(models.count * seeds)")
    }
    if report.writes { try options.checkWritable("save") }
    let data = try SentimentData(try SentimentData.read(options), splitSeed: splitSeed)
    if let ranks = report.ranks {
      try ranks.check([
        "the version": Options.version, "the instruction set": try Processor.active.rawValue,
        "the list of models": models.map(\.name).joined(separator: ", "),
        "--seeds": "\(seeds)", "--seed": "\(report.seed)", "--epochs": "\(epochs)", "--split-seed": "\(splitSeed)",
        "the fingerprint of the texts": data.fingerprint,
      ])
    } else if startedProcesses() > 1 {
      throw ToolError(
        "mpirun has started \(startedProcesses()) processes, which train together with --distributed only")
    }
    let parts = [data.training, data.validation, data.heldOut].map(\.texts.count)
    report.set("split_seed", .integer(Int(splitSeed)))
    report.set("texts", .integer(parts.reduce(0, +)))
    report.say(
      "\(parts.reduce(0, +)) texts of the classes \(data.classes.joined(separator: ", ")): \(parts[0]) to train on, "
        + "\(parts[1]) for validation, \(parts[2]) held out; \(data.vocabulary.count) different words are known")
    try addParameters(models, data, to: report)

    // The longest trainings start first, so that all threads end at about the same time.
    let jobs = models.reversed().flatMap { model in
      (0..<seeds).map { (settings: model, seed: report.seed &+ UInt64($0)) }
    }
    let ranks = report.ranks, save = options.path("save"), threads = report.threads
    // Ranks train one model after the other, so the threads are those of its layer.
    let trained = try runJobs(
      jobs.count, threads: ranks == nil ? threads : 1, label: "training", showsProgress: report.writes
    ) { index, progress in
      var training = try SentimentTraining(jobs[index].settings, data, seed: jobs[index].seed)
      (training.ranks, training.save) = (ranks, save)
      if ranks != nil { training.threads = threads }
      try training.run(progress)
      return training
    }
    let groups = models.map { model in trained.filter { $0.settings.name == model.name } }
    addTables(groups, to: report)
    if let ranks, ranks.count > 1 { addCost(of: ranks, to: report) }
    // What was best in validation answers; the held-out texts choose nothing.
    if let text = options["say"], report.writes,
      let best = trained.max(by: { $0.validation.accuracy < $1.validation.accuracy })
    {
      try say(text, best, data.classes, report)
    }
  }

  private static func settings(_ options: Options) throws -> [SentimentSettings] {
    let models = ["tutorial", "better", "both"].map { (name: $0, value: $0) }
    let model = try options.choice("model", among: models) ?? "both"
    let cell = try options.cell()
    if let cell, model == "better" {
      throw ToolError("--cell is '\(cell.name)', expected none with --model better: it is of the tutorial's model")
    }
    let cells = cell.map { [$0] } ?? [.rnn(), .gru(), .lstm()]
    return (model == "better" ? [] : cells.map { .tutorial($0) }) + (model == "tutorial" ? [] : [.better])
  }

  // MARK: - Tables

  private static func addParameters(
    _ models: [SentimentSettings], _ data: SentimentData, to report: Report
  ) throws {
    var table = Table(
      "models",
      [
        Table.Column("model"), Table.Column("parameters"), Table.Column("as Keras counts"), Table.Column("what"),
      ])
    for settings in models {
      let model = try SentimentModel(words: SentimentSettings.words, outputs: data.outputs, settings, seed: 1)
      // Keras adds one bias to each gate; PyTorch and this package add two. A GRU needs both of its new gate's, so its
      // Keras layer has all of them.
      let layer = model.encoder, gates = layer.cell == .lstm() ? 4 : layer.cell == .rnn() ? 1 : 0
      let what =
        "embedding \(SentimentSettings.words) × \(settings.embeddingSize), \(layer), "
        + "\(settings.summary == .last ? "last output" : "mean and largest output"), dense \(data.outputs)"
      table.add([
        .text(settings.name), .integer(model.parameterCount),
        .integer(model.parameterCount - gates * layer.hiddenSize), .text(what),
      ])
    }
    report.add(table)
  }

  private static func addTables(_ groups: [[SentimentTraining]], to report: Report) {
    var epochs = Table(
      "epochs",
      [
        Table.Column("model"), Table.Column("epoch"), Table.Column("training loss", decimals: 4),
        Table.Column("validation loss", decimals: 4), Table.Column("accuracy", decimals: 4),
        Table.Column("seconds", decimals: 1),
      ])
    var accuracy = Report.Panel("Validation accuracy", x: "epoch", y: "accuracy")
    var losses = Report.Panel("Loss: training (dashed) and validation", x: "epoch", y: "nats a text")
    for first in groups.compactMap(\.first) {
      for epoch in first.epochs {
        epochs.add([
          .text(first.settings.name), .integer(epoch.number), .number(epoch.trainingLoss),
          .number(epoch.validation.loss), .number(epoch.validation.accuracy), .number(epoch.seconds),
        ])
      }
      let x = first.epochs.map { Double($0.number) }
      accuracy.add(first.settings.name, x: x, y: first.epochs.map(\.validation.accuracy))
      losses.add(first.settings.name, x: x, y: first.epochs.map(\.validation.loss))
      losses.add("\(first.settings.name), training", .dashed, x: x, y: first.epochs.map(\.trainingLoss))
    }
    report.add(epochs)

    var seeds = Table(
      "seeds",
      [
        Table.Column("model"), Table.Column("seed"), Table.Column("best epoch"),
        Table.Column("validation", decimals: 4), Table.Column("held out", decimals: 4),
        Table.Column("seconds", decimals: 1),
      ])
    var medians = Table(
      "medians",
      [
        Table.Column("model"), Table.Column("seeds"), Table.Column("validation", decimals: 4),
        Table.Column("held out", decimals: 4), Table.Column("lowest", decimals: 4),
        Table.Column("highest", decimals: 4),
      ])
    for group in groups {
      for training in group {
        seeds.add([
          .text(training.settings.name), .integer(Int(training.seed)), .integer(training.bestEpoch),
          .number(training.validation.accuracy), .number(training.heldOut.accuracy), .number(training.seconds),
        ])
      }
      let heldOut = group.map(\.heldOut.accuracy)
      medians.add([
        .text(group[0].settings.name), .integer(group.count), .number(median(group.map(\.validation.accuracy))),
        .number(median(heldOut)), .number(heldOut.min()!), .number(heldOut.max()!),
      ])
    }
    report.add(seeds)
    report.add(medians)
    report.add(accuracy)
    report.add(losses)
  }

  /// What it cost to train together.
  private static func addCost(of ranks: Ranks, to report: Report) {
    let cost = ranks.cost, updates = Double(max(1, cost.batches))
    let bytes = Double(cost.bytes) / updates, waiting = cost.waiting / updates, adding = cost.adding / updates
    report.set("update_bytes", .number(bytes))
    report.set("update_seconds_waiting", .number(waiting))
    report.set("update_seconds_adding", .number(adding))
    report.say(
      String(
        format:
          "\n%d ranks; in each of %d updates, rank 0 waited %.3f ms for the others and added %.1f kB of gradients "
          + "in %.3f ms", ranks.count, cost.batches, waiting * 1e3, bytes / 1e3, adding * 1e3))
  }

  // MARK: - Answers

  private static func say(
    _ text: String, _ training: SentimentTraining, _ classes: [String], _ report: Report
  ) throws {
    report.say("\n\(training.settings.name), seed \(training.seed):")
    func answer(_ text: String) throws {
      let probabilities = try training.probabilities(of: text)
      let best = probabilities.indices.max { probabilities[$0] < probabilities[$1] } ?? 0
      report.say("\(classes[best]), \(Int((probabilities[best] * 100).rounded())) %: \(text)")
    }
    guard text == "-" else { return try answer(text) }
    while let line = readLine() {
      try Interrupted.check()
      try answer(line)
    }
  }
}
