import Recurrent

/// A `Dense`, or a product without a bias, whose weights are packed once and which then runs step by step on a fixed
/// number of rows. A run allocates nothing, and its bits are those of `Linear`.
final class PackedLinear {
  private let linear: Linear
  private let rows: Int
  private let bias: [Float]?
  private let panels: AlignedBuffer<Float>
  private let tiles: AlignedBuffer<Float>
  private let rest: AlignedBuffer<Float>

  /// - Parameters:
  ///   - weight: [outputSize, inputSize]
  ///   - bias: [outputSize]; nil for none.
  ///   - rows: how many rows each run has.
  /// - Throws: `RecurrentError.count` if the weight or the bias has another count.
  init(_ linear: Linear, weight: [Float], bias: [Float]?, rows: Int) throws(RecurrentError) {
    let (inputs, outputs) = (linear.inputSize, linear.outputSize)
    try checkCount("weight", weight.count, is: outputs * inputs, "\(outputs)·\(inputs)")
    if let bias { try checkCount("bias", bias.count, is: outputs, "\(outputs)") }
    self.linear = linear
    self.rows = rows
    self.bias = bias
    let sizes = linear.sizes(rows: rows)
    panels = AlignedBuffer(count: sizes.panels)
    tiles = AlignedBuffer(count: sizes.tiles)
    rest = AlignedBuffer(count: sizes.rest)
    weight.withUnsafeBufferPointer { linear.pack($0.baseAddress!, into: panels.start) }
  }

  convenience init(_ dense: Dense, rows: Int) throws(RecurrentError) {
    try self.init(
      Linear(inputSize: dense.inputSize, outputSize: dense.outputSize), weight: dense.weight, bias: dense.bias,
      rows: rows)
  }

  /// y [rows, outputSize], overwritten, of x [rows, inputSize].
  func run(_ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>) {
    func run(_ bias: UnsafePointer<Float>?) {
      linear.multiply(
        x, rows: rows, panels: panels.start, bias: bias, into: y, tiles: tiles.start, rest: rest.start)
    }
    if let bias { bias.withUnsafeBufferPointer { run($0.baseAddress) } } else { run(nil) }
  }
}
