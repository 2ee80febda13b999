import Foundation
import Recurrent
import RecurrentTraining
import ToolSupport

/// `recurrent experiment tag`: which capitals and punctuation marks belong in a text that has lost them?
enum Tagging: Experiment {
  static let name = "tag"
  static let summary = "restore the capitals and the punctuation of a text: a label for each word"
  static let options =
    [
      Option("data", "FILE", "the text, a file or a pipe: UTF-8, or else Latin-1; blank lines divide it into passages"),
      Option("cell", "CELL", "lstm (default), gru or rnn"),
      Option("hidden", "H", "hidden units of each direction, 96 by default"),
      Option("embedding", "D", "size of a word's vector, 64 by default"),
      Option("direction", "D", "both (default), forward or reverse: which of the other words a word sees"),
      Option("dropout", "P", "of the words' vectors and of the layer's outputs, 0.4 by default"),
      Option("word-dropout", "P", "fraction of the words that training replaces by the unknown word, 0.1 by default"),
      Option("say", "TEXT", "restore this text at the end"),
    ] + ParallelTraining.options(epochs: epochs, batchSize: batchSize, learningRate: learningRate)
  private static let epochs = 8, batchSize = 16, learningRate: Float = 4e-3

  static func run(_ options: Options, _ report: Report) throws {
    let cell = try options.cell() ?? .lstm()
    let hidden = try options.number("hidden", in: 1...10_000, default: 96)
    let size = try options.number("embedding", in: 1...10_000, default: 64)
    let dropout = try options.number("dropout", in: Float(0)...0.99, default: 0.4)
    let wordDropout = try options.number("word-dropout", in: 0...0.99, default: 0.1)
    let direction =
      try options.choice(
        "direction", among: [("both", Direction.bidirectional), ("forward", .forward), ("reverse", .reverse)])
      ?? .bidirectional
    let training = try ParallelTraining(
      options, report, epochs: epochs, batchSize: batchSize, learningRate: learningRate)
    report.set("cell", .text(cell.name))
    report.set("hidden", .integer(hidden))
    report.set("embedding", .integer(size))
    report.set("dropout", .number(Double(dropout)))
    report.set("word-dropout", .number(wordDropout))
    report.set("direction", .text(options["direction"] ?? "both"))
    let say = options["say"].map { TaggedText($0).passages.flatMap(\.words) }
    guard say?.isEmpty != true else { throw ToolError("--say is '\(options["say"] ?? "")', expected words") }
    let text = try readText(try options.requiredPath("data"))
    let data = try TagData(TaggedText(String(String.UnicodeScalarView(text))))
    report.set("data", .text(options["data"] ?? ""))
    report.say(
      "\(data.training.wordCount) words to train on in \(data.training.words.count) passages, "
        + "\(data.validation.wordCount) for validation, \(data.heldOut.wordCount) held out; "
        + "\(data.vocabulary.count) different words are known")
    let encoder = try Layer<Float>(
      cell, inputSize: size, hiddenSize: hidden, direction: direction,
      initialization: Initialization(recurrent: .orthogonal, seed: report.seed))
    let model = try chain {
      Link("embedding", try Embedding(symbols: data.vocabulary.count, size: size, deviation: 0.3, seed: report.seed))
      Link("vectorDropout", try Dropout(rate: dropout))
      Link("encoder", encoder)
      Link("outputs", EveryOutput())
      Link("dropout", try Dropout(rate: dropout))
      Link("head", try Dense(inputSize: encoder.outputSize, outputSize: Tag.count, seed: report.seed &+ 1))
    }
    report.say("\(encoder), \(model.parameterCount) parameters")
    let best = try train(model, data, wordDropout: wordDropout, training, report)
    try addTables(try best.score(data.heldOut).score, data, report)
    try show(best, data, say, report)
  }

  /// Trains a model, with a row of the table for each epoch.
  ///
  /// - Returns: the model after the epoch with the lowest validation loss.
  private static func train<M: Module<Tokens, Sequences<Float>>>(
    _ model: M, _ data: TagData, wordDropout: Double, _ training: ParallelTraining, _ report: Report
  ) throws -> M {
    report.begin(
      Table(
        "epochs",
        [
          Table.Column("epoch"), Table.Column("training loss", decimals: 4),
          Table.Column("validation loss", decimals: 4), Table.Column("accuracy", decimals: 4),
          Table.Column("F1", decimals: 4, width: 6), Table.Column("seconds", decimals: 1, width: 7),
        ]))
    var begin = ContinuousClock.now
    var numbers: [Double] = [], losses: [Double] = [], validationLosses: [Double] = []
    defer {
      var panel = Report.Panel("Loss: training (dashed) and validation", x: "epoch", y: "nats a word")
      panel.add("training", .dashed, x: numbers, y: losses)
      panel.add("validation", x: numbers, y: validationLosses)
      if !numbers.isEmpty { report.add(panel) }
    }
    let part = data.training, lengths = part.words.map(\.count)
    return try training.run(model, lengths: lengths, weights: lengths.map(Double.init)) {
      numbers, weight, model, gradients, workspace throws(RecurrentError) in
      var (tokens, labels) = try part.batch(numbers)
      // The number of masks so far differs from call to call.
      var random = SeededGenerator(seed: UInt64(numbers[0]) &+ UInt64(workspace.masks) << 32)
      for index in tokens.symbols.indices where Double.random(in: 0..<1, using: &random) < wordDropout {
        tokens.symbols[index] = WordVocabulary.unknown
      }
      let (logits, trace) = try model(tokens, workspace)
      let (loss, d) = try SoftmaxCrossEntropy()(logits, labels, weight: weight)
      try model.backward(d, trace, into: &gradients, workspace)
      return loss
    } endOfEpoch: { epoch, loss, model in
      let (validationLoss, score) = try model.score(data.validation)
      report.addRow([
        .integer(epoch), .number(loss), .number(validationLoss), .number(score.accuracy), .number(score.f1),
        .number((ContinuousClock.now - begin) / .seconds(1)),
      ])
      begin = .now
      numbers.append(Double(epoch))
      losses.append(loss)
      validationLosses.append(validationLoss)
      return validationLoss
    }
  }

  /// The held-out part: the model beside what needs no model.
  private static func addTables(_ score: TagScore, _ data: TagData, _ report: Report) throws {
    let baseline = TagBaseline(data).scores(data.heldOut)
    var table = Table(
      "held out",
      [
        Table.Column("labels of the held-out words"), Table.Column("right", decimals: 4),
        Table.Column("F1", decimals: 4),
      ])
    for (name, score) in [
      ("the most frequent label", baseline.common), ("the most frequent label of the word", baseline.words),
      ("the model", score),
    ] {
      table.add([.text(name), .number(score.accuracy), .number(score.f1)])
    }
    report.add(table)
    var classes = Table(
      "classes",
      [
        Table.Column("class"), Table.Column("words"), Table.Column("precision", decimals: 3),
        Table.Column("recall", decimals: 3), Table.Column("F1", decimals: 3),
        Table.Column("F1 by the word alone", decimals: 3),
      ])
    for (index, name) in TagScore.classes.enumerated() {
      let model = score.classes[index], byWord = baseline.words.classes[index]
      guard model.count > 0 else { continue }
      classes.add([
        .text(name), .integer(model.count), model.found + model.wrong > 0 ? .number(model.precision) : .missing,
        .number(model.recall), .number(model.f1), .number(byWord.f1),
      ])
    }
    report.add(classes)
    var panel = Report.Panel("F1 of each class in the held-out part", x: "class", y: "F1")
    panel.names = TagScore.classes
    panel.add("by the word alone", .bars, y: baseline.words.classes.map(\.f1))
    panel.add("the model", .bars, y: score.classes.map(\.f1))
    report.add(panel)
  }

  /// Restores a passage of the held-out part, and the user's text.
  private static func show(
    _ model: some Module<Tokens, Sequences<Float>>, _ data: TagData, _ say: [String]?, _ report: Report
  ) throws {
    func restored(_ words: [String]) throws -> String {
      zip(words, try model.tags(of: data.vocabulary.numbers(of: words))).map { $1.restored($0) }.joined(separator: " ")
    }
    let truth = zip(data.sample.words, data.sample.tags).map { $1.restored($0) }.joined(separator: " ")
    report.say("\nthe text:  \(truth)\nthe model: \(try restored(data.sample.words))")
    if let say { report.say("\n\(try restored(say))") }
  }
}
