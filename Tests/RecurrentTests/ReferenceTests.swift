import Recurrent
import Testing

/// Compares the reference's backward with finite differences of its forward.
@Suite struct ReferenceTests {
  @Test(arguments: Cell.all)
  func gradientsAreFiniteDifferences(cell: Cell) throws {
    let problem = Problem<Float>(cell, steps: 4, batch: 2, inputs: 3, hidden: 4, seed: 11)
    let instance = try problem.instance(), reference = instance.reference
    let x = instance.x.values.map(Double.init), h0 = instance.initial.h.map(Double.init)
    let c0 = instance.initial.c.map(Double.init), dy = instance.dy.values.map(Double.init)
    let dhn = instance.dFinal.dh.map(Double.init), dcn = instance.dFinal.dc.map(Double.init)
    func loss(_ reference: Reference, _ x: [Double], _ h0: [Double], _ c0: [Double]) -> Double {
      let run = reference.forward(x, steps: 4, batch: 2, h0: h0, c0: c0)
      return zip(run.y + run.hn + run.cn, dy + dhn + dcn).reduce(0) { $0 + $1.0 * $1.1 }
    }
    let run = reference.forward(x, steps: 4, batch: 2, h0: h0, c0: c0)
    let gradients = reference.backward(run, steps: 4, batch: 2, dy: dy, dhn: dhn, dcn: dcn)

    let step = 1e-5
    func check(_ name: String, _ values: [Double], _ gradient: [Double], _ loss: ([Double]) -> Double) {
      #expect(values.count == gradient.count, "\(name)")
      for index in values.indices {
        var up = values, down = values
        up[index] += step
        down[index] -= step
        let difference = (loss(up) - loss(down)) / (2 * step)
        #expect(abs(difference - gradient[index]) <= 1e-7 * max(1, abs(difference)), "\(name)[\(index)], \(problem)")
      }
    }
    check("x", x, gradients.dx) { loss(reference, $0, h0, c0) }
    check("h0", h0, gradients.dh0) { loss(reference, x, $0, c0) }
    check("c0", c0, gradients.dc0) { loss(reference, x, h0, $0) }
    let parameters: [(String, WritableKeyPath<ReferenceWeights, [Double]>, [Double])] = [
      ("weightIH", \.weightIH, gradients.weightIH), ("weightHH", \.weightHH, gradients.weightHH),
      ("biasIH", \.biasIH, gradients.biasIH), ("biasHH", \.biasHH, gradients.biasHH),
    ]
    for (name, path, gradient) in parameters {
      check(name, reference.weights[keyPath: path], gradient) {
        var changed = reference
        changed.weights[keyPath: path] = $0
        return loss(changed, x, h0, c0)
      }
    }
  }

  /// The cells in these tests, whether they have c, and their printed names agree with the library.
  @Test(arguments: cellReferences.indices)
  func referencesAreOfTheLibrarysCells(index: Int) throws {
    let reference = cellReferences[index]
    for (cell, name) in reference.variants {
      let layer = try Layer<Float>(cell, inputSize: 2, hiddenSize: 3)
      #expect("\(cell)" == name && "\(layer)" == "\(name), 2 inputs, 3 units")
      #expect(layer.parameters.shape("weight_ih_l0") == [reference.gates * 3, 2], "\(cell)")
      #expect(try layer.zeroState(batchSize: 4).c.count == (reference.hasCellState ? 12 : 0), "\(cell)")
    }
  }
}
