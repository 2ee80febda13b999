import Foundation
import Recurrent
import RecurrentFiles
import Testing

@Suite struct NeuralAmpModelTests {
  /// As many random weights as such a file has; they differ, so that a wrong order is seen.
  private func weights(hidden h: Int, layers: Int) -> [Float] {
    let count = 4 * h * (1 + h) + 6 * h + (layers - 1) * (8 * h * h + 6 * h) + h + 1
    var random = SeededGenerator(seed: 7)
    return (0..<count).map { _ in Float.random(in: -0.8...0.8, using: &random) }
  }

  private func json(
    version: String = "\"0.5.4\"", architecture: String = "\"LSTM\"", input: String = "1", hidden: String = "3",
    layers: String = "1", weights: [Float]? = nil, more: String = ""
  ) -> Data {
    let values = weights ?? self.weights(hidden: 3, layers: 1)
    return Data(
      """
      {"version": \(version), "architecture": \(architecture), "weights": \(values),
       "config": {"input_size": \(input), "hidden_size": \(hidden), "num_layers": \(layers)}\(more)}
      """.utf8)
  }

  /// The plain equations in double precision, with the weights straight from the file's list.
  private func reference(_ weights: [Float], hidden h: Int, layers: Int, _ x: [Float]) -> [Double] {
    var place = 0
    func take(_ count: Int) -> [Double] {
      defer { place += count }
      return weights[place..<place + count].map(Double.init)
    }
    func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
    var signal = x.map { [Double($0)] }
    for _ in 0..<layers {
      let inputs = signal[0].count, w = take(4 * h * (inputs + h)), b = take(4 * h)
      var hidden = take(h), c = take(h)
      signal = signal.map { x in
        let xh = x + hidden
        func gate(_ row: Int) -> Double {
          b[row] + zip(w[row * xh.count..<(row + 1) * xh.count], xh).reduce(0) { $0 + $1.0 * $1.1 }
        }
        for unit in 0..<h {
          c[unit] =
            sigmoid(gate(h + unit)) * c[unit] + sigmoid(gate(unit)) * tanh(gate(2 * h + unit))
          hidden[unit] = sigmoid(gate(3 * h + unit)) * tanh(c[unit])
        }
        return hidden
      }
    }
    let head = take(h), bias = take(1)[0]
    return signal.map { zip(head, $0).reduce(bias) { $0 + $1.0 * $1.1 } }
  }

  @Test(arguments: [1, 3, 17], 1...3)
  func aModelSoundsAsItsEquations(_ hidden: Int, _ layers: Int) throws {
    let weights = weights(hidden: hidden, layers: layers), x = (0..<300).map { sin(Float($0) * 0.1) }
    let model = try NeuralAmpModel(json(hidden: "\(hidden)", layers: "\(layers)", weights: weights))
    let expected = reference(weights, hidden: hidden, layers: layers, x)
    var whole: [Float] = []
    for block in [300, 1, 7, 64, 100] {
      let stream = try model.stream()
      for run in 1...2 {
        var y: [Float] = []
        for first in stride(from: 0, to: x.count, by: block) {
          let part = Array(x[first..<min(first + block, x.count)])
          var out = [Float](repeating: .nan, count: part.count)
          var span = out.mutableSpan
          try stream.process(part.span, into: &span)
          y += out
        }
        if whole.isEmpty { whole = y }
        #expect(y == whole, "\(hidden) units, \(layers) layers, blocks of \(block), run \(run)")
        try stream.reset()
      }
    }
    let error = zip(whole, expected).map { abs(Double($0) - $1) }.max()!
    #expect(error < 3e-6, "\(hidden) units, \(layers) layers: \(error)")
  }

  @Test func blocksCanBeReplacedInPlace() throws {
    let model = try NeuralAmpModel(json()), x = (0..<150).map { cos(Float($0) * 0.1) }
    var apart = [Float](repeating: 0, count: x.count), same = x
    var span = apart.mutableSpan
    try model.stream().process(x.span, into: &span)
    let stream = try model.stream()
    try same.withUnsafeMutableBufferPointer { try stream.process(UnsafeBufferPointer($0), into: $0) }
    #expect(same == apart)

    let error = #expect(throws: RecurrentError.self) {
      var short = [Float](repeating: 0, count: 2)
      var span = short.mutableSpan
      try stream.process(x.span, into: &span)
    }
    #expect(error == .count(name: "y", was: 2, expected: 150, shape: "the count of x"))
  }

  @Test func sampleRateAndNameAreRead() throws {
    let plain = try NeuralAmpModel(json())
    #expect(plain.sampleRate == 48_000 && plain.name == nil)
    let full = try NeuralAmpModel(
      json(more: #", "sample_rate": 44100.0, "metadata": {"name": "Größer", "gain": 0.1, "training": null}"#))
    #expect(full.sampleRate == 44_100 && full.name == "Größer")
    #expect(try NeuralAmpModel(json(more: #", "sample_rate": null, "metadata": null"#)).sampleRate == 48_000)
    #expect(full.lstm.flushesDenormals)
    for version in ["null", "\"0.5.0\"", "\"0.6.1\"", "\"0.7\"", "\"0.7.12\""] {
      #expect(throws: Never.self) { try NeuralAmpModel(json(version: version)) }
    }
  }

  @Test func badModelsAreErrors() {
    let weights = weights(hidden: 3, layers: 1)
    let notJSON = "is not the JSON of a NAM model: ", missing = "is missing or null in the object that ends here"
    let whole = "expected a whole number from 1 to 1000000", rate = "expected a whole number of Hz from 1 to 10000000"
    let bad: [(String, Data, String)] = [
      ("empty", Data(), "\(notJSON)at byte 0: ends, expected an object"),
      ("not JSON", Data("RIFF".utf8), "\(notJSON)at byte 0: has 'R', expected an object"),
      ("a list", Data("[1, 2]".utf8), "\(notJSON)at byte 0: has '[', expected an object"),
      ("no architecture", Data("{}".utf8), "\(notJSON)at byte 2: 'architecture' \(missing)"),
      (
        "WaveNet", Data(#"{"architecture": "WaveNet", "config": {"layers": []}, "weights": []}"#.utf8),
        "is of the architecture 'WaveNet', expected 'LSTM'"
      ),
      ("ConvNet", json(architecture: "\"ConvNet\""), "is of the architecture 'ConvNet', expected 'LSTM'"),
      ("the future", json(version: "\"99.0\""), "is of the version '99.0', expected one of 0.5, 0.6, 0.7"),
      ("the past", json(version: "\"0.4.9\""), "is of the version '0.4.9', expected one of 0.5, 0.6, 0.7"),
      ("the next", json(version: "\"0.50\""), "is of the version '0.50', expected one of 0.5, 0.6, 0.7"),
      ("no version", json(version: "\"\""), "is of the version '', expected one of 0.5, 0.6, 0.7"),
      ("a number", json(architecture: "5"), "\(notJSON)'architecture' at byte 37: has '5', expected a string"),
      (
        "no config", Data(#"{"architecture": "LSTM", "weights": []}"#.utf8),
        "\(notJSON)at byte 39: 'config' \(missing)"
      ),
      (
        "no size", Data(#"{"architecture": "LSTM", "weights": [], "config": {}}"#.utf8),
        "\(notJSON)at byte 52: 'input_size' \(missing)"
      ),
      ("two inputs", json(input: "2"), "'input_size' is 2, expected 1: one sample in, one out"),
      ("no unit", json(hidden: "0"), "'hidden_size' is 0, \(whole)"),
      ("negative units", json(hidden: "-3"), "'hidden_size' is -3, \(whole)"),
      ("half a unit", json(hidden: "3.5"), "'hidden_size' is 3.5, \(whole)"),
      (
        "endless units", json(hidden: "1e400", weights: []),
        "\(notJSON)'hidden_size' at byte 104: has the number 1e400, too large for a double"
      ),
      ("many units", json(hidden: "\(Int.max)"), "'hidden_size' is 9.223372036854776e+18, \(whole)"),
      (
        "million units", json(hidden: "1000000", layers: "1000000"),
        "has 70 weights, expected 8000002000005000001 of 1000000 hidden units, layers: 1000000"
      ),
      ("no layer", json(layers: "0"), "'num_layers' is 0, \(whole)"),
      (
        "one weight less", json(weights: Array(weights.dropLast())),
        "has 69 weights, expected 70 of 3 hidden units, layers: 1"
      ),
      ("one weight more", json(weights: weights + [0]), "has 71 weights, expected 70 of 3 hidden units, layers: 1"),
      (
        "text as weight",
        Data(
          String(decoding: json(weights: Array(weights.dropLast())), as: UTF8.self)
            .replacing("[", with: "[\"a\", ").utf8),
        "\(notJSON)'weights' at byte 57: has '\"', expected a number"
      ),
      (
        "huge weight",
        Data(
          String(decoding: json(weights: Array(weights.dropLast())), as: UTF8.self)
            .replacing(#""weights": ["#, with: #""weights": [1e99, "#).utf8),
        "\(notJSON)'weights' at byte 57: has the number 1e+99, too large for a float"
      ),
      ("no rate", json(more: #", "sample_rate": 0"#), "'sample_rate' is 0, \(rate)"),
      ("odd rate", json(more: #", "sample_rate": 44100.5"#), "'sample_rate' is 44100.5, \(rate)"),
    ]
    for (name, data, problem) in bad {
      #expect(message { _ = try NeuralAmpModel(data) } == "NAM model: \(problem)", "\(name)")
    }
    for channels in ["in_channels", "out_channels"] {
      let text = String(decoding: json(), as: UTF8.self).replacing(
        "\"config\": {", with: "\"config\": {\"\(channels)\": 2, ")
      #expect(
        message { _ = try NeuralAmpModel(Data(text.utf8)) }
          == "NAM model: '\(channels)' is 2, expected 1: one sample in, one out")
    }
    let good = json()
    for count in 0..<good.count {
      let message = message { _ = try NeuralAmpModel(good.prefix(count)) }
      #expect(message.hasPrefix("NAM model: is not the JSON of a NAM model: "), "cut at \(count): \(message)")
      #expect(message.contains("at byte \(count): ends, expected "), "cut at \(count): \(message)")
    }
    #expect(
      message { _ = try NeuralAmpModel(contentsOf: "/nonexistent/file") }
        == "/nonexistent/file: cannot be read: No such file or directory")
  }

  /// The time is linear in the levels. It was not when each level searched for its parameters among those of all.
  @Test(.timeLimit(.minutes(1))) func manyLevelsAreRead() throws {
    let levels = 8000, weights = weights(hidden: 1, layers: levels)
    let model = try NeuralAmpModel(json(hidden: "1", layers: "\(levels)", weights: weights))
    let last = Array(weights.suffix(14 + 2))  // 4 rows of W and U, 4 biases, h, c; then the head
    let level = Array(model.lstm.parameters.values.suffix(16))
    #expect(Array(level[..<4]) == [last[0], last[2], last[4], last[6]])
    #expect(Array(level[4..<8]) == [last[1], last[3], last[5], last[7]])
    #expect(Array(level[8...]) == last[8..<12] + [0, 0, 0, 0])
    #expect(model.initialState.h.count == levels && model.initialState.c.last == last[13])
    #expect(model.headWeight == [last[14]] && model.headBias == last[15])
  }

  /// The weights are counted before any of them becomes a number. These would be out of range, but their count is the
  /// error.
  @Test func theCountOfWeightsIsRefusedFirst() {
    let text = String(decoding: json(weights: []), as: UTF8.self)
      .replacing("\"weights\": []", with: "\"weights\": [\(String(repeating: "1e999,", count: 499_999))1e999]")
    #expect(
      message { _ = try NeuralAmpModel(Data(text.utf8)) }
        == "NAM model: has 500000 weights, expected 70 of 3 hidden units, layers: 1")
  }
}
