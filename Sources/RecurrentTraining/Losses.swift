import Foundation
import Recurrent

/// Softmax and cross-entropy together, over the rows of a batch.
public enum SoftmaxCrossEntropy {
  /// The mean loss, and its gradient in the logits' place.
  ///
  /// - Parameters:
  ///   - logits: [rows, classes]; overwritten by the gradient of the mean loss.
  ///   - targets: [rows], each from 0 to classes - 1.
  ///   - weight: the gradient's factor, of a batch that is a part of another.
  /// - Returns: the mean loss in nats.
  /// - Throws: `RecurrentError` if a target or a count is wrong; nothing has been written then.
  public static func gradient(
    _ logits: inout [Float], targets: [Int], classes: Int, weight: Float = 1
  ) throws(RecurrentError) -> Double {
    _ = try checkedCount(("rows", targets.count), ("classes", classes))
    try checkCount("logits", logits.count, is: targets.count * classes, "\(targets.count)·\(classes)")
    for target in targets where target < 0 || target >= classes {
      throw .size(name: "target", was: target, expected: "0 to \(classes - 1)")
    }
    let scale = weight / Float(targets.count)
    return logits.withUnsafeMutableBufferPointer { logits in
      var loss = 0.0
      for (row, target) in targets.enumerated() {
        let values = UnsafeMutableBufferPointer(rebasing: logits[row * classes..<(row + 1) * classes])
        let targetLogit = values[target]
        let (largest, sum) = exponentiate(values)
        loss += Double(log(sum)) - Double(targetLogit - largest)
        for index in values.indices { values[index] *= scale / sum }
        values[target] -= scale
      }
      return loss / Double(targets.count)
    }
  }

  /// The probabilities of one row of logits, in its place.
  public static func softmax(_ logits: UnsafeMutableBufferPointer<Float>) {
    let (_, sum) = exponentiate(logits)
    for index in logits.indices { logits[index] /= sum }
  }

  /// exp(value - largest) in each value's place, and their sum.
  private static func exponentiate(_ values: UnsafeMutableBufferPointer<Float>) -> (largest: Float, sum: Float) {
    let largest = values.max() ?? 0
    var sum: Float = 0
    for index in values.indices {
      values[index] = exp(values[index] - largest)
      sum += values[index]
    }
    return (largest, sum)
  }
}

/// σ and cross-entropy together, over a batch of yes and no.
public enum BinaryCrossEntropy {
  /// The mean loss, and its gradient in the logits' place.
  ///
  /// - Parameters:
  ///   - logits: [rows]; overwritten by the gradient of the mean loss.
  ///   - labels: [rows], each from 0 to 1.
  /// - Returns: the mean loss in nats.
  /// - Throws: `RecurrentError` if a label or a count is wrong; nothing has been written then.
  public static func gradient(_ logits: inout [Float], labels: [Float]) throws(RecurrentError) -> Double {
    _ = try checkedCount(("rows", logits.count))
    try checkCount("labels", labels.count, is: logits.count, "the logits' count")
    for label in labels where !(0...1).contains(label) {
      throw .value(name: "a label", was: "\(label)", expected: "0 for no, 1 for yes or something between")
    }
    let scale = 1 / Double(logits.count)
    var loss = 0.0
    for (row, label) in labels.enumerated() {
      let x = Double(logits[row]), small = exp(-abs(x))  // never overflows
      loss += max(x, 0) - x * Double(label) + log1p(small)
      logits[row] = Float(((x > 0 ? 1 : small) / (1 + small) - Double(label)) * scale)
    }
    return loss * scale
  }
}
