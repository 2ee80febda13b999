import Recurrent
import RecurrentTraining
import Testing

/// The models, the sources and the targets, of which some are those of Tests/goldens_sequences.py.
extension EncoderDecoderTests {
  typealias Model = EncoderDecoder<Chain<Embedding, Layer<Float>>>

  /// A model's options. Its decoder has 6 units, its vectors have 4 values; it reads 7 symbols and writes 5.
  struct Options: Sendable, CustomTestStringConvertible {
    let name: String
    let encoder: Cell, decoder: Cell
    var units = 3, levels = (2, 1), direction = Direction.bidirectional
    var attention: String?
    var feedsInput = false

    var testDescription: String { name }

    /// The model with numbers that a seed draws, as the goldens do.
    func model(seed: UInt64 = 11) throws -> Model {
      let reader = try Layer<Float>(
        encoder, inputSize: 4, hiddenSize: units, layerCount: levels.0, direction: direction)
      let writer = try Layer<Float>(
        decoder, inputSize: feedsInput ? 10 : 4, hiddenSize: 6, layerCount: levels.1)
      let memory = reader.outputSize
      let attention: Attention? =
        switch self.attention {
        case "dot": .dot(DotAttention())
        case "scaled": .dot(DotAttention(isScaled: true))
        case "past": .dot(DotAttention(window: .past))
        case "around": .dot(DotAttention(window: .around(1)))
        case "general": .general(try GeneralAttention(querySize: 6, keySize: memory, seed: 1))
        case "additive": .additive(try AdditiveAttention(querySize: 6, keySize: memory, size: 5, seed: 1))
        case "predictive", "predictive dot":
          .predictive(
            try PredictiveAttention(
              querySize: 6, keySize: memory, size: 5, distance: 1,
              score: self.attention == "predictive" ? .general : .dot, seed: 1))
        default: nil
        }
      var model = EncoderDecoder(
        encoder: try chain {
          Link("embedding", try Embedding(symbols: 7, size: 4, seed: 1))
          Link("layer", reader)
        }, bridge: try StateBridge(from: reader, to: writer, seed: 1),
        decoder: try RecurrentDecoder(
          Embedding(symbols: 5, size: 4, seed: 1), writer, attention: attention, memorySize: memory,
          feedsInput: feedsInput, seed: 1))
      var random = SeededGenerator(seed: seed), parameters: [String: [Float]] = [:]
      for shape in model.parameterShapes { parameters[shape.name] = random.draw(shape.count).map { Float($0) } }
      try model.setParameters(parameters)
      return model
    }
  }

  static let goldens = [
    Options(name: "plain", encoder: .lstm(), decoder: .lstm()),
    Options(name: "dot", encoder: .gru(), decoder: .lstm(), levels: (2, 2), attention: "dot"),
    Options(name: "general", encoder: .lstm(), decoder: .lstm(), attention: "general"),
    Options(
      name: "additive", encoder: .lstm(), decoder: .gru(), levels: (1, 2), direction: .forward, attention: "additive"),
    Options(
      name: "feeding", encoder: .lstm(), decoder: .lstm(), levels: (2, 2), attention: "general", feedsInput: true),
    Options(
      name: "half_copied", encoder: .gru(), decoder: .lstm(), units: 6, levels: (1, 1), direction: .forward,
      attention: "dot", feedsInput: true),
    Options(
      name: "copied", encoder: .lstm(), decoder: .lstm(), units: 6, levels: (2, 2), direction: .forward),
    Options(name: "predictive", encoder: .gru(), decoder: .gru(), attention: "predictive", feedsInput: true),
  ]
  /// Those that the goldens do not have: other cells, directions and attentions.
  static let others = [
    Options(name: "RNN to IndRNN", encoder: .rnn(), decoder: .indRNN(), direction: .reverse),
    Options(
      name: "LSTM to RNN", encoder: .lstm(), decoder: .rnn(), units: 6, levels: (2, 2), direction: .forward,
      attention: "scaled"),
    Options(
      name: "sum", encoder: .gru(), decoder: .gru(), units: 6, levels: (1, 1), direction: .bidirectionalSum,
      attention: "past"),
    Options(name: "additive feeding", encoder: .gru(), decoder: .gru(), attention: "additive", feedsInput: true),
    Options(name: "predictive dot", encoder: .gru(), decoder: .lstm(), attention: "predictive dot"),
  ]

  static let sources = [[1, 2, 6, 3, 0], [4], [5, 5, 1]]
  static let targets = [[2, 3, 4], [1, 1, 2, 0], [3]]

  /// The input of some of the sequences, with what it shall give.
  static func batch(_ numbers: [Int] = [0, 1, 2]) throws -> (input: Model.Input, targets: [Int]) {
    let forcing = try TeacherForcing(numbers.map { targets[$0] }, start: 0, end: 0)
    return (Model.Input(try Tokens(padding: numbers.map { sources[$0] }), forcing.inputs), forcing.targets)
  }
}
