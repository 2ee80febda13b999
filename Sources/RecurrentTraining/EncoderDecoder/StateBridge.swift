import Recurrent

/// Turns the final state of an encoder into the initial state of a decoder.
///
/// A state is copied if both layers have as many levels of as many units and the encoder has one direction. Otherwise a
/// dense product computes the h of all levels of the decoder from the h of all levels and directions of the encoder,
/// and another one does the same for c. If the encoder has no c, the decoder's c is computed from the encoder's h.
public struct StateBridge: Sendable, Composite {
  /// h.weight [L'·H',L·D·H], h.bias [L'·H'], and the same for c; a state that is copied has none.
  public static let parts: [Part<StateBridge>] = [Part("h", \.h), Part("c", \.c)]
  /// The product of h; nil if h is copied.
  public internal(set) var h: Dense?
  /// The product of c; nil if c is copied, or if the decoder has none.
  public internal(set) var c: Dense?
  private let source: Side
  private let target: Side

  /// The state of a layer.
  private struct Side: Sendable, Equatable {
    /// L·D
    let parts: Int
    /// H
    let hiddenSize: Int
    let directions: Int
    let hasCellState: Bool

    init(_ layer: Layer<Float>) {
      parts = layer.stateCount
      hiddenSize = layer.hiddenSize
      directions = layer.stateCount / layer.layerCount
      hasCellState = layer.shape.hasCellState
    }

    /// The number of values of h of one sequence.
    var size: Int { parts * hiddenSize }
  }

  /// - Parameters:
  ///   - encoder: the layer whose final state is read.
  ///   - decoder: the layer that starts from the result. Its direction must be forward.
  ///   - seed: equal seeds give equal bridges.
  /// - Throws: `RecurrentError` if the decoder has another direction, or if the products are too large.
  public init<Source: RecurrentLayer, Target: RecurrentLayer>(
    from encoder: Source, to decoder: Target, seed: UInt64
  ) throws(RecurrentError) where Source.Scalar == Float, Target.Scalar == Float {
    guard decoder.direction == .forward else { throw .direction(decoder.direction) }
    source = Side(encoder.layer)
    target = Side(decoder.layer)
    let copies =
      source.directions == 1 && source.parts == target.parts && source.hiddenSize == target.hiddenSize
    if !copies { h = try Dense(inputSize: source.size, outputSize: target.size, seed: seed) }
    if target.hasCellState, !copies || !source.hasCellState {
      c = try Dense(inputSize: source.size, outputSize: target.size, seed: seed &+ 1)
    }
  }

  /// What `backward` needs.
  public struct Trace: Sendable {
    fileprivate let h: Dense.Trace?
    fileprivate let c: Dense.Trace?
    fileprivate let batchSize: Int
  }
}

extension State: Differentiable where Scalar == Float {
  /// The gradients of h and c.
  public typealias Gradient = StateGradient<Float>
}

extension StateBridge: Module {
  /// The decoder's state [L',N,H'] of the encoder's [L·D,N,H].
  ///
  /// - Throws: `RecurrentError` if the state has other counts than the encoder's.
  public func forward(
    _ state: State<Float>, _ workspace: Workspace
  ) throws(RecurrentError) -> (State<Float>, Trace) {
    let batchSize = max(1, state.h.count / source.size)
    try check("the encoder's final state", state.h.count, state.c.count, source, batchSize: batchSize)
    var result = State<Float>(h: state.h, c: target.hasCellState ? state.c : [])
    var traces: (h: Dense.Trace?, c: Dense.Trace?) = (nil, nil)
    if let h {
      let (rows, trace) = try h.forward(rows(state.h, source, batchSize), workspace)
      result.h = values(rows, target)
      traces.h = trace
    }
    if let c {
      let (rows, trace) = try c.forward(rows(source.hasCellState ? state.c : state.h, source, batchSize), workspace)
      result.c = values(rows, target)
      traces.c = trace
    }
    return (result, Trace(h: traces.h, c: traces.c, batchSize: batchSize))
  }

  public func backward(
    _ gradient: StateGradient<Float>, _ trace: Trace, into gradients: inout Gradients<StateBridge>,
    _ workspace: Workspace
  ) throws(RecurrentError) -> StateGradient<Float> {
    let batchSize = trace.batchSize
    try check("the gradient", gradient.dh.count, gradient.dc.count, target, batchSize: batchSize)
    var result = StateGradient<Float>(
      dh: gradient.dh, dc: Array(repeating: 0, count: source.hasCellState ? source.size * batchSize : 0))
    if let h, let trace = trace.h {
      let d = try h.backward(
        rows(gradient.dh, target, batchSize), trace, into: &gradients.h[as: Dense.self], workspace)
      result.dh = values(d, source)
    }
    if let c, let trace = trace.c {
      let d = try c.backward(
        rows(gradient.dc, target, batchSize), trace, into: &gradients.c[as: Dense.self], workspace)
      let values = values(d, source)
      if source.hasCellState {
        result.dc = values
      } else {
        for index in values.indices { result.dh[index] += values[index] }
      }
    } else if source.hasCellState, target.hasCellState {
      result.dc = gradient.dc
    }
    return result
  }

  private func check(
    _ name: String, _ h: Int, _ c: Int, _ side: Side, batchSize: Int
  ) throws(RecurrentError) {
    let shape = "\(side.parts)·\(batchSize)·\(side.hiddenSize)", count = side.size * batchSize
    try checkCount("h of \(name)", h, is: count, shape)
    try checkCount("c of \(name)", c, is: side.hasCellState ? count : 0, side.hasCellState ? shape : "no c")
  }

  /// The values [L·D,N,H] of a state as rows [1,N,L·D·H].
  private func rows(_ values: [Float], _ side: Side, _ batchSize: Int) throws(RecurrentError) -> Sequences<Float> {
    var rows = try Sequences<Float>(steps: 1, batchSize: batchSize, size: side.size)
    rows.withMutableValues { rows in
      forEachVector(side, batchSize) { state, row in
        for unit in 0..<side.hiddenSize { rows[row + unit] = values[state + unit] }
      }
    }
    return rows
  }

  /// The opposite of `rows`.
  private func values(_ rows: Sequences<Float>, _ side: Side) -> [Float] {
    var values = rows.values
    forEachVector(side, rows.batchSize) { state, row in
      for unit in 0..<side.hiddenSize { values[state + unit] = rows.values[row + unit] }
    }
    return values
  }

  /// Calls `body` with the place of each vector of H values in a state and in its rows.
  private func forEachVector(_ side: Side, _ batchSize: Int, _ body: (_ state: Int, _ row: Int) -> Void) {
    for part in 0..<side.parts {
      for sequence in 0..<batchSize {
        body(
          (part * batchSize + sequence) * side.hiddenSize, (sequence * side.parts + part) * side.hiddenSize)
      }
    }
  }
}
