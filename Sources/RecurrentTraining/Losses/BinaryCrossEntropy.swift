import Foundation
import Recurrent

/// σ and cross-entropy together: -(p·t·log σ(y) + (1 - t)·log(1 - σ(y))), for answers of yes and no. y are logits.
///
/// p is the positive weight; a feature's loss is multiplied by its weight. The mean is over all features of the valid
/// steps, whatever their weights, as in PyTorch's BCEWithLogitsLoss.
public struct BinaryCrossEntropy: Loss {
  /// [size]: how much a yes counts against a no, 0 or more; nil if they count the same.
  public var positiveWeights: [Float]?
  /// [size]: how much each feature counts, 0 or more; nil if all count the same.
  public var featureWeights: [Float]?

  /// A loss with these options. Each call checks them.
  public init(positiveWeights: [Float]? = nil, featureWeights: [Float]? = nil) {
    self.positiveWeights = positiveWeights
    self.featureWeights = featureWeights
  }

  /// The mean loss in nats, and its gradient in y's place.
  ///
  /// - Parameters:
  ///   - y: [T,N,size]: logits, overwritten by the gradient.
  ///   - targets: [T,N,size], each from 0 for no to 1 for yes.
  ///   - lengths, weight: as `Loss` says.
  /// - Throws: `RecurrentError`, as `Loss` says.
  public func replaceWithGradient(
    _ y: inout Sequences<Float>, _ targets: [Float], lengths: [Int]? = nil, weight: Float = 1
  ) throws(RecurrentError) -> Double {
    let rows = try ValidRows(y, lengths: lengths), size = y.size
    try checkWeights("positive weights", positiveWeights, size: size)
    try checkWeights("feature weights", featureWeights, size: size)
    try rows.checkNumbers(
      targets, size: size, { (0...1).contains($0) }, expected: "0 for no, 1 for yes or something between")
    let count = Double(rows.count * size)
    let loss = y.withMutableValues { values in
      var loss = 0.0
      rows.forEachRun { rows, isValid in
        let part = rows.lowerBound * size..<rows.upperBound * size
        if isValid {
          loss += sum(values, targets, part, size: size, scale: Double(weight) / count)
        } else {
          UnsafeMutableBufferPointer(rebasing: values[part]).update(repeating: 0)
        }
      }
      return loss / count
    }
    try rows.checkFinite(loss, y)
    return loss
  }

  /// The sum of the losses of the values in a range, and the gradients of that sum times `scale` in the logits' place.
  private func sum(
    _ logits: UnsafeMutableBufferPointer<Float>, _ targets: [Float], _ range: Range<Int>, size: Int, scale: Double
  ) -> Double {
    var loss = 0.0
    for index in range {
      let x = Double(logits[index]), target = Double(targets[index]), small = exp(-abs(x))  // never overflows
      let positive = positiveWeights.map { Double($0[index % size]) } ?? 1
      let weight = featureWeights.map { Double($0[index % size]) } ?? 1
      // -(p·t·log σ + (1 - t)·log(1 - σ)) = q·log(1 + exp(x)) - p·t·x
      let q = 1 + (positive - 1) * target
      loss += weight * (q * max(x, 0) - positive * target * x + q * log1p(small))
      logits[index] = Float(weight * (q * sigmoid(x, small: small) - positive * target) * scale)
    }
    return loss
  }
}
