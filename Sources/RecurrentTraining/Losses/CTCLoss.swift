import Foundation
import Recurrent

/// Connectionist temporal classification (Graves and others 2006): -log of the probability that a model's steps spell a
/// sequence's labels. At each step the model chooses a label or the blank; equal labels at neighboring steps count as
/// one, and blanks are left out. y are logits, and a softmax over the classes is inside.
///
/// Each sequence's loss is divided by the number of its labels (at least 1); the result is the mean over the sequences,
/// as in PyTorch's `CTCLoss`. All sums are in log space and in double precision.
public struct CTCLoss: Loss {
  /// The class that stands for no label.
  public var blank: Int

  /// - Parameter blank: the class that stands for no label, 0 to C - 1.
  public init(blank: Int = 0) { self.blank = blank }

  /// The mean loss in nats, and its gradient in y's position. Memory for the steps of one sequence is allocated.
  ///
  /// - Parameters:
  ///   - y: [T,N,C]: logits, overwritten by the gradient.
  ///   - targets: [N]: the labels of each sequence, each from 0 to C - 1 and not the blank.
  ///   - lengths, weight: as `Loss` says. A sequence without steps must have no labels.
  /// - Throws: `RecurrentError`, as `Loss` says, and if a sequence has fewer steps than its labels need: one for each
  ///   label, and a blank between two equal ones.
  public func replaceWithGradient(
    _ y: inout Sequences<Float>, _ targets: [[Int]], lengths: [Int]? = nil, weight: Float = 1
  ) throws(RecurrentError) -> Double {
    let rows = try ValidRows(y, lengths: lengths), classes = y.size, batchSize = y.batchSize, steps = y.steps
    guard (0..<classes).contains(blank) else {
      throw .size(name: "blank", was: blank, expected: "0 to \(classes - 1)")
    }
    try checkCount("targets", targets.count, is: batchSize, "N")
    func length(_ sequence: Int) -> Int { rows.lengths?[sequence] ?? steps }
    for (sequence, labels) in targets.enumerated() {
      for label in labels where label < 0 || label >= classes || label == blank {
        throw .size(
          name: "a label of sequence \(sequence)", was: label,
          expected: "0 to \(classes - 1), and not the blank, \(blank)")
      }
      let needed = labels.count + zip(labels, labels.dropFirst()).count { $0 == $1 }
      guard length(sequence) >= needed else {
        throw .size(
          name: "the steps of sequence \(sequence)", was: length(sequence),
          expected: "at least \(needed), for its \(labels.count) labels and a blank between equal ones")
      }
    }
    let blank = blank
    let loss = y.withMutableValues { values in
      var loss = 0.0
      for (sequence, labels) in targets.enumerated() {
        let scale = 1 / Double(batchSize * max(1, labels.count)), valid = length(sequence)
        var spelling = Spelling(labels, blank: blank, steps: valid, classes: classes) { step in
          UnsafeBufferPointer(
            rebasing: values[(step * batchSize + sequence) * classes..<(step * batchSize + sequence + 1) * classes])
        }
        loss += scale * spelling.loss
        for step in 0..<steps {
          let row = values.baseAddress! + (step * batchSize + sequence) * classes
          if step < valid {
            spelling.gradient(step, scale: scale * Double(weight), into: row)
          } else {
            row.update(repeating: 0, count: classes)
          }
        }
      }
      return loss
    }
    try rows.checkFinite(loss, y)
    return loss
  }
}

/// All paths of classes through the steps of one sequence that spell its labels.
///
/// The positions are the labels with a blank before, between and after them. A path visits them in order; it may skip a
/// blank between different labels.
private struct Spelling {
  /// -log of the probability of the labels.
  private(set) var loss = 0.0
  private let labels: [Int]
  private let blank: Int
  private let classes: Int
  /// [T,C]
  private var logProbabilities: [Double]
  /// [T,positions]: log of the probability of all paths up to a step that are at a position then, and of all paths on
  /// from there.
  private var before: [Double]
  private var after: [Double]
  private var positions: Int { 2 * labels.count + 1 }

  init(
    _ labels: [Int], blank: Int, steps: Int, classes: Int, logits: (Int) -> UnsafeBufferPointer<Float>
  ) {
    (self.labels, self.blank, self.classes) = (labels, blank, classes)
    let positions = 2 * labels.count + 1
    logProbabilities = []
    logProbabilities.reserveCapacity(steps * classes)
    before = Array(repeating: -.infinity, count: steps * positions)
    after = before
    for step in 0..<steps {
      logProbabilities += logSoftmax(logits(step))
    }
    guard steps > 0 else { return }
    for step in 0..<steps {
      for position in 0..<positions {
        var sum = step == 0 ? (position < 2 ? 0 : -.infinity) : before[(step - 1) * positions + position]
        if step > 0 {
          if position > 0 { sum = logSum(sum, before[(step - 1) * positions + position - 1]) }
          if canSkip(to: position) { sum = logSum(sum, before[(step - 1) * positions + position - 2]) }
        }
        before[step * positions + position] = sum + logProbability(step, position)
      }
    }
    for step in (0..<steps).reversed() {
      for position in 0..<positions {
        guard step < steps - 1 else {
          after[step * positions + position] = position >= positions - 2 ? 0 : -.infinity
          continue
        }
        func on(_ next: Int) -> Double { after[(step + 1) * positions + next] + logProbability(step + 1, next) }
        var sum = on(position)
        if position + 1 < positions { sum = logSum(sum, on(position + 1)) }
        if position + 2 < positions, canSkip(to: position + 2) { sum = logSum(sum, on(position + 2)) }
        after[step * positions + position] = sum
      }
    }
    let last = (steps - 1) * positions
    loss = -logSum(before[last + positions - 1], positions > 1 ? before[last + positions - 2] : -.infinity)
  }

  private func symbol(_ position: Int) -> Int { position % 2 == 0 ? blank : labels[position / 2] }
  private func logProbability(_ step: Int, _ position: Int) -> Double {
    logProbabilities[step * classes + symbol(position)]
  }
  /// Whether a path may come from two positions before: it then skips the blank between two different labels.
  private func canSkip(to position: Int) -> Bool {
    position % 2 == 1 && position > 1 && labels[position / 2] != labels[position / 2 - 1]
  }

  /// scale times the gradient of the loss by a step's logits.
  mutating func gradient(_ step: Int, scale: Double, into row: UnsafeMutablePointer<Float>) {
    let start = step * classes
    // The probabilities become their distance from the share of each class in all paths.
    for index in 0..<classes { logProbabilities[start + index] = exp(logProbabilities[start + index]) }
    for position in 0..<positions {
      logProbabilities[start + symbol(position)] -= exp(
        before[step * positions + position] + after[step * positions + position] + loss)
    }
    for index in 0..<classes { row[index] = Float(scale * logProbabilities[start + index]) }
  }
}
