import CRecurrentKernels
import Foundation
import Recurrent

/// Adam (Kingma, Ba 2015, arXiv 1412.6980) over named arrays.
public struct Adam: Sendable, Equatable {
  /// The learning rate, at least 0.
  public var learningRate: Float
  /// How much of the first moment an update keeps, 0 up to less than 1.
  public var beta1: Float
  /// How much of the second moment an update keeps, 0 up to less than 1.
  public var beta2: Float
  /// Added to √v̂, more than 0.
  public var epsilon: Float
  /// The number of updates so far.
  public var steps: Int
  /// The mean of the gradients of each array, by its name.
  public var first: [String: [Float]]
  /// The mean of the gradients' squares of each array, by its name.
  public var second: [String: [Float]]

  /// An optimizer without moments. `step` checks the numbers, since each can be changed between two updates.
  public init(learningRate: Float = 1e-3, beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8) {
    self.learningRate = learningRate
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    steps = 0
    first = [:]
    second = [:]
  }

  /// One update of some arrays: `updates` gets a `Step` and calls its `update` once for each array.
  ///
  /// An update that fails before its first array is not counted. If it fails later, the arrays before that stay
  /// updated.
  ///
  /// - Throws: `RecurrentError` if the learning rate, a beta, epsilon or the count of steps is out of its range, and
  ///   what `updates` throws.
  public mutating func step(
    _ updates: (inout Step) throws(RecurrentError) -> Void
  ) throws(RecurrentError) {
    try checkNumber("learning rate", learningRate, learningRate >= 0 && learningRate.isFinite, "0 or more")
    try checkNumber("beta1", beta1, beta1 >= 0 && beta1 < 1, "0 up to less than 1")
    try checkNumber("beta2", beta2, beta2 >= 0 && beta2 < 1, "0 up to less than 1")
    try checkNumber("epsilon", epsilon, epsilon > 0 && epsilon.isFinite, "more than 0")
    guard steps >= 0, steps < Int.max else { throw .size(name: "steps", was: steps, expected: "0 or more") }
    var step = Step(self)
    // Only the update holds the moments, so that they change in place and are not copied.
    (first, second) = ([:], [:])
    defer { self = step.adam }
    do throws(RecurrentError) { try updates(&step) } catch {
      if step.names.isEmpty { step.adam.steps -= 1 }
      throw error
    }
  }

  /// - Throws: `RecurrentError.count` if an array's moments belong to an array of another count.
  func checkMoments(_ name: String, count: Int) throws(RecurrentError) {
    guard first[name] != nil || second[name] != nil else { return }
    try checkCount("first moment of \(name)", first[name]?.count ?? 0, is: count, "the values' count")
    try checkCount("second moment of \(name)", second[name]?.count ?? 0, is: count, "the values' count")
  }

  /// One update of an `Adam`, which exists only inside `step`.
  public struct Step: ~Copyable {
    fileprivate var adam: Adam
    /// The arrays that have been updated.
    fileprivate var names: Set<String> = []

    fileprivate init(_ adam: Adam) {
      self.adam = adam
      self.adam.steps += 1
    }

    /// m = β1·m + (1 - β1)·g, v = β2·v + (1 - β2)·g², values -= rate·m̂ / (√v̂ + ε), with g = scale·gradient
    ///
    /// - Parameters:
    ///   - name: unique to the array; the next step finds the array's moments by it.
    ///   - values: the same count in every step.
    ///   - gradient: as many as values.
    /// - Throws: `RecurrentError` if gradient and values differ in count, if the values had another count in an
    ///   earlier step, or if the name was already used in this step; the array is then as it was before.
    public mutating func update(
      _ name: String, _ values: UnsafeMutableBufferPointer<Float>, gradient: [Float], scale: Float = 1
    ) throws(RecurrentError) {
      try checkCount("gradient of \(name)", gradient.count, is: values.count, "the values' count")
      try run(name, values, gradient, ofRows: [0], size: gradient.count, scale: scale)
    }

    /// The same for an embedding's weight [V,D]. The symbols that were not seen have a gradient of zero: their moments
    /// decay and their values move, as with a gradient that holds the zeros, and with the same bits.
    ///
    /// - Parameters:
    ///   - name, scale: as of the other form.
    ///   - values: [V,D]
    ///   - gradient: of V symbols and D values each.
    /// - Throws: `RecurrentError` as the other form.
    public mutating func update(
      _ name: String, _ values: UnsafeMutableBufferPointer<Float>, gradient: EmbeddingGradient, scale: Float = 1
    ) throws(RecurrentError) {
      let count = gradient.symbols * gradient.size
      try checkCount("gradient of \(name)", count, is: values.count, "the values' count")
      try run(name, values, gradient.sums, ofRows: gradient.seen, size: gradient.size, scale: scale)
    }

    /// - Parameters:
    ///   - gradient: [rows, size], of those rows of the values, in ascending order; the other rows' gradients are zero.
    private mutating func run(
      _ name: String, _ values: UnsafeMutableBufferPointer<Float>, _ gradient: [Float], ofRows rows: [Int], size: Int,
      scale: Float
    ) throws(RecurrentError) {
      try adam.checkMoments(name, count: values.count)
      let set = (try Processor.active).kernelSet
      guard names.insert(name).inserted else {
        throw .value(
          name: "array '\(name)'", was: "updated twice in one step", expected: "a name of its own for each array")
      }
      guard let start = values.baseAddress, !values.isEmpty else { return }
      if adam.first[name] == nil {
        adam.first[name] = Array(repeating: 0, count: values.count)
        adam.second[name] = Array(repeating: 0, count: values.count)
      }
      let power1 = pow(Double(adam.beta1), Double(adam.steps)), power2 = pow(Double(adam.beta2), Double(adam.steps))
      let rate = adam.learningRate / Float(1 - power1), correction = Float(1 / (1 - power2))
      let (beta1, beta2, epsilon) = (adam.beta1, adam.beta2, adam.epsilon)
      adam.first[name]!.withUnsafeMutableBufferPointer { first in
        adam.second[name]!.withUnsafeMutableBufferPointer { second in
          gradient.withUnsafeBufferPointer { gradient in
            rows.withUnsafeBufferPointer { rows in
              var update = adam_update(
                values: start, first: first.baseAddress!, second: second.baseAddress!, gradient: gradient.baseAddress,
                rows: rows.baseAddress, row_count: rows.count, size: size, count: values.count, scale: scale,
                rate: rate, beta1: beta1, beta2: beta2, correction: correction, epsilon: epsilon)
              adam_run(set, &update)
            }
          }
        }
      }
    }
  }
}
