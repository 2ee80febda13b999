import Recurrent
import RecurrentTraining

/// An attention to measure: T queries of each of N sequences look at a memory of T steps; all have C values. peers.py
/// has the same ones.
enum AttentionKind: String, CaseIterable {
  case dot, general, additive
  /// Multi-head attention with four heads, whose queries, keys and values are the same steps.
  case fourHeads = "four-heads"

  /// The products with weights that each step of the queries or keys takes part in.
  var projections: Int {
    switch self {
    case .dot: 0
    case .general: 1
    case .additive: 2
    case .fourHeads: 4
    }
  }
}

extension Case {
  /// One forward, or one forward and backward, of an attention. Nil for cells.
  func attentionCall(_ threads: Threads?) throws -> (() throws -> Void)? {
    guard case .attention(let kind) = subject else { return nil }
    switch kind {
    case .dot: return try attentionCall(DotAttention(isScaled: true), threads)
    case .general:
      return try attentionCall(GeneralAttention(querySize: inputs, keySize: inputs, seed: 1), threads)
    case .additive:
      return try attentionCall(AdditiveAttention(querySize: inputs, keySize: inputs, size: inputs, seed: 1), threads)
    case .fourHeads:
      return try attentionCall(MultiHeadAttention(size: inputs, heads: 4, seed: 1), threads, isOfItself: true)
    }
  }

  private func attentionCall<M: Module>(
    _ attention: M, _ threads: Threads?, isOfItself: Bool = false
  ) throws -> () throws -> Void where M.Input == AttentionInput, M.Output == Sequences<Float> {
    var random = SeededGenerator(seed: 2)
    func rows() throws -> Sequences<Float> {
      try Sequences(
        (0..<steps * batch * inputs).map { _ in Float.random(in: -1...1, using: &random) }, steps: steps,
        batchSize: batch, size: inputs)
    }
    let queries = try rows(), memory = isOfItself ? queries : try rows(), dy = try rows()
    let input = try AttentionInput(queries: queries, memory: memory)
    let workspace = Workspace(isTraining: mode == .training, threads: threads)
    var gradients = try Gradients(attention)
    return { [mode] in
      let (_, trace) = try attention(input, workspace)
      guard mode == .training else { return }
      let d = try attention.backward(dy, trace, into: &gradients, workspace)
      _ = isOfItself ? try d.x : try d.memory
    }
  }
}
