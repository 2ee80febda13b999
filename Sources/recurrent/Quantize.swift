import Foundation
import Recurrent
import RecurrentFiles
import RecurrentTraining
import ToolSupport

/// `recurrent quantize`: a character model with its weights in fewer bits, and what that does to its outputs.
enum Quantize: Command {
  static let name = "quantize"
  static let summary = "keep a character model's weights in fewer bits, and print what that does to its outputs"
  static let usage = "IN OUT [options]"
  static let operands = ["IN", "OUT"]
  static let options = [
    Option(
      "weights", "FORMAT",
      "int8 (default): 8-bit numbers with a scale for each unit of each gate; bf16: the upper halves of floats"),
    Option("data", "FILE", "the text to compare outputs on; by default, 2000 characters that the model writes itself"),
  ]

  static func run(_ options: Options) throws {
    let weights = try options.choice("weights", among: WeightFormat.allCases.filter { $0 != .full }.named) ?? .int8
    try options.checkWritable("OUT")
    let path = options.operand("IN"), saved = try SavedModel(contentsOf: path)
    guard saved.training != nil || saved.model.layer.weightFormat == .full else {
      throw ToolError(
        "\(path): has weights in \(saved.model.layer.weightFormat.rawValue) already, expected full weights")
    }
    let converted = try SavedModel(saved, convertedTo: weights)
    let text = try options.path("data").map(readText) ?? ownText(saved.model)
    try converted.write(to: options.operand("OUT"))
    printLine(Processor.description)
    let numbers = saved.model.vocabulary.numbers(of: text)
    let difference = try compare(saved.model, converted.model, numbers)
    printLine(
      String(
        format: "outputs of %ld steps of %ld units: largest difference %.5f, mean %.6f, largest output %.3f",
        numbers.count, saved.model.layer.hiddenSize, difference.largest, difference.mean, difference.largestOutput))
    // Rounded as printed, so that the difference is that of the two numbers that a reader sees.
    let losses = try [saved, converted].map { (try $0.model.loss(of: numbers) * 1e5).rounded() / 1e5 }
    printLine(
      String(
        format: "loss %.5f nats a character before, %.5f after (%+.5f)", losses[0], losses[1], losses[1] - losses[0]))
  }

  /// A text in the model's own style, so that the outputs are those of its use.
  private static func ownText(_ model: CharacterModel) throws -> [Unicode.Scalar] {
    Array(try model.sample(after: [], count: 2000, seed: 1).unicodeScalars)
  }

  private struct Difference {
    var largest: Float = 0
    var mean = 0.0
    var largestOutput: Float = 0
  }

  /// What both models' layers give for the same characters, each from its own state.
  private static func compare(
    _ model: CharacterModel, _ other: CharacterModel, _ numbers: [Int]
  ) throws -> Difference {
    let streams = try (model.layer.stream(), other.layer.stream()), size = model.layer.hiddenSize
    var difference = Difference(), sum = 0.0, bar = ProgressBar("comparing")
    defer { bar.finish() }
    for start in stride(from: 0, to: numbers.count, by: 1000) {
      bar.show(Double(start) / Double(numbers.count), [])
      let chunk = Array(numbers[start..<min(start + 1000, numbers.count)])
      let tokens = try Tokens(chunk, steps: chunk.count, batchSize: 1)
      let x = try model.embedding(tokens, Workspace(isTraining: false)).0.values
      var y = [Float](repeating: 0, count: chunk.count * size), otherY = y
      var span = y.mutableSpan, otherSpan = otherY.mutableSpan
      try streams.0.process(x.span, steps: chunk.count, into: &span)
      try streams.1.process(x.span, steps: chunk.count, into: &otherSpan)
      for (a, b) in zip(y, otherY) {
        difference.largest = max(difference.largest, abs(a - b))
        difference.largestOutput = max(difference.largestOutput, abs(a))
        sum += Double(abs(a - b))
      }
    }
    difference.mean = sum / Double(numbers.count * size)
    return difference
  }
}
