import Recurrent
import Testing

@Suite struct IndRNNTests {
  /// An IndRNN has no matrix U, so that its width is not bounded by what a square matrix would take.
  @Test func wideLayersHaveNoSquareMatrix() throws {
    let units = 1 << 20
    let layer = try IndRNN<Float>(inputSize: 1, hiddenSize: units)
    #expect(layer.parameters.values.count == 3 * units)
    let x = try Sequences<Float>([0.5, -0.25], steps: 2, batchSize: 1, size: 1)
    let y = try layer.forward(x).y
    #expect(y.values.count == 2 * units)
    #expect(y.values.contains { $0 > 0 })
    // Two levels have a square matrix W.
    #expect(throws: RecurrentError.self) {
      try IndRNN<Float>(inputSize: 1, hiddenSize: units, layerCount: 2)
    }
  }
}
