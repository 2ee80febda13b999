import Recurrent

/// One row for each sequence, [1,N,C], out of all its steps [T,N,C] up to its length. A sequence without steps gives
/// zeros.
public struct TimePooling: Parameterless {
  /// How the steps of a feature become one value.
  public enum Kind: Sendable, Equatable {
    /// Their mean.
    case mean
    /// The largest. Its gradient goes to the first step that has it.
    case max
  }

  /// How the steps of a feature become one value.
  public let kind: Kind

  /// - Parameter kind: the mean or the largest value.
  public init(_ kind: Kind) { self.kind = kind }

  /// The input's shape and, for the largest values, where they were.
  public struct Trace: Sendable {
    fileprivate let shape: Sequences<Float>
    /// [N,C]: the step of the largest value.
    fileprivate let steps: [Int]
  }
}

extension TimePooling: Module {
  public func forward(
    _ x: Sequences<Float>, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, Trace) {
    var y = try Sequences<Float>(steps: 1, batchSize: x.batchSize, size: x.size), steps: [Int] = []
    let row = x.batchSize * x.size
    if kind == .max { steps = Array(repeating: 0, count: row) }
    y.withMutableValues { y in
      x.values.withUnsafeBufferPointer { x0 in
        steps.withUnsafeMutableBufferPointer { steps in
          for step in 0..<x.steps {
            for sequence in 0..<x.batchSize where step < x.length(sequence) {
              for at in sequence * x.size..<(sequence + 1) * x.size {
                let value = x0[step * row + at]
                switch kind {
                case .mean: y[at] += value
                case .max where step == 0 || value > y[at]: (y[at], steps[at]) = (value, step)
                case .max: break
                }
              }
            }
          }
          guard kind == .mean else { return }
          for sequence in 0..<x.batchSize where x.length(sequence) > 0 {
            for at in sequence * x.size..<(sequence + 1) * x.size { y[at] /= Float(x.length(sequence)) }
          }
        }
      }
    }
    return (y, Trace(shape: x, steps: steps))
  }

  public func backward(
    _ dy: Sequences<Float>, _ trace: Trace, into gradients: inout Gradients<TimePooling>, _ workspace: Workspace
  ) throws(RecurrentError) -> Sequences<Float> {
    let x = trace.shape, row = x.batchSize * x.size
    try checkCount("dy", dy.values.count, is: row, "\(x.batchSize)·\(x.size)")
    var dx = try x.sameShape(size: x.size)
    dx.withMutableValues { dx in
      for sequence in 0..<x.batchSize where x.length(sequence) > 0 {
        for at in sequence * x.size..<(sequence + 1) * x.size {
          switch kind {
          case .mean:
            let part = dy.values[at] / Float(x.length(sequence))
            for step in 0..<x.length(sequence) { dx[step * row + at] = part }
          case .max: dx[trace.steps[at] * row + at] = dy.values[at]
          }
        }
      }
    }
    return dx
  }
}

extension Sequences {
  /// The number of steps of a sequence.
  func length(_ sequence: Int) -> Int { lengths?[sequence] ?? steps }
}
