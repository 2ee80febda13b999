import CToolSupport
import Foundation
import Recurrent
import RecurrentFiles
import RecurrentTraining
import ToolSupport

/// `recurrent train-text`: a character model of any text file.
enum TrainText: Command {
  static let name = "train-text"
  static let summary = "train a character model on a text file"
  static let usage = "--data FILE [options]"
  static let options =
    TextTraining.options + [
      Option("sample", "K", "characters of text to write at the end, 400 by default"),
      Option("temperature", "X", "of that text: cautious below 1, more varied above; 0.8 by default"),
      Option("threads", "K", "the streams are shared out among them, at most 2 by default"),
      Option("seed", "S", "equal seeds give equal models, 1 by default"),
      Option("save", "FILE", "write the model and the training as safetensors after every epoch and when interrupted"),
      Option("resume", "FILE", "continue a training that --save wrote, with its settings; only --epochs may differ"),
      Option("other-text", nil, "with --resume: allow --data to be another text, which is read from its beginning"),
    ]

  static func run(_ options: Options) throws {
    _ = try options.requiredPath("data")
    let sampled = try options.number("sample", in: 0...10_000_000, default: 400)
    let temperature = try options.number("temperature", in: Float(0.01)...100, default: 0.8)
    if options.has("other-text"), !options.has("resume") { throw ToolError("--other-text needs --resume FILE") }
    try options.checkWritable("save", mayReplace: "resume")
    let saved = try options.path("resume").map { try ResumedTraining($0, options) }
    let training = try TextTraining(options, resuming: saved), epochs = training.settings.trainer.epochs
    printLine(Processor.description)
    printLine(training.summary)
    if let before = saved?.training.settings.trainer.epochs, before != epochs {
      printLine(
        "\(counted(epochs, "epoch")) instead of \(before): the learning rate falls along another curve from here on")
    }
    if training.trainer.isFinished {
      printLine(
        "the file has all \(counted(training.trainer.updates, "update")) of \(counted(epochs, "epoch")): "
          + "nothing to train")
      if let save = options.path("save") { try training.save(to: save) }
    } else {
      try train(training, save: options.path("save"))
    }
    if sampled > 0 {
      printLine(
        "\n"
          + (try training.trainer.model.sample(
            after: training.text.suffix(100), count: sampled, temperature: temperature,
            seed: training.settings.trainer.seed)))
    }
  }

  /// - Throws: `EarlyEnd` if a signal asks for it.
  private static func train(_ training: TextTraining, save: FilePath?) throws {
    let trainer = training.trainer
    note_interrupts()
    printLine("epoch training held out  char/s    time")
    do {
      try training.run { epoch in
        printLine(
          String(format: "%5d %8.4f ", epoch.number, epoch.trainingLoss)
            + (epoch.heldOutLoss.map { String(format: "%.4f", $0) } ?? "-").padded(8)
            + String(format: " %7.0f %5.0f s", epoch.charactersPerSecond, epoch.seconds))
        guard let save else { return }
        try endingBySignals(save) { try training.save(to: save) }
      }
    } catch is Interrupted {
      stop_noting_interrupts()
      let place = "after update \(trainer.updates) of \(trainer.totalUpdates)"
      if let save {
        if save.mayKeepWaiting {
          complain("recurrent: interrupted \(place): saving in \(save); another signal ends the process")
        }
        try training.save(to: save)
      }
      throw EarlyEnd(
        status: 128 + noted_interrupt(),
        message: save.map { "interrupted \(place): saved in \($0), and --resume goes on from there" }
          ?? "interrupted \(place): nothing is saved, since there is no --save")
    }
    stop_noting_interrupts()
  }
}
