import CRecurrentKernels
import Foundation
import Recurrent

/// Adam (Kingma, Ba 2015, arXiv 1412.6980) over named arrays.
public struct Adam: Sendable, Equatable {
  public var learningRate: Float
  public var beta1: Float
  public var beta2: Float
  public var epsilon: Float
  /// Updates so far.
  public var steps: Int
  /// The moments of each array, by its name.
  public var first: [String: [Float]]
  public var second: [String: [Float]]

  public init(learningRate: Float = 1e-3, beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8) {
    self.learningRate = learningRate
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    steps = 0
    first = [:]
    second = [:]
  }

  /// Starts an update; `update` follows for each array.
  public mutating func beginStep() { steps += 1 }

  /// m = β1·m + (1 - β1)·g, v = β2·v + (1 - β2)·g², values -= rate·m̂ / (√v̂ + ε)
  ///
  /// - Throws: `RecurrentError.count` where gradient and values differ in count.
  public mutating func update(
    _ name: String, _ values: UnsafeMutableBufferPointer<Float>, gradient: [Float], scale: Float = 1
  ) throws(RecurrentError) {
    try checkCount("gradient of \(name)", gradient.count, is: values.count, "the values' count")
    if first[name]?.count != values.count { first[name] = Array(repeating: 0, count: values.count) }
    if second[name]?.count != values.count { second[name] = Array(repeating: 0, count: values.count) }
    let power1 = pow(Double(beta1), Double(max(1, steps))), power2 = pow(Double(beta2), Double(max(1, steps)))
    let rate = learningRate / Float(1 - power1), correction = Float(1 / (1 - power2))
    let set = (try Processor.active).kernelSet
    first[name]!.withUnsafeMutableBufferPointer { first in
      second[name]!.withUnsafeMutableBufferPointer { second in
        gradient.withUnsafeBufferPointer { gradient in
          guard let start = values.baseAddress else { return }
          var update = adam_update(
            values: start, first: first.baseAddress!, second: second.baseAddress!, gradient: gradient.baseAddress!,
            count: values.count, scale: scale, rate: rate, beta1: beta1, beta2: beta2, correction: correction,
            epsilon: epsilon)
          adam_run(set, &update)
        }
      }
    }
  }
}

/// √Σ g² over some arrays, in double precision.
public func gradientNorm(_ gradients: [[Float]]) -> Double {
  var sum = 0.0
  for gradient in gradients { for value in gradient { sum += Double(value) * Double(value) } }
  return sum.squareRoot()
}

/// The factor that brings gradients of a norm down to at most `limit` (Pascanu, Mikolov, Bengio 2013, arXiv 1211.5063).
public func clippingFactor(norm: Double, limit: Double) -> Float {
  norm > limit && limit > 0 ? Float(limit / norm) : 1
}
