import Foundation
import Recurrent

/// The probability of a yes of each feature: σ(x) = 1 / (1 + exp(-x)), for models that need it inside or at the end.
/// [T,N,C] of logits [T,N,C], with their lengths; zeros from a sequence's length on.
///
/// A model of yes and no is trained on its logits: `BinaryCrossEntropy` takes them and has σ inside, whose logarithm
/// would be infinite for a probability that was rounded to 0. Such a model gets this part only for its use, behind the
/// head.
///
/// It is computed in double precision from exp(-|x|), which never overflows. A NaN stays one.
public struct Sigmoid: Parameterless {
  /// A module without options.
  public init() {}
}

extension Sigmoid: Module {
  /// The probabilities, which are the trace too.
  public func forward(
    _ x: Sequences<Float>, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, Sequences<Float>) {
    var y = x
    y.updateRows { _, row in
      for index in row.indices {
        let x = Double(row[index])
        row[index] = Float(sigmoid(x, small: exp(-abs(x))))
      }
    }
    return (y, y)
  }

  /// dx = dy·y·(1 - y)
  public func backward(
    _ dy: Sequences<Float>, _ y: Sequences<Float>, into gradients: inout Gradients<Sigmoid>, _ workspace: Workspace
  ) throws(RecurrentError) -> Sequences<Float> {
    try checkCount("dy", dy.values.count, is: y.values.count, "\(y.steps)·\(y.batchSize)·\(y.size)")
    var dx = y
    dx.updateRows { start, row in
      for index in row.indices { row[index] *= (1 - row[index]) * dy.values[start + index] }
    }
    return dx
  }
}

/// σ(x) in double precision.
///
/// - Parameter small: exp(-|x|), which never overflows.
func sigmoid(_ x: Double, small: Double) -> Double { (x > 0 ? 1 : small) / (1 + small) }
