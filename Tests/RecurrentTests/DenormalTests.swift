import Recurrent
import Testing

/// Flush-to-zero belongs to the layer: it is set for each call, on every thread, and the caller's mode is restored.
@Suite struct DenormalTests {
  /// A layer with y = x for positive x, so that a denormal number stays denormal: h = max(0, W x) where W is the unit
  /// matrix.
  private func identity(size: Int, flushes: Bool) throws -> RNN<Float> {
    var layer = try RNN<Float>(
      inputSize: size, hiddenSize: size, bias: false, nonlinearity: .relu, flushesDenormals: flushes)
    layer.updateEachParameter { name, values in
      values.update(repeating: 0)
      if name == "weight_ih_l0" { for unit in 0..<size { values[unit * size + unit] = 1 } }
    }
    return layer
  }

  @Test(arguments: [false, true], [1, 2])
  func everyCallFlushesOrNone(flushes: Bool, threads: Int) throws {
    let size = 160, steps = 3, batch = 24, count = steps * batch * size
    let layer = try identity(size: size, flushes: flushes)
    let denormal: Float = 0x1p-140
    let x = try Sequences([Float](repeating: denormal, count: count), steps: steps, batchSize: batch, size: size)
    let expected: Float = flushes ? 0 : denormal
    let scratch = Scratch<Float>(threads: try Threads(count: threads))
    func expect(_ values: [Float], _ what: String) {
      #expect(values.allSatisfy { $0.bitPattern == expected.bitPattern }, "\(what), threads \(threads)")
      // The caller's own arithmetic does not flush.
      #expect(values.count > 0 && denormal * Float(values.count) / Float(values.count) != 0, "restored after \(what)")
    }
    expect(try layer.forward(x, scratch: scratch).y.values, "forward")
    let (record, output) = try layer.record(x, scratch: scratch)
    expect(output.y.values, "record")
    let stream = try layer.stream(batchSize: batch)
    var y = [Float](repeating: 7, count: count)
    var span = y.mutableSpan
    try stream.process(x.values.span, steps: steps, into: &span)
    expect(y, "stream")

    // A ReLU passes gradients where h > 0. Here h is 1, so only flushing can turn the gradients into zeros.
    let positive = try Sequences([Float](repeating: 1, count: count), steps: steps, batchSize: batch, size: size)
    _ = try layer.record(positive, into: record, scratch: scratch)
    var gradients = layer.zeroGradients()
    let back = try layer.backward(consuming: record, x: positive, dy: x, into: &gradients, scratch: scratch)
    expect(back.dx.values, "backward")
  }
}
