import Foundation
import Recurrent

/// Attention through a window that each query places itself: the predictive window, local-p, of Luong, Pham and Manning
/// 2015 (arXiv 1508.04025).
///
/// A query looks at the keys from p - D to p + D, where p = K·σ(v·tanh(Wp·query)) and K is the number of the sequence's
/// keys. Their weights are the softmax of the scores over the window, times exp(-(key - p)²/2σ²) with σ = D/2. So the
/// weights sum to less than 1, and p has a gradient. A position is a number of keys: key 0 is at 0, and p is at most K.
public struct PredictiveAttention: Sendable {
  /// What compares a query with a key.
  public enum Score: Sendable, Equatable {
    /// query·key, of equal sizes.
    case dot
    /// (W·query)·key
    case general
  }

  /// Cq
  public let querySize: Int
  /// Ck
  public let keySize: Int
  /// A: the number of values from which a position is predicted.
  public let size: Int
  /// D: how many keys the window reaches to each side of its position.
  public let distance: Int
  /// What compares a query with a key.
  public let score: Score
  /// Wp [A,Cq]
  public var positionWeight: [Float]
  /// v [A]
  public var positionScore: [Float]
  /// W [Ck,Cq]; empty if the score is the dot product.
  public var weight: [Float]
  private let positionLinear: Linear
  private let queryLinear: Linear
  private let products: Products<Float>

  /// The weights are uniform in ±1/√(their inputs), as PyTorch draws them for a `Linear`.
  ///
  /// - Parameters:
  ///   - querySize: Cq
  ///   - keySize: Ck; Cq if the score is the dot product.
  ///   - size: A
  ///   - distance: D, at least 1.
  ///   - score: what compares a query with a key.
  ///   - seed: equal seeds give equal modules.
  /// - Throws: `RecurrentError` if a size is not positive, if the distance is out of its range, or if the score is the
  ///   dot product of queries and keys of different sizes.
  public init(
    querySize: Int, keySize: Int, size: Int, distance: Int, score: Score = .general, seed: UInt64
  ) throws(RecurrentError) {
    guard (1...1 << 40).contains(distance) else {
      throw .size(name: "the window's distance", was: distance, expected: "1 to \(1 << 40) steps")
    }
    guard score == .general || querySize == keySize else {
      throw .size(name: "the size of the queries", was: querySize, expected: "\(keySize), the size of the keys")
    }
    self.querySize = querySize
    self.keySize = keySize
    self.size = size
    self.distance = distance
    self.score = score
    positionWeight = try Dense(inputSize: querySize, outputSize: size, seed: seed).weight
    positionScore = try Dense(inputSize: size, outputSize: 1, seed: seed &+ 1).weight
    weight = score == .dot ? [] : try Dense(inputSize: querySize, outputSize: keySize, seed: seed &+ 2).weight
    positionLinear = try Linear(inputSize: querySize, outputSize: size)
    queryLinear = try Linear(inputSize: querySize, outputSize: keySize)
    products = try Products<Float>(nil)
  }

  /// What `backward` needs.
  public struct Trace: Sendable {
    /// The weights that each query gives to the keys. They sum to less than 1.
    public let weights: AttentionWeights
    fileprivate let input: AttentionInput
    /// tanh(Wp·queries) [Tq,N,A]
    fileprivate let hidden: Sequences<Float>
    /// What the keys are compared with, [Tq,N,Ck].
    fileprivate let queries: Sequences<Float>
    /// p [Tq,N]; 0 past the lengths.
    fileprivate let positions: [Double]

    /// p [Q]: where each query of a sequence looks, in keys from the first one.
    ///
    /// - Throws: `RecurrentError.size` if there is no such sequence.
    public func positions(sequence: Int) throws(RecurrentError) -> [Double] {
      let batchSize = weights.call.batchSize
      guard (0..<batchSize).contains(sequence) else {
        throw .size(name: "sequence", was: sequence, expected: "0 to \(batchSize - 1)")
      }
      return (0..<weights.call.queries(sequence)).map { positions[$0 * batchSize + sequence] }
    }
  }

  /// Wp, packed for the queries of a stream.
  func packedPosition(rows: Int) throws(RecurrentError) -> PackedLinear {
    try checkCount("position.score.weight", positionScore.count, is: size, "1·\(size)")
    return try PackedLinear(positionLinear, weight: positionWeight, bias: nil, rows: rows)
  }

  /// W, packed for the queries of a stream; nil if the score is the dot product.
  func packedQuery(rows: Int) throws(RecurrentError) -> PackedLinear? {
    score == .dot ? nil : try PackedLinear(queryLinear, weight: weight, bias: nil, rows: rows)
  }

  /// How wide the windows are, and the factors of their keys. A position says where one is.
  var window: GaussianWindow { GaussianWindow(distance: Double(distance)) }

  /// Computes p, where the window of a query is.
  ///
  /// - Parameters:
  ///   - hidden: tanh(Wp·query) [A]
  ///   - keys: K
  ///   - query, sequence: named in an error.
  /// - Throws: `RecurrentError.value` if the position is NaN, which has no window.
  func position(
    _ hidden: UnsafePointer<Float>, keys: Int, query: Int, sequence: Int
  ) throws(RecurrentError) -> Double {
    var sum: Float = 0
    for index in 0..<size { sum += positionScore[index] * hidden[index] }
    let position = Double(keys) * sigmoid(Double(sum), small: exp(-abs(Double(sum))))
    guard !position.isNaN else {
      throw .value(
        name: "the position of the window of step \(query) of sequence \(sequence)", was: "NaN",
        expected: "a number from 0 to \(keys)")
    }
    return position
  }

  private func attention(valueSize: Int) -> AttentionProducts {
    AttentionProducts(products: products, keySize: keySize, valueSize: valueSize, window: .all)
  }

  /// p [Tq,N] of the queries within the lengths.
  private func positions(_ hidden: Sequences<Float>, _ call: AttentionCall) throws(RecurrentError) -> [Double] {
    var positions = Array(repeating: 0.0, count: call.querySteps * call.batchSize)
    try hidden.values.withUnsafeBufferPointer { hidden throws(RecurrentError) in
      for sequence in 0..<call.batchSize {
        for query in 0..<call.queries(sequence) {
          let row = query * call.batchSize + sequence
          positions[row] = try position(
            hidden.baseAddress! + row * size, keys: call.keys(sequence), query: query, sequence: sequence)
        }
      }
    }
    return positions
  }
}

extension PredictiveAttention: Parameterized {
  /// position.weight [A,Cq] and position.score.weight [1,A], and weight [Ck,Cq] if the score is general. Each is that
  /// of a `Linear` of PyTorch without a bias.
  public var parameterShapes: [ParameterShape] {
    let position = [
      ParameterShape(name: "position.weight", shape: [size, querySize]),
      ParameterShape(name: "position.score.weight", shape: [1, size]),
    ]
    return position + (score == .dot ? [] : [ParameterShape(name: "weight", shape: [keySize, querySize])])
  }
  public func readParameters(_ body: (UnsafeBufferPointer<Float>) -> Void) {
    positionWeight.withUnsafeBufferPointer(body)
    positionScore.withUnsafeBufferPointer(body)
    if score == .general { weight.withUnsafeBufferPointer(body) }
  }
  public mutating func updateParameters(_ body: (UnsafeMutableBufferPointer<Float>) -> Void) {
    positionWeight.withUnsafeMutableBufferPointer { body($0) }
    positionScore.withUnsafeMutableBufferPointer { body($0) }
    if score == .general { weight.withUnsafeMutableBufferPointer { body($0) } }
  }
}

extension PredictiveAttention: Module {
  /// The contexts [Tq,N,Cv].
  ///
  /// - Throws: `RecurrentError` if a size is wrong, or if a position is NaN.
  public func forward(
    _ input: AttentionInput, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, Trace) {
    try workspace.naming(self) { () throws(RecurrentError) in
      guard input.keys.size == keySize else {
        throw .size(name: "the size of the keys", was: input.keys.size, expected: "\(keySize), the attention's")
      }
      try checkCount("position.score.weight", positionScore.count, is: size, "1·\(size)")
      let attention = attention(valueSize: input.values.size), call = try AttentionCall(input, attention)
      let window = window
      let weights = call.newWeights()
      var hidden = try positionLinear.rows(
        of: input.queries, "queries", ("position.weight", positionWeight[...]), workspace.scratch)
      try hidden.withMutableValues { values throws(RecurrentError) in try Activation.tanh.apply(to: values) }
      let positions = try positions(hidden, call)
      let queries =
        score == .dot
        ? input.queries
        : try queryLinear.rows(of: input.queries, "queries", ("weight", weight[...]), workspace.scratch)
      let context = try call.contexts(input) { y in
        withValues(queries, input.keys, input.values) { q, k, v in
          call.forEach(workspace.scratch) { sequence, _, pieces in
            let keys = call.keys(sequence), start = weights.start(sequence, 0)
            attention.dotScores(
              call.matrix(q, sequence, 0, size: keySize), queries: call.queries(sequence),
              call.matrix(k, sequence, 0, size: keySize), keys: keys, scale: 1, into: start, pieces)
            attention.normalize(start, queries: call.queries(sequence), keys: keys) { query in
              window.range(around: positions[query * call.batchSize + sequence], keys: keys)
            }
            for query in 0..<call.queries(sequence) {
              window.weigh(
                attention.matrix(start, keys: keys).row(query), keys: keys,
                position: positions[query * call.batchSize + sequence])
            }
            attention.sum(
              start, queries: call.queries(sequence), call.matrix(v, sequence, 0, size: input.values.size), keys: keys,
              into: call.matrix(y, sequence, 0, size: input.values.size), pieces)
          }
        }
      }
      return (
        context, Trace(weights: weights, input: input, hidden: hidden, queries: queries, positions: positions)
      )
    }
  }

  public func backward(
    _ dy: Sequences<Float>, _ trace: Trace, into gradients: inout Gradients<PredictiveAttention>,
    _ workspace: Workspace
  ) throws(RecurrentError) -> AttentionGradient {
    try inPart(gradients.name) { () throws(RecurrentError) in
      let input = trace.input, call = trace.weights.call, valueSize = input.values.size
      let count = parameterShapes.reduce(0) { $0 + $1.count }
      try checkCount("gradients", gradients.list.count, is: count, "the parameters")
      try checkCount("position.score.weight", positionScore.count, is: size, "1·\(size)")
      guard trace.hidden.size == size, trace.queries.size == keySize, input.queries.size == querySize else {
        throw .shape(
          name: "the values in the trace", was: "\(trace.hidden) and \(trace.queries)",
          expected: "\(size) and \(keySize) features, as in a call of this module")
      }
      try checkCount(
        "dy", dy.values.count, is: call.querySteps * call.batchSize * valueSize, "Tq·N·the size of the values")
      // [Tq,N]: the gradients of v·tanh(Wp·query), before σ.
      let dScores = AlignedBuffer<Double>(count: call.querySteps * call.batchSize)
      let attention = call.products, window = window
      var d = try call.gradients(input, querySize: keySize, keySize: keySize) { dq, dk, dv in
        dy.values.withUnsafeBufferPointer { dy in
          withValues(trace.queries, input.keys, input.values) { q, k, v in
            call.forEach(workspace.scratch) { sequence, _, pieces in
              let queries = call.queries(sequence), keys = call.keys(sequence)
              attention.weightGradients(
                trace.weights.start(sequence, 0), queries: queries, call.matrix(v, sequence, 0, size: valueSize),
                keys: keys, dy: call.matrix(dy.baseAddress!, sequence, 0, size: valueSize),
                dValues: call.matrix(dv, sequence, 0, size: valueSize), pieces)
              for query in 0..<queries {
                let row = query * call.batchSize + sequence
                let position = trace.positions[row]
                let dPosition = window.scoreGradients(
                  attention.matrix(trace.weights.start(sequence, 0), keys: keys).row(query),
                  position: position, keys: keys, attention.matrix(pieces.dWeights, keys: keys).row(query))
                // p = K·σ(…), so its derivative is p·(1 - p/K).
                dScores.start[row] = dPosition * position * (1 - position / Double(keys))
              }
              attention.dotGradients(
                call.matrix(q, sequence, 0, size: keySize), queries: queries,
                call.matrix(k, sequence, 0, size: keySize), keys: keys,
                dQueries: call.matrix(dq, sequence, 0, size: keySize),
                dKeys: call.matrix(dk, sequence, 0, size: keySize), pieces)
            }
          }
        }
      }
      d.queries = try gradients.withMutableValues { gradients throws(RecurrentError) in
        let start = gradients.baseAddress!, dPositionScore = start + size * querySize
        var dHidden = try trace.hidden.sameShape(size: size)
        dHidden.withMutableValues { dHidden in
          for sequence in 0..<call.batchSize {
            for query in 0..<call.queries(sequence) {
              let row = query * call.batchSize + sequence, d = Float(dScores.start[row])
              for index in 0..<size {
                let value = trace.hidden.values[row * size + index]
                dPositionScore[index] += d * value
                dHidden[row * size + index] = d * positionScore[index] * (1 - value * value)
              }
            }
          }
        }
        let clean = input.queries.withoutPadding
        let byPosition = try positionLinear.rowGradients(
          of: clean, dHidden, ("position.weight", positionWeight[...]), into: start, workspace.scratch)
        guard score == .general else { return try d.queries.adding(byPosition) }
        return try queryLinear.rowGradients(
          of: clean, d.queries, ("weight", weight[...]), into: dPositionScore + size, workspace.scratch
        ).adding(byPosition)
      }
      return d
    }
  }
}
