import Recurrent

/// A loss over a batch of sequences, with its gradient. It is a value that holds its options.
///
/// ```swift
/// let (loss, dy) = try SoftmaxCrossEntropy(labelSmoothing: 0.1)(y, targets, lengths: lengths)
/// ```
///
/// The loss is the mean over the entries that are valid: the steps of each sequence before its length.
public protocol Loss<Targets>: Sendable, Equatable {
  /// What a model's outputs are compared with.
  associatedtype Targets

  /// The mean loss, and its gradient in y's place. Nothing is allocated.
  ///
  /// - Parameters:
  ///   - y: [T,N,size]: a model's outputs; overwritten by the gradient, which is zero from a sequence's length on.
  ///   - targets: of each step of each sequence. Those from a sequence's length on are not read.
  ///   - lengths: [N], each from 0 to T; nil means those of the outputs.
  ///   - weight: the gradient's factor, of a batch that is a part of another.
  /// - Returns: the mean loss, without `weight`.
  /// - Throws: `RecurrentError` if an option, a target or a count is wrong, or if no step is valid; y is then as it was
  ///   before. It also throws if the loss is infinite or NaN, and names the step; y is then overwritten.
  func replaceWithGradient(
    _ y: inout Sequences<Float>, _ targets: Targets, lengths: [Int]?, weight: Float
  ) throws(RecurrentError) -> Double
}

extension Loss {
  /// The mean loss and its gradient.
  ///
  /// - Parameters:
  ///   - y: [T,N,size]: a model's outputs. If this is their last use, the gradient takes their memory.
  ///   - targets: of each step of each sequence. Those from a sequence's length on are not read.
  ///   - lengths: [N], each from 0 to T; nil means those of the outputs.
  ///   - weight: the gradient's factor, of a batch that is a part of another.
  /// - Returns: the mean loss, without `weight`, and the gradient [T,N,size], which is zero from a sequence's length
  ///   on.
  /// - Throws: `RecurrentError` if an option, a target or a count is wrong, if no step is valid, or if the loss is
  ///   infinite or NaN. The error names the step.
  public func callAsFunction(
    _ y: consuming Sequences<Float>, _ targets: Targets, lengths: [Int]? = nil, weight: Float = 1
  ) throws(RecurrentError) -> (loss: Double, gradient: Sequences<Float>) {
    var gradient = y
    let loss = try replaceWithGradient(&gradient, targets, lengths: lengths, weight: weight)
    return (loss, gradient)
  }
}

extension Loss<[Float]> {
  /// The mean loss and its gradient, with targets in y's shape.
  ///
  /// - Parameters:
  ///   - y: [T,N,size]: a model's outputs. If this is their last use, the gradient takes their memory.
  ///   - targets: [T,N,size]. Those from a sequence's length on are not read.
  ///   - lengths, weight: as in the other form.
  /// - Returns: as the other form.
  /// - Throws: `RecurrentError`, as the other form does, and if the shapes differ.
  public func callAsFunction(
    _ y: consuming Sequences<Float>, _ targets: Sequences<Float>, lengths: [Int]? = nil, weight: Float = 1
  ) throws(RecurrentError) -> (loss: Double, gradient: Sequences<Float>) {
    guard targets.steps == y.steps, targets.batchSize == y.batchSize, targets.size == y.size else {
      throw .shape(name: "targets", was: "\(targets)", expected: "\(y), as the outputs")
    }
    return try self(y, targets.values, lengths: lengths, weight: weight)
  }
}
