import Recurrent
import RecurrentTraining

/// How many digits of some utterances were not heard right.
struct SpeechErrors: Sendable {
  var digits = 0, wrongDigits = 0, strings = 0, wrongStrings = 0

  /// The digits to insert, delete or replace, divided by those that were spoken.
  var digitRate: Double { Double(wrongDigits) / Double(digits) }
  /// The fraction of the strings with an error.
  var stringRate: Double { Double(wrongStrings) / Double(strings) }

  mutating func add(heard: [Int], spoken: [Int]) {
    let distance = editDistance(heard, spoken)
    digits += spoken.count
    wrongDigits += distance
    strings += 1
    wrongStrings += distance == 0 ? 0 : 1
  }
}

// A recognizer of digits is any model that gives, at each step, a logit for the blank and one for each digit.
extension Module where Input == Sequences<Float>, Output == Sequences<Float> {
  /// The logits of some utterances, in batches of similar lengths, each with its utterances.
  func logits(
    of utterances: [SpeechData.Utterance], _ data: SpeechData
  ) throws(RecurrentError) -> [(utterances: [SpeechData.Utterance], logits: Sequences<Float>)] {
    let workspace = Workspace(isTraining: false)
    let sorted = utterances.sorted { $0.steps.count < $1.steps.count }
    var result: [(utterances: [SpeechData.Utterance], logits: Sequences<Float>)] = []
    for start in stride(from: 0, to: sorted.count, by: 64) {
      let batch = Array(sorted[start..<min(sorted.count, start + 64)])
      result.append((batch, try self(data.batch(batch), workspace).0))
    }
    return result
  }

  /// The mean loss of some utterances, and the errors of the most probable class at each step.
  func score(
    _ utterances: [SpeechData.Utterance], _ data: SpeechData
  ) throws(RecurrentError) -> (loss: Double, errors: SpeechErrors) {
    var loss = 0.0, errors = SpeechErrors()
    for (batch, logits) in try logits(of: utterances, data) {
      // The loss is computed before decoding, because its error names the logits that are not finite.
      loss += try CTCLoss()(logits, batch.labels).loss * Double(batch.count) / Double(utterances.count)
      for (labels, utterance) in zip(try CTCDecoder().greedy(logits), batch) {
        errors.add(heard: labels.digits, spoken: utterance.digits)
      }
    }
    return (loss, errors)
  }

  /// The probabilities of the classes at each step of an utterance, and the digits that the beam search reads.
  func probabilities(
    of utterance: SpeechData.Utterance, _ data: SpeechData, width: Int
  ) throws(RecurrentError) -> (probabilities: [[Double]], heard: [Int]) {
    let logits = try self(data.batch([utterance]), Workspace(isTraining: false)).0
    let probabilities = (0..<logits.steps).map { step in
      var row = Array(logits[step, 0])
      row.withUnsafeMutableBufferPointer { SoftmaxCrossEntropy.softmax($0) }
      return row.map(Double.init)
    }
    return (probabilities, try CTCDecoder().beam(logits, width: width)[0][0].labels.digits)
  }
}
