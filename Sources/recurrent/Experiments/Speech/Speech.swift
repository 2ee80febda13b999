import Foundation
import Recurrent
import RecurrentTraining
import ToolSupport

/// `recurrent experiment speech`: which digits does an unknown voice say?
enum Speech: Experiment {
  static let name = "speech"
  static let summary = "hear strings of digits in voices that training never heard, with CTC"
  static let options =
    [
      Option("data", "FILE", "what 'Scripts/speech-data FILE' writes: digits that espeak-ng speaks"),
      Option("cell", "CELL", "lstm (default), gru or rnn"),
      Option("hidden", "H", "hidden units of each direction, 96 by default"),
      Option("levels", "L", "levels of the layer, 2 by default"),
      Option("dropout", "P", "of the features and of the layers' outputs, 0.2 by default"),
      Option("beam", "K", "prefixes that the beam search keeps, 8 by default"),
    ] + ParallelTraining.options(epochs: epochs, batchSize: batchSize, learningRate: learningRate)
  private static let epochs = 15, batchSize = 16, learningRate: Float = 4e-3

  static func run(_ options: Options, _ report: Report) throws {
    let cell = try options.cell() ?? .lstm()
    let hidden = try options.number("hidden", in: 1...10_000, default: 96)
    let levels = try options.number("levels", in: 1...100, default: 2)
    let dropout = try options.number("dropout", in: Float(0)...0.99, default: 0.2)
    let width = try options.number("beam", in: 1...10_000, default: 8)
    let training = try ParallelTraining(
      options, report, epochs: epochs, batchSize: batchSize, learningRate: learningRate)
    report.set("cell", .text(cell.name))
    report.set("hidden", .integer(hidden))
    report.set("levels", .integer(levels))
    report.set("dropout", .number(Double(dropout)))
    report.set("beam", .integer(width))
    guard let path = options.path("data") else {
      throw ToolError("--data FILE is missing: 'Scripts/speech-data FILE' writes one; see --help")
    }
    let data = try SpeechData(contentsOf: path)
    report.set("data", .text(options["data"] ?? ""))
    for (name, part) in [("training", data.training), ("validation", data.validation), ("held out", data.heldOut)] {
      let steps = part.reduce(0) { $0 + $1.steps.count }, digits = part.reduce(0) { $0 + $1.digits.count }
      report.say(
        "\(name): \(part.count) strings of \(digits) digits in \(Set(part.map(\.voice)).count) voices, "
          + String(format: "%.1f minutes", Double(steps) * SpeechData.secondsOfStep / 60))
    }
    let encoder = try Layer<Float>(
      cell, inputSize: data.size, hiddenSize: hidden, layerCount: levels, direction: .bidirectional,
      dropout: levels > 1 ? dropout : 0, initialization: Initialization(recurrent: .orthogonal, seed: report.seed))
    let model = try chain {
      Link("featureDropout", try Dropout(rate: dropout))
      Link("encoder", encoder)
      Link("outputs", EveryOutput())
      Link("dropout", try Dropout(rate: dropout))
      Link("head", try Dense(inputSize: encoder.outputSize, outputSize: 11, seed: report.seed &+ 1))
    }
    report.say("\(encoder), \(model.parameterCount) parameters")
    try hear(data, try train(model, data, training, report), width: width, report)
  }

  // MARK: - Training

  /// Trains a model, with a row of the table for each epoch.
  ///
  /// - Returns: the model after the epoch with the fewest errors in the validation part.
  private static func train<M: Module<Sequences<Float>, Sequences<Float>>>(
    _ model: M, _ data: SpeechData, _ training: ParallelTraining, _ report: Report
  ) throws -> M {
    report.begin(
      Table(
        "epochs",
        [
          Table.Column("epoch"), Table.Column("training loss", decimals: 4),
          Table.Column("validation loss", decimals: 4), Table.Column("digit errors", decimals: 4),
          Table.Column("string errors", decimals: 4), Table.Column("seconds", decimals: 1, width: 7),
        ]))
    var begin = ContinuousClock.now
    var numbers: [Double] = [], losses: [Double] = [], validationLosses: [Double] = [], rates: [Double] = []
    defer {
      var lossPanel = Report.Panel("Loss: training (dashed) and validation", x: "epoch", y: "nats a digit")
      lossPanel.add("training", .dashed, x: numbers, y: losses)
      lossPanel.add("validation", x: numbers, y: validationLosses)
      var ratePanel = Report.Panel("Errors in the voices of the validation part", x: "epoch", y: "digit error rate")
      ratePanel.add("greedy", x: numbers, y: rates)
      if !numbers.isEmpty {
        report.add(lossPanel)
        report.add(ratePanel)
      }
    }
    let utterances = data.training
    return try training.run(
      model, lengths: utterances.map(\.steps.count), weights: Array(repeating: 1, count: utterances.count)
    ) { numbers, weight, model, gradients, workspace throws(RecurrentError) in
      let batch = numbers.map { utterances[$0] }
      let (logits, trace) = try model(data.batch(batch), workspace)
      let (loss, d) = try CTCLoss()(logits, batch.labels, weight: weight)
      try model.backward(d, trace, into: &gradients, workspace)
      return loss
    } endOfEpoch: { epoch, loss, model in
      let (validationLoss, errors) = try model.score(data.validation, data)
      report.addRow([
        .integer(epoch), .number(loss), .number(validationLoss), .number(errors.digitRate), .number(errors.stringRate),
        .number((ContinuousClock.now - begin) / .seconds(1)),
      ])
      begin = .now
      numbers.append(Double(epoch))
      losses.append(loss)
      validationLosses.append(validationLoss)
      rates.append(errors.digitRate)
      return errors.digitRate
    }
  }

  // MARK: - The held-out voices

  /// Decodes the held-out part, and adds its tables to the report.
  private static func hear(
    _ data: SpeechData, _ model: some Module<Sequences<Float>, Sequences<Float>>, width: Int, _ report: Report
  ) throws {
    var greedy = SpeechErrors(), beam = SpeechErrors(), voices: [String: SpeechErrors] = [:]
    for (batch, logits) in try model.logits(of: data.heldOut, data) {
      try Interrupted.check()
      let heard = try CTCDecoder().greedy(logits), readings = try CTCDecoder().beam(logits, width: width)
      for (index, utterance) in batch.enumerated() {
        greedy.add(heard: heard[index].digits, spoken: utterance.digits)
        beam.add(heard: readings[index][0].labels.digits, spoken: utterance.digits)
        voices[utterance.voice, default: SpeechErrors()].add(
          heard: readings[index][0].labels.digits, spoken: utterance.digits)
      }
    }
    var table = Table(
      "held out",
      [
        Table.Column("decoder"), Table.Column("digits"), Table.Column("digit errors", decimals: 4),
        Table.Column("string errors", decimals: 4),
      ])
    for (name, errors) in [("greedy", greedy), ("beam of \(width)", beam)] {
      table.add([.text(name), .integer(errors.digits), .number(errors.digitRate), .number(errors.stringRate)])
    }
    report.add(table)
    var worst = Table(
      "voices", [Table.Column("worst voices"), Table.Column("digits"), Table.Column("digit errors", decimals: 4)])
    for (voice, errors) in voices.sorted(by: { ($1.value.digitRate, $0.key) < ($0.value.digitRate, $1.key) }).prefix(5)
    {
      worst.add([.text(voice), .integer(errors.digits), .number(errors.digitRate)])
    }
    report.add(worst)
    try draw(data.heldOut.first { $0.digits.count == 5 } ?? data.heldOut[0], data, model, width: width, report)
  }

  /// Draws the probabilities of the classes at each step of an utterance.
  private static func draw(
    _ utterance: SpeechData.Utterance, _ data: SpeechData, _ model: some Module<Sequences<Float>, Sequences<Float>>,
    width: Int, _ report: Report
  ) throws {
    let (probabilities, heard) = try model.probabilities(of: utterance, data, width: width)
    func text(_ digits: [Int]) -> String { digits.map(String.init).joined(separator: " ") }
    let title = "\(utterance.voice) says \(text(utterance.digits))"
    report.say("\n\(title), heard: \(text(heard))")
    var panel = Report.Panel(title, x: "seconds", y: "probability")
    let x = probabilities.indices.map { Double($0) * SpeechData.secondsOfStep }
    panel.add("blank", .dashed, x: x, y: probabilities.map { $0[0] })
    for digit in Set(utterance.digits + heard).sorted() {
      panel.add("\(digit)", x: x, y: probabilities.map { $0[digit + 1] })
    }
    report.add(panel)
  }
}
