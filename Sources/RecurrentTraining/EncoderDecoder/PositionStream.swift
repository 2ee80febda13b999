import Recurrent

/// The positions of a predictive attention's windows, step by step. The bits are those of `PredictiveAttention`.
struct PositionStream {
  private let network: PredictiveAttention
  /// Wp
  private let weight: PackedLinear
  /// tanh(Wp·query) [rows][A] for the queries of a step.
  private let hidden: AlignedBuffer<Float>
  let window: GaussianWindow

  init(_ network: PredictiveAttention, rows: Int) throws(RecurrentError) {
    self.network = network
    weight = try network.packedPosition(rows: rows)
    hidden = AlignedBuffer(count: rows * network.size)
    window = network.window
  }

  /// Reads the queries of a step: [rows, Cq].
  func read(_ queries: UnsafePointer<Float>) throws(RecurrentError) {
    weight.run(queries, into: hidden.start)
    try Activation.tanh.apply(to: UnsafeMutableBufferPointer(start: hidden.start, count: hidden.count))
  }

  /// p of a row in the step that was read last.
  ///
  /// - Throws: `RecurrentError.value` if it is NaN.
  func position(row: Int, keys: Int, step: Int, source: Int) throws(RecurrentError) -> Double {
    try network.position(hidden.start + row * network.size, keys: keys, query: step, sequence: source)
  }
}
