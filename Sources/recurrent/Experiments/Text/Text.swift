import Foundation
import Recurrent
import RecurrentTraining
import ToolSupport

/// `recurrent experiment text`: a character model learns a text, and writes in its style.
enum Text: Experiment {
  static let name = "text"
  static let summary = "train a character model on a text, and let it write at several temperatures"
  static let options =
    TextTraining.options + [
      Option("prompt", "TEXT", "what the model continues; none by default, which starts as on a new line"),
      Option("temperature", "X", "cautious below 1, more varied above; by default 0.5, 0.8 and 1 in turn"),
      Option("sample", "K", "characters to write at each temperature, 300 by default"),
    ]

  static func run(_ options: Options, _ report: Report) throws {
    let temperatures: [Float] =
      options.has("temperature")
      ? [try options.number("temperature", in: Float(0.01)...100, default: 1)] : [0.5, 0.8, 1]
    let count = try options.number("sample", in: 0...100_000, default: 300)
    let training = try TextTraining(options)
    addSettings(training, options, to: report)
    report.say(training.summary)
    try train(training, report)
    let model = training.trainer.model, prompt = model.prompt(options)
    var samples = Table("samples", [Table.Column("temperature", decimals: 2), Table.Column("text")])
    for temperature in temperatures {
      try Interrupted.check()
      let text =
        String(String.UnicodeScalarView(prompt))
        + (try model.sample(after: prompt, count: count, temperature: temperature, seed: report.seed))
      report.say("\ntemperature \(temperature):\n\(text)")
      samples.add([.number(Double("\(temperature)")!), .text(text)])
    }
    report.keep(samples)
  }

  private static func addSettings(_ training: TextTraining, _ options: Options, to report: Report) {
    let model = training.trainer.model, layer = model.layer
    report.set("data", .text(options["data"] ?? ""))
    report.set("cell", .text(layer.cell.name))
    report.set("hidden", .integer(layer.hiddenSize))
    report.set("levels", .integer(layer.layerCount))
    report.set("embedding", .integer(layer.inputSize))
    report.set("parameters", .integer(model.parameterCount))
    for (name, value) in training.settings.entries where !["seed", "threads"].contains(name) {
      let text = "\(value)"
      report.set(name, Int(text).map { .integer($0) } ?? .number(Double(text) ?? .nan))
    }
  }

  /// A row of the table for each epoch, and the curves, also if the training is interrupted.
  private static func train(_ training: TextTraining, _ report: Report) throws {
    report.begin(
      Table(
        "epochs",
        [
          Table.Column("epoch"), Table.Column("training loss", decimals: 4), Table.Column("held out", decimals: 4),
          Table.Column("characters/s", width: 12), Table.Column("seconds", decimals: 1, width: 7),
        ]))
    var epochs: [TextTraining.Epoch] = []
    defer {
      var panel = Report.Panel("Loss by epoch", x: "epoch", y: "nats a character")
      let x = epochs.map { Double($0.number) }
      panel.add("training", .dashed, x: x, y: epochs.map(\.trainingLoss))
      panel.add("held out", x: x, y: epochs.map { $0.heldOutLoss ?? .nan })
      if !epochs.isEmpty { report.add(panel) }
    }
    try training.run { epoch in
      epochs.append(epoch)
      report.addRow([
        .integer(epoch.number), .number(epoch.trainingLoss), epoch.heldOutLoss.map { .number($0) } ?? .missing,
        .number(epoch.charactersPerSecond), .number(epoch.seconds),
      ])
    }
  }
}
