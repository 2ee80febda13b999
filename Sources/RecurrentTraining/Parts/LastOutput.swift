import Recurrent

/// The last output of each sequence, [1,N,D·H]: the last level's state after the sequence's last step, and behind it
/// that of the reverse direction after the first step.
public struct LastOutput: Parameterless {
  /// A module without options.
  public init() {}

  /// The counts of a layer's output.
  public struct Trace: Sendable {
    fileprivate let hCount: Int
    fileprivate let cCount: Int
    fileprivate let batchSize: Int
    fileprivate let hiddenSize: Int
    fileprivate let directions: Int

    /// Calls `body` with the place of each vector of H values in the final state and in the rows [N,D·H].
    fileprivate func forEach(_ body: (_ state: Int, _ row: Int) -> Void) {
      let first = hCount - directions * batchSize * hiddenSize
      for direction in 0..<directions {
        for sequence in 0..<batchSize {
          body(
            first + (direction * batchSize + sequence) * hiddenSize, (sequence * directions + direction) * hiddenSize)
        }
      }
    }
  }
}

extension LastOutput: Module {
  public func forward(
    _ output: Output<Float>, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, Trace) {
    let trace = Trace(
      hCount: output.final.h.count, cCount: output.final.c.count, batchSize: output.y.batchSize,
      hiddenSize: output.hiddenSize, directions: output.y.size / output.hiddenSize)
    let parts = output.final.h.count / max(1, output.y.batchSize * output.hiddenSize)
    guard parts > 0, parts % trace.directions == 0,
      output.final.h.count == parts * output.y.batchSize * output.hiddenSize
    else {
      throw .count(
        name: "final.h", was: output.final.h.count, expected: output.y.batchSize * output.y.size, shape: "L·N·D·H")
    }
    var last = try Sequences<Float>(steps: 1, batchSize: output.y.batchSize, size: output.y.size)
    last.withMutableValues { last in
      trace.forEach { state, row in
        for unit in 0..<output.hiddenSize { last[row + unit] = output.final.h[state + unit] }
      }
    }
    return (last, trace)
  }

  public func backward(
    _ dLast: Sequences<Float>, _ trace: Trace, into gradients: inout Gradients<LastOutput>, _ workspace: Workspace
  ) throws(RecurrentError) -> OutputGradient {
    let size = trace.directions * trace.hiddenSize
    try checkCount("the last output's gradient", dLast.values.count, is: trace.batchSize * size, "N·D·H")
    var dFinal = StateGradient<Float>(
      dh: Array(repeating: 0, count: trace.hCount), dc: Array(repeating: 0, count: trace.cCount))
    trace.forEach { state, row in
      for unit in 0..<trace.hiddenSize { dFinal.dh[state + unit] = dLast.values[row + unit] }
    }
    return OutputGradient(dFinal: dFinal)
  }
}

/// The outputs of every step, [T,N,D·H], for a chain whose next module reads them all.
public struct EveryOutput: Parameterless, Module {
  /// A module without options.
  public init() {}

  public func forward(
    _ output: Output<Float>, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, Void) { (output.y, ()) }

  public func backward(
    _ dy: Sequences<Float>, _ trace: Void, into gradients: inout Gradients<EveryOutput>, _ workspace: Workspace
  ) throws(RecurrentError) -> OutputGradient { OutputGradient(dy: dy) }
}
