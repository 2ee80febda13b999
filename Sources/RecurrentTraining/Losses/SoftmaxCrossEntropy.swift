import CRecurrentKernels
import Foundation
import Recurrent

/// Softmax and cross-entropy together: -log p of the target's class, with p = softmax(y). y are logits.
///
/// With a label smoothing of ε and class weights w, the loss of a row with target t is
/// (1 - ε)·w[t]·(-log p[t]) + ε/C·Σ w[c]·(-log p[c]) (Szegedy and others 2016, arXiv 1512.00567), and the mean is the
/// sum divided by Σ w[t], as in PyTorch.
public struct SoftmaxCrossEntropy: Loss {
  /// ε: how much of each target goes to all classes equally, 0 to 1.
  public var labelSmoothing: Float
  /// [C]: how much each class counts, 0 or more; nil if all count the same.
  public var classWeights: [Float]?

  /// A loss with these options. Each call checks them.
  public init(labelSmoothing: Float = 0, classWeights: [Float]? = nil) {
    self.labelSmoothing = labelSmoothing
    self.classWeights = classWeights
  }

  /// The mean loss in nats, and its gradient in y's place.
  ///
  /// - Parameters:
  ///   - y: [T,N,C]: logits, overwritten by the gradient.
  ///   - targets: [T,N], each from 0 to C - 1.
  ///   - lengths, weight: as `Loss` says.
  /// - Throws: `RecurrentError`, as `Loss` says.
  public func replaceWithGradient(
    _ y: inout Sequences<Float>, _ targets: [Int], lengths: [Int]? = nil, weight: Float = 1
  ) throws(RecurrentError) -> Double {
    let rows = try ValidRows(y, lengths: lengths), classes = y.size
    try checkNumber("label smoothing", labelSmoothing, labelSmoothing >= 0 && labelSmoothing <= 1, "0 to 1")
    try checkWeights("class weights", classWeights, size: classes)
    try rows.checkClasses(targets, count: classes)
    var total = Double(rows.count)
    if let classWeights {
      total = 0
      rows.forEachRun { rows, isValid in
        if isValid { for row in rows { total += Double(classWeights[targets[row]]) } }
      }
      guard total > 0 else {
        throw .value(name: "class weights", was: "0 for every target", expected: "more than 0 for one of them")
      }
    }
    let set = try Processor.active.floatSet
    let loss = y.withMutableValues { values in
      var loss = 0.0
      rows.forEachRun { rows, isValid in
        let part = UnsafeMutableBufferPointer(
          rebasing: values[rows.lowerBound * classes..<rows.upperBound * classes])
        if isValid {
          targets.withUnsafeBufferPointer {
            loss += sum(part, UnsafeBufferPointer(rebasing: $0[rows]), scale: Double(weight) / total, set)
          }
        } else {
          part.update(repeating: 0)
        }
      }
      return loss / total
    }
    try rows.checkFinite(loss, y)
    return loss
  }

  /// The probabilities of one row of logits, in its place.
  public static func softmax(_ logits: UnsafeMutableBufferPointer<Float>) {
    // An error says that a set which was forced does not exist; every processor has the portable one.
    let set = (try? Processor.active.floatSet) ?? InstructionSet.portable.floatSet
    softmax(logits, set)
  }

  /// The probabilities of one row of logits, in its place, by the kernel of an instruction set.
  static func softmax(_ logits: UnsafeMutableBufferPointer<Float>, _ set: instruction_set) {
    guard let start = logits.baseAddress else { return }
    var row = softmax_row(
      values: start, weights: nil, count: logits.count, factor: 1, smoothing: 0, has_distance: false, largest: 0,
      sum: 0,
      distance: 0)
    softmax_run(set, &row)
  }

  /// The sum of some rows' losses, and the gradients of that sum times `scale` in the logits' place.
  ///
  /// - Parameters:
  ///   - logits: [rows, C]
  ///   - targets: [rows], at least one.
  private func sum(
    _ logits: UnsafeMutableBufferPointer<Float>, _ targets: UnsafeBufferPointer<Int>, scale: Double,
    _ set: instruction_set
  ) -> Double {
    guard let classWeights else { return sum(logits, targets, weights: nil, scale: scale, set) }
    return classWeights.withUnsafeBufferPointer { sum(logits, targets, weights: $0, scale: scale, set) }
  }

  private func sum(
    _ logits: UnsafeMutableBufferPointer<Float>, _ targets: UnsafeBufferPointer<Int>,
    weights: UnsafeBufferPointer<Float>?, scale: Double, _ set: instruction_set
  ) -> Double {
    let classes = logits.count / targets.count
    let ofAll = weights.map { $0.reduce(0) { $0 + Double($1) } } ?? Double(classes)
    // What each class gets of every target, before its weight.
    let spread = Double(labelSmoothing) / Double(classes)
    var loss = 0.0
    for (index, target) in targets.enumerated() {
      let values = logits.baseAddress! + index * classes, targetLogit = values[target]
      let own = (1 - Double(labelSmoothing)) * Double(weights?[target] ?? 1)
      var row = softmax_row(
        values: values, weights: weights?.baseAddress, count: classes, factor: Float((own + spread * ofAll) * scale),
        smoothing: Float(spread * scale), has_distance: spread != 0, largest: 0, sum: 0, distance: 0)
      softmax_run(set, &row)
      values[target] -= Float(own * scale)
      // -log p of a class is log(sum) plus the distance of its logit from the largest one.
      let logSum = log(Double(row.sum))
      if own != 0 || !logSum.isFinite { loss += own * (logSum + Double(row.largest - targetLogit)) }
      if spread != 0 { loss += spread * (ofAll * logSum + Double(row.distance)) }
    }
    return loss
  }
}
