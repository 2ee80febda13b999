import Recurrent

/// The probabilities of each step's classes: y[c] = exp(x[c]) / Σ exp(x[k]), for models that need them inside or at the
/// end. [T,N,C] of logits [T,N,C], with their lengths; zeros from a sequence's length on.
///
/// A classifier is trained on its logits: `SoftmaxCrossEntropy` takes them and has the softmax inside, which is more
/// exact and faster than the logarithm of a probability. Such a model gets this part only for its use, behind the head.
///
/// The largest logit is subtracted first, so no logit is too large. Probabilities below 2^-126 are zero. A row with a
/// NaN or +∞, or with nothing but -∞, gives NaNs.
public struct Softmax: Parameterless {
  /// A module without options.
  public init() {}
}

extension Softmax: Module {
  /// The probabilities, which are the trace too.
  public func forward(
    _ x: Sequences<Float>, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, Sequences<Float>) {
    let set = try Processor.active.floatSet
    var y = x
    y.updateRows { _, row in SoftmaxCrossEntropy.softmax(row, set) }
    return (y, y)
  }

  /// dx[c] = y[c]·(dy[c] - Σ y[k]·dy[k])
  public func backward(
    _ dy: Sequences<Float>, _ y: Sequences<Float>, into gradients: inout Gradients<Softmax>, _ workspace: Workspace
  ) throws(RecurrentError) -> Sequences<Float> {
    try checkCount("dy", dy.values.count, is: y.values.count, "\(y.steps)·\(y.batchSize)·\(y.size)")
    var dx = y
    dx.updateRows { start, row in
      var mean = 0.0
      for index in row.indices { mean += Double(row[index]) * Double(dy.values[start + index]) }
      for index in row.indices { row[index] *= Float(Double(dy.values[start + index]) - mean) }
    }
    return dx
  }
}

extension Sequences<Float> {
  /// Changes each row of a sequence's steps before its length, and makes the other rows zero.
  ///
  /// - Parameter body: gets the place of the row's first value in `values`, and the row [size].
  mutating func updateRows(_ body: (_ start: Int, _ row: UnsafeMutableBufferPointer<Float>) -> Void) {
    let shape = (steps: steps, batchSize: batchSize, size: size), lengths = lengths
    withMutableValues { values in
      for step in 0..<shape.steps {
        for sequence in 0..<shape.batchSize {
          let start = (step * shape.batchSize + sequence) * shape.size
          let row = UnsafeMutableBufferPointer(rebasing: values[start..<start + shape.size])
          if step < lengths?[sequence] ?? shape.steps { body(start, row) } else { row.update(repeating: 0) }
        }
      }
    }
  }

  /// The same with zeros from each sequence's length on, where anything may be. A product of a gradient of 0 and a NaN
  /// would be a NaN.
  var withoutPadding: Sequences {
    guard lengths != nil else { return self }
    var clean = self
    clean.updateRows { _, _ in }
    return clean
  }
}
