import Foundation
import Recurrent
import RecurrentFiles
import RecurrentTraining
import ToolSupport

/// `recurrent experiment compare`: the textbooks' table of recurrent cells, measured.
enum Compare: Experiment {
  static let name = "compare"
  static let summary = "compare RNN, IndRNN, GRU and LSTM at equal units and at equal parameters"
  static let options = [
    Option("data", "FILE", "a text whose characters are predicted; without it, nested brackets of four kinds"),
    Option("hidden", "H", "units of every cell; the LSTM's parameters are what the second half has; 64 by default"),
    Option("embedding", "D", "size of a symbol's vector, 32 by default"),
    Option("epochs", "E", "times through the training part, 10 by default"),
    Option("sequences", "K", "made-up sequences, or pieces of the text, to train on, 2000 by default"),
    Option("steps", "T", "symbols of a sequence that are predicted, 64 by default"),
    Option("batch", "N", "sequences in an update, 32 by default"),
    Option("learning-rate", "R", "of Adam, 0.003 by default"),
    Option(
      "seeds", "K", "trainings of each model, 1 by default; the table gives the one with the median held-out loss"),
  ]

  private typealias Model = Chain<Chain<Chain<Embedding, Layer<Float>>, EveryOutput>, Dense>

  private struct Settings {
    var hiddenSize = 64, embeddingSize = 32, epochs = 10, steps = 64, batchSize = 32
    var learningRate: Float = 0.003
  }

  /// One training of a model.
  private struct Training {
    let seed: UInt64
    /// The mean loss of the last epoch.
    var trainingLoss = 0.0
    /// The held-out loss after each epoch.
    var losses: [Double] = []
    /// The shortest time of an update of a whole batch; infinite if there was none.
    var secondsOfAnUpdate = Double.infinity
    var heldOut: Double { losses[losses.count - 1] }
  }

  /// Symbols to train on and symbols to test on, each sequence with one more than the steps of a model.
  private struct Task {
    var symbols: Int
    var training: [[Int]]
    var heldOut: [[Int]]
    var lowestLoss: Double?
  }

  private static let cells: [Cell] = [.rnn(), .indRNN(), .gru(), .lstm()]

  static func run(_ options: Options, _ report: Report) throws {
    var settings = Settings()
    settings.hiddenSize = try options.number("hidden", in: 1...4096, default: settings.hiddenSize)
    settings.embeddingSize = try options.number("embedding", in: 1...4096, default: settings.embeddingSize)
    settings.epochs = try options.number("epochs", in: 1...100_000, default: settings.epochs)
    settings.steps = try options.number("steps", in: 1...10_000, default: settings.steps)
    settings.batchSize = try options.number("batch", in: 1...10_000, default: settings.batchSize)
    settings.learningRate = try options.number("learning-rate", in: 1e-8...1e8, default: settings.learningRate)
    let count = try options.number("sequences", in: 10...10_000_000, default: 2000)
    let seeds = try options.number("seeds", in: 1...1000, default: 1)
    for (name, value) in [
      ("hidden", settings.hiddenSize), ("embedding", settings.embeddingSize), ("epochs", settings.epochs),
      ("steps", settings.steps), ("batch", settings.batchSize), ("sequences", count), ("seeds", seeds),
    ] { report.set(name, .integer(value)) }
    report.set("learning-rate", .number(Double(settings.learningRate)))
    let task = try task(options, settings, count: count, report)

    report.begin(
      Table(
        "cells",
        [
          .init("cell", width: 7), .init("units", width: 5), .init("parameters", width: 10),
          .init("KB", decimals: 0, width: 4),
          .init("a step, µs", decimals: 2, width: 10), .init("an update, ms", decimals: 2, width: 13),
          .init("training loss", decimals: 4, width: 13), .init("held out", decimals: 4, width: 8),
        ]))
    var trainings = Table(
      "seeds",
      [
        .init("cell"), .init("units"), .init("seed"), .init("training loss", decimals: 4),
        .init("held out", decimals: 4),
      ])
    var lstm: Report.Panel.Curve?
    let budget = try model(.lstm(), units: settings.hiddenSize, task, settings, seed: 1).parameterCount
    for (title, isEqualUnits) in [("equal units", true), ("equal parameters", false)] {
      var panel = Report.Panel("Loss at \(title)", x: "epoch", y: "nats a symbol, held out")
      for cell in cells {
        let units =
          isEqualUnits ? settings.hiddenSize : try unitsOf(cell, parameters: budget, task, settings)
        // The LSTM is the same in both halves.
        if !isEqualUnits, units == settings.hiddenSize, cell == .lstm() {
          if let curve = lstm { panel.add("LSTM \(units)", curve.style, x: curve.x, y: curve.y.map { $0 ?? .nan }) }
          continue
        }
        let trained = try measure(cell, units: units, seeds: seeds, task, settings, report)
        for one in trained {
          trainings.add([
            .text(cell.name), .integer(units), .integer(Int(one.seed)), .number(one.trainingLoss), .number(one.heldOut),
          ])
        }
        let losses = median(trained, by: \.heldOut).losses, x = (1...losses.count).map(Double.init),
          name = "\(cell.name.uppercased()) \(units)"
        panel.add(name, .line, x: x, y: losses)
        if cell == .lstm() { lstm = panel.curves.last }
      }
      if let lowest = task.lowestLoss {
        panel.add("the best possible", .dashed, x: [1, Double(settings.epochs)], y: [lowest, lowest])
      }
      report.add(panel)
    }
    if seeds > 1 { report.add(trainings) }
    if let lowest = task.lowestLoss { report.say(String(format: "\nthe best possible held-out loss is %.4f", lowest)) }
  }

  private static func task(_ options: Options, _ settings: Settings, count: Int, _ report: Report) throws -> Task {
    let length = settings.steps + 1, heldOut = max(1, count / 10)
    guard let path = options.path("data") else {
      var random = SeededGenerator(seed: report.seed)
      let training = BracketTask(count: count, length: length, &random)
      let test = BracketTask(count: heldOut, length: length, &random)
      report.say(
        "brackets of \(BracketTask.kinds) kinds, up to \(BracketTask.largestDepth) deep: "
          + "\(count) sequences of \(settings.steps) steps, \(heldOut) held out")
      return Task(
        symbols: 2 * BracketTask.kinds, training: training.sequences, heldOut: test.sequences,
        lowestLoss: test.lowestLoss)
    }
    let text = try readText(path), vocabulary = Vocabulary(of: text), numbers = vocabulary.numbers(of: text)
    let pieces = stride(from: 0, through: numbers.count - length, by: settings.steps).prefix(count + heldOut).map {
      Array(numbers[$0..<$0 + length])
    }
    guard pieces.count >= 10 else {
      throw ToolError("\(path) has \(counted(text.count, "character")), expected at least \(10 * settings.steps + 1)")
    }
    let kept = pieces.count - pieces.count / 11
    report.say(
      "\(path): \(kept) pieces of \(settings.steps) characters, \(pieces.count - kept) held out, "
        + "\(vocabulary.characters.count) different characters")
    report.set("data", .text(path.description))
    return Task(
      symbols: vocabulary.count, training: Array(pieces[..<kept]), heldOut: Array(pieces[kept...]),
      lowestLoss: nil)
  }

  private static func model(
    _ cell: Cell, units: Int, _ task: Task, _ settings: Settings, seed: UInt64
  ) throws(RecurrentError) -> Model {
    let layer = try Layer<Float>(
      cell, inputSize: settings.embeddingSize, hiddenSize: units, initialization: Initialization(seed: seed))
    let embedding = try Embedding(symbols: task.symbols, size: settings.embeddingSize, seed: seed)
    let head = try Dense(inputSize: units, outputSize: task.symbols, seed: seed)
    return chain {
      Link("embedding", embedding)
      Link("layer", layer)
      Link("outputs", EveryOutput())
      Link("head", head)
    }
  }

  /// The number of units with which a model has at most so many parameters.
  private static func unitsOf(_ cell: Cell, parameters: Int, _ task: Task, _ settings: Settings) throws -> Int {
    var fits = 1, tooMany = 2
    func count(_ units: Int) throws -> Int {
      try model(cell, units: units, task, settings, seed: 1).parameterCount
    }
    while try count(tooMany) <= parameters { (fits, tooMany) = (tooMany, 2 * tooMany) }
    while tooMany - fits > 1 {
      let middle = (fits + tooMany) / 2
      if try count(middle) <= parameters { fits = middle } else { tooMany = middle }
    }
    return fits
  }

  // MARK: - Measurements

  /// Trains a model from several seeds, and adds the row of the median training to the table. Times are the shortest
  /// ones: other programs can only add to them.
  private static func measure(
    _ cell: Cell, units: Int, seeds: Int, _ task: Task, _ settings: Settings, _ report: Report
  ) throws -> [Training] {
    let model = try model(cell, units: units, task, settings, seed: report.seed), count = model.parameterCount
    let step = try secondsOfAStep(model.first.first.second)
    let trained = try (0..<seeds).map {
      try train(cell, units: units, seed: report.seed + UInt64($0), task, settings)
    }
    let middle = median(trained, by: \.heldOut), update = trained.map(\.secondsOfAnUpdate).min()!
    report.addRow([
      .text(cell.name), .integer(units), .integer(count), .number(Double(4 * count) / 1000), .number(step * 1e6),
      update.isFinite ? .number(update * 1e3) : .missing, .number(middle.trainingLoss), .number(middle.heldOut),
    ])
    return trained
  }

  private static func train(
    _ cell: Cell, units: Int, seed: UInt64, _ task: Task, _ settings: Settings
  ) throws -> Training {
    var training = try ModelTraining(
      try model(cell, units: units, task, settings, seed: seed), Adam(learningRate: settings.learningRate),
      clipping: .norm(1))
    var batches = try ShuffledBatches(count: task.training.count, batchSize: settings.batchSize, seed: seed)
    var result = Training(seed: seed)
    let clock = ContinuousClock()
    try runEpochs(settings.epochs, updates: batches.count, label: "\(cell.name) of \(units), seed \(seed)") { _ in
      let numbers = batches.next() ?? batches.next() ?? []
      let (inputs, targets) = try batch(numbers.map { task.training[$0] })
      let begin = clock.now
      let loss = try training.update(inputs) { output throws(RecurrentError) in
        try SoftmaxCrossEntropy()(output, targets)
      }
      if numbers.count == settings.batchSize {
        result.secondsOfAnUpdate = min(result.secondsOfAnUpdate, (clock.now - begin) / .seconds(1))
      }
      return loss
    } endOfEpoch: { _, loss in
      result.trainingLoss = loss
      result.losses.append(try heldOutLoss(training, task, settings))
      return true
    }
    return result
  }

  /// Inputs [T,N], and the symbols that follow them.
  private static func batch(_ sequences: [[Int]]) throws -> (inputs: Tokens, targets: [Int]) {
    let steps = sequences[0].count - 1
    func symbols(from first: Int) -> [Int] {
      (0..<steps).flatMap { step in sequences.map { $0[step + first] } }
    }
    return (
      try Tokens(symbols(from: 0), steps: steps, batchSize: sequences.count), symbols(from: 1)
    )
  }

  private static func heldOutLoss(
    _ training: ModelTraining<Model, Adam>, _ task: Task, _ settings: Settings
  ) throws -> Double {
    var sum = 0.0
    for first in stride(from: 0, to: task.heldOut.count, by: settings.batchSize) {
      let part = Array(task.heldOut[first..<min(first + settings.batchSize, task.heldOut.count)])
      let (inputs, targets) = try batch(part)
      sum += try SoftmaxCrossEntropy()(try training.output(inputs), targets).loss * Double(part.count)
    }
    return sum / Double(task.heldOut.count)
  }

  /// The time of a step of one sequence through the layer: the shortest of some runs of many steps.
  private static func secondsOfAStep(_ layer: Layer<Float>) throws -> Double {
    let stream = try layer.stream(), clock = ContinuousClock(), steps = 200
    let x = (0..<layer.inputSize).map { Float($0 % 7 - 3) / 4 }
    var y = [Float](repeating: 0, count: layer.hiddenSize), best = Double.infinity
    for _ in 0..<50 {
      let begin = clock.now
      for _ in 0..<steps {
        var span = y.mutableSpan
        try stream.step(x.span, into: &span)
      }
      best = min(best, (clock.now - begin) / .seconds(steps))
    }
    return best
  }
}
