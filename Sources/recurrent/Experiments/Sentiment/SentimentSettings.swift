import Recurrent

/// The sizes of a model, and how it is trained.
struct SentimentSettings: Sendable {
  /// For the tables.
  let name: String
  let cell: Cell
  var embeddingSize = 32
  var units = 5
  var isBidirectional = false
  /// Whether U is the identity at first, so that a plain RNN adds up what it reads.
  var startsFromIdentity = false
  var summary = SentimentModel.Summary.last
  /// The standard deviation of the words' vectors at first.
  var deviation: Float = 0.1
  /// The probability with which a word is replaced by the unknown one, a value of the words' vectors is dropped, and a
  /// value is dropped that the head reads.
  var wordDropout = 0.0
  var inputDropout: Float = 0
  var headDropout: Float = 0
  var learningRate: Float = 1e-3
  var batchSize = 32
  /// The training ends after so many epochs, or after `patience` epochs without a lower validation loss.
  var epochs = 10
  var patience = 2

  /// The rows of every model's embedding, as in the Keras tutorials.
  static let words = 10_000
  /// The words of a longer text that are read, as in the Keras tutorials.
  static let longest = 500

  /// The model of the Keras tutorials on IMDb: 32 values a word, 5 units, Adam with its usual learning rate, and a head
  /// that reads the last output.
  static func tutorial(_ cell: Cell) -> SentimentSettings {
    SentimentSettings(name: "\(cell.name.uppercased()) of 5", cell: cell, startsFromIdentity: cell == .rnn())
  }

  /// A larger model that drops much, and whose head reads the mean and the largest values over time.
  static let better = SentimentSettings(
    name: "better", cell: .gru(), embeddingSize: 64, units: 64, isBidirectional: true, summary: .pooled,
    deviation: 0.2, wordDropout: 0.1, inputDropout: 0.5, headDropout: 0.5, epochs: 12)
}
