import Recurrent

/// One row for each sequence, [1,N,C] or [1,N,2C], out of all its steps [T,N,C] up to its length. A sequence without
/// steps gives zeros.
public struct TimePooling: Parameterless {
  /// How the steps of a feature become one value, or two.
  public enum Kind: Sendable, Equatable {
    /// Their mean.
    case mean
    /// The largest. Its gradient goes to the first step that has it.
    case max
    /// The means of all features, and behind them the largest values: 2C values.
    case meanAndMax
  }

  /// How the steps of a feature become one value, or two.
  public let kind: Kind

  /// - Parameter kind: the mean, the largest value, or both.
  public init(_ kind: Kind) { self.kind = kind }

  /// The input's shape and, for the largest values, where they were.
  public struct Trace: Sendable {
    fileprivate let shape: Sequences<Float>
    /// [N,C]: the step of the largest value.
    fileprivate let steps: [Int]
  }

  private var hasMean: Bool { kind != .max }
  private var hasMax: Bool { kind != .mean }
  /// The number of values in a row for each feature.
  private var values: Int { kind == .meanAndMax ? 2 : 1 }
}

extension TimePooling: Module {
  public func forward(
    _ x: Sequences<Float>, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, Trace) {
    let c = x.size, row = x.batchSize * c, width = values * c, firstMax = width - c
    var y = try Sequences<Float>(steps: 1, batchSize: x.batchSize, size: width)
    var steps = Array(repeating: 0, count: hasMax ? row : 0)
    y.withMutableValues { y in
      x.values.withUnsafeBufferPointer { x0 in
        steps.withUnsafeMutableBufferPointer { steps in
          for step in 0..<x.steps {
            for sequence in 0..<x.batchSize where step < x.length(sequence) {
              let from = step * row + sequence * c, means = sequence * width, maxima = means + firstMax
              if hasMean { for feature in 0..<c { y[means + feature] += x0[from + feature] } }
              guard hasMax else { continue }
              for feature in 0..<c
              where step == 0 || x0[from + feature] > y[maxima + feature] || x0[from + feature].isNaN {
                y[maxima + feature] = x0[from + feature]
                steps[sequence * c + feature] = step
              }
            }
          }
          for sequence in 0..<x.batchSize where hasMean && x.length(sequence) > 0 {
            for at in sequence * width..<sequence * width + c { y[at] /= Float(x.length(sequence)) }
          }
        }
      }
    }
    return (y, Trace(shape: x, steps: steps))
  }

  public func backward(
    _ dy: Sequences<Float>, _ trace: Trace, into gradients: inout Gradients<TimePooling>, _ workspace: Workspace
  ) throws(RecurrentError) -> Sequences<Float> {
    let x = trace.shape, c = x.size, row = x.batchSize * c, width = values * c, firstMax = width - c
    try checkCount("dy", dy.values.count, is: x.batchSize * width, "\(x.batchSize)·\(width)")
    var dx = try x.sameShape(size: c)
    dx.withMutableValues { dx in
      dy.values.withUnsafeBufferPointer { dy in
        for sequence in 0..<x.batchSize where x.length(sequence) > 0 {
          let to = sequence * c, means = sequence * width, maxima = means + firstMax
          if hasMean {
            let part = 1 / Float(x.length(sequence))
            for step in 0..<x.length(sequence) {
              for feature in 0..<c { dx[step * row + to + feature] = dy[means + feature] * part }
            }
          }
          guard hasMax else { continue }
          for feature in 0..<c { dx[trace.steps[to + feature] * row + to + feature] += dy[maxima + feature] }
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
