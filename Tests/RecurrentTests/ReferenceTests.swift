import Recurrent
import Testing

/// The reference's backward against finite differences of its forward.
@Suite struct ReferenceTests {
  @Test(arguments: Cell.all)
  func gradientsAreFiniteDifferences(cell: Cell) throws {
    let steps = 4, batch = 2
    let fixture = try Fixture(cell, steps: steps, batch: batch, inputSize: 3, hiddenSize: 4, seed: 11)
    let x = fixture.x.values.map(Double.init), h0 = fixture.initial.h.map(Double.init)
    let c0 = fixture.initial.c.map(Double.init), dy = fixture.dy.values.map(Double.init)
    let dhn = fixture.dFinal.dh.map(Double.init), dcn = fixture.dFinal.dc.map(Double.init)
    func loss(_ cell: ReferenceCell, _ x: [Double], _ h0: [Double], _ c0: [Double]) -> Double {
      let run = cell.forward(x, steps: steps, batch: batch, h0: h0, c0: c0)
      return zip(run.y + run.hn + run.cn, dy + dhn + dcn).reduce(0) { $0 + $1.0 * $1.1 }
    }
    let reference = fixture.reference
    let run = reference.forward(x, steps: steps, batch: batch, h0: h0, c0: c0)
    let gradients = reference.backward(
      run, x: x, steps: steps, batch: batch, h0: h0, c0: c0, dy: dy, dhn: dhn, dcn: dcn)

    let step = 1e-5
    func check(_ name: String, _ values: [Double], _ gradient: [Double], _ loss: ([Double]) -> Double) {
      #expect(values.count == gradient.count, "\(name)")
      for index in values.indices {
        var up = values, down = values
        up[index] += step
        down[index] -= step
        let difference = (loss(up) - loss(down)) / (2 * step)
        #expect(abs(difference - gradient[index]) <= 1e-7 * max(1, abs(difference)), "\(name)[\(index)] of \(cell)")
      }
    }
    check("x", x, gradients.dx) { loss(reference, $0, h0, c0) }
    check("h0", h0, gradients.dh0) { loss(reference, x, $0, c0) }
    check("c0", c0, gradients.dc0) { loss(reference, x, h0, $0) }
    let parameters: [(String, WritableKeyPath<ReferenceCell, [Double]>, [Double])] = [
      ("weightIH", \.weightIH, gradients.weightIH), ("weightHH", \.weightHH, gradients.weightHH),
      ("biasIH", \.biasIH, gradients.biasIH), ("biasHH", \.biasHH, gradients.biasHH),
    ]
    for (name, path, gradient) in parameters {
      check(name, reference[keyPath: path], gradient) {
        var changed = reference
        changed[keyPath: path] = $0
        return loss(changed, x, h0, c0)
      }
    }
  }
}
