import Recurrent

/// y = weight·(x - mean)/√(variance + ε) + bias, with the mean and the variance of each row (Ba, Kiros, Hinton 2016,
/// arXiv 1607.06450), as PyTorch's `LayerNorm`.
public struct LayerNorm: Sendable, Composite {
  /// weight [C] and bias [C].
  public static let parts: [Part<LayerNorm>] = [
    Part("weight", \.weight) { [$0.size] }, Part("bias", \.bias) { [$0.size] },
  ]
  /// C
  public let size: Int
  /// [C], 1 at first.
  public var weight: [Float]
  /// [C], 0 at first.
  public var bias: [Float]
  /// Added to the variance.
  public let epsilon: Float

  /// - Throws: `RecurrentError` if the size is not positive or epsilon is not more than 0.
  public init(size: Int, epsilon: Float = 1e-5) throws(RecurrentError) {
    _ = try checkedCount(("size", size))
    try checkNumber("epsilon", epsilon, epsilon > 0 && epsilon.isFinite, "more than 0")
    self.size = size
    weight = Array(repeating: 1, count: size)
    bias = Array(repeating: 0, count: size)
    self.epsilon = epsilon
  }

  /// What `backward` needs: x with mean 0 and variance 1, and the factor of each row.
  public struct Trace: Sendable {
    fileprivate let normal: Sequences<Float>
    fileprivate let factors: [Float]
  }
}

extension LayerNorm: Module {
  private func checkParameters() throws(RecurrentError) {
    try checkCount("weight", weight.count, is: size, "\(size)")
    try checkCount("bias", bias.count, is: size, "\(size)")
  }

  public func forward(
    _ x: Sequences<Float>, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, Trace) {
    try workspace.naming(self) { () throws(RecurrentError) in
      let rows = x.steps * x.batchSize
      try checkParameters()
      guard x.size == size else {
        throw .size(name: "x.size", was: x.size, expected: "\(size), the size of the parameters")
      }
      var normal = x, y = try x.sameShape(size: size), factors = [Float](repeating: 0, count: rows)
      normal.withMutableValues { normal in
        y.withMutableValues { y in
          for row in 0..<rows {
            let range = row * size..<(row + 1) * size
            var sum: Float = 0, squares: Float = 0
            for at in range { sum += normal[at] }
            let mean = sum / Float(size)
            for at in range {
              normal[at] -= mean
              squares += normal[at] * normal[at]
            }
            let factor = 1 / (squares / Float(size) + epsilon).squareRoot()
            factors[row] = factor
            for (column, at) in range.enumerated() {
              normal[at] *= factor
              y[at] = normal[at] * weight[column] + bias[column]
            }
          }
        }
      }
      return (y, Trace(normal: normal, factors: factors))
    }
  }

  public func backward(
    _ dy: Sequences<Float>, _ trace: Trace, into gradients: inout Gradients<LayerNorm>, _ workspace: Workspace
  ) throws(RecurrentError) -> Sequences<Float> {
    let size = size, weight = weight
    return try inPart(gradients.name) { () throws(RecurrentError) in
      try checkParameters()
      try checkCount("gradients", gradients.list.count, is: 2 * size, "2·\(size)")
      try checkCount("dy", dy.values.count, is: trace.normal.values.count, "\(trace.factors.count)·\(size)")
      var dx = try trace.normal.sameShape(size: size)
      dx.withMutableValues { dx in
        gradients.withMutableValues { sums in
          trace.normal.values.withUnsafeBufferPointer { normal in
            dy.values.withUnsafeBufferPointer { dy in
              for (row, factor) in trace.factors.enumerated() {
                let first = row * size
                var mean: Float = 0, slope: Float = 0
                for column in 0..<size {
                  let d = dy[first + column], n = normal[first + column], part = d * weight[column]
                  sums[column] += d * n
                  sums[size + column] += d
                  mean += part
                  slope += part * n
                }
                (mean, slope) = (mean / Float(size), slope / Float(size))
                for column in 0..<size {
                  dx[first + column] =
                    (dy[first + column] * weight[column] - mean - normal[first + column] * slope) * factor
                }
              }
            }
          }
        }
      }
      return dx
    }
  }
}
