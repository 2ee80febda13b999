import Foundation
import Recurrent
import RecurrentFiles
import RecurrentTraining
import ToolSupport

/// Spoken strings of digits, as Scripts/speech-data writes them.
struct SpeechData: Sendable {
  /// A string of digits, spoken by one voice.
  struct Utterance: Sendable {
    /// Its rows among the features of all utterances.
    let steps: Range<Int>
    let digits: [Int]
    /// The voice's name.
    let voice: String

    /// The number of steps that CTC needs at least: one for each digit, and one for a blank between equal neighbors.
    var fewestSteps: Int { digits.count + zip(digits, digits.dropFirst()).filter { $0 == $1 }.count }
  }

  /// A step is 30 ms.
  static let secondsOfStep = 0.03

  /// The number of features of a step.
  let size: Int
  let training: [Utterance], validation: [Utterance], heldOut: [Utterance]
  /// [steps of all utterances, size]
  private let features: [Float]

  /// Reads a file.
  ///
  /// - Throws: `FileError` if it is no safetensors file, or `ToolError` if it is not what Scripts/speech-data writes,
  ///   if an utterance has fewer steps than CTC needs, or if a voice is in two parts.
  init(contentsOf path: FilePath) throws {
    let file = try SafeTensors(contentsOf: path)
    guard file.metadata["format"] == "swift-recurrent speech 1" else {
      throw ToolError("\(path) is not speech data, expected a file that Scripts/speech-data writes")
    }
    func values(_ name: String, dimensions: Int = 1) throws -> (values: [Float], shape: [Int]) {
      guard let tensor = file.tensors[name], tensor.shape.count == dimensions, let values = tensor.floats else {
        throw ToolError("\(path) has no tensor '\(name)' of \(dimensions) dimensions, as Scripts/speech-data writes it")
      }
      return (values, tensor.shape)
    }
    func integers(_ name: String, _ range: ClosedRange<Int>, count: Int? = nil) throws -> [Int] {
      let values = try values(name).values
      if let count, values.count != count {
        throw ToolError("\(path): '\(name)' has \(values.count) values, expected \(count)")
      }
      return try values.enumerated().map { index, value in
        guard let number = Int(exactly: value), range.contains(number) else {
          throw ToolError("\(path): \(name)[\(index)] is \(value), expected \(range.expectation)")
        }
        return number
      }
    }
    let (features, shape) = try values("features", dimensions: 2)
    guard shape[1] >= 1 else {
      throw ToolError("\(path): 'features' has the shape \(shape), expected at least 1 feature in each step")
    }
    if let index = features.firstIndex(where: { !$0.isFinite }) {
      throw ToolError("\(path): feature \(index) is \(features[index]), expected a finite number")
    }
    let names = (file.metadata["voices"] ?? "").components(separatedBy: "\n")
    let steps = try integers("steps", 1...max(1, shape[0])), count = steps.count
    let digitCounts = try integers("digit_counts", 1...1000, count: count)
    let digits = try integers("digits", 0...9, count: digitCounts.reduce(0, +))
    let voices = try integers("voices", 0...(names.count - 1), count: count)
    let parts = try integers("parts", 0...2, count: count)
    guard steps.reduce(0, +) == shape[0] else {
      throw ToolError(
        "\(path): the sum of the steps is \(steps.reduce(0, +)), expected \(shape[0]), the steps of the features")
    }
    var divided: [[Utterance]] = [[], [], []], step = 0, digit = 0
    for index in 0..<count {
      let utterance = Utterance(
        steps: step..<step + steps[index], digits: Array(digits[digit..<digit + digitCounts[index]]),
        voice: names[voices[index]])
      guard steps[index] >= utterance.fewestSteps else {
        throw ToolError(
          "\(path): utterance \(index) has \(steps[index]) steps for \(digitCounts[index]) digits, expected at least "
            + "\(utterance.fewestSteps): one for each digit and for each blank between equal digits")
      }
      divided[parts[index]].append(utterance)
      step += steps[index]
      digit += digitCounts[index]
    }
    let heard = divided.map { Set($0.map(\.voice)) }
    for (name, part) in zip(["training", "validation", "held-out"], divided) where part.isEmpty {
      throw ToolError("\(path) has no \(name) part, expected at least one utterance")
    }
    for (first, second) in [(0, 1), (0, 2), (1, 2)] {
      if let voice = heard[first].intersection(heard[second]).min() {
        throw ToolError("\(path): the voice '\(voice)' is in two parts, expected voices of their own in each")
      }
    }
    self.features = features
    size = shape[1]
    (training, validation, heldOut) = (divided[0], divided[1], divided[2])
  }

  /// The features [T,N,size] of some utterances, with their lengths.
  func batch(_ utterances: [Utterance]) throws(RecurrentError) -> Sequences<Float> {
    let lengths = utterances.map(\.steps.count), count = utterances.count
    var x = try Sequences<Float>(steps: lengths.max() ?? 0, batchSize: count, size: size, lengths: lengths)
    x.withMutableValues { x in
      features.withUnsafeBufferPointer { features in
        for (sequence, utterance) in utterances.enumerated() {
          for (step, row) in utterance.steps.enumerated() {
            (x.baseAddress! + (step * count + sequence) * size).update(
              from: features.baseAddress! + row * size, count: size)
          }
        }
      }
    }
    return x
  }
}

extension [SpeechData.Utterance] {
  /// The labels of `CTCLoss`: 0 is the blank, and digits come after it.
  var labels: [[Int]] { map { $0.digits.map { $0 + 1 } } }
}

extension [Int] {
  /// The digits of labels.
  var digits: [Int] { map { $0 - 1 } }
}
