import Recurrent
import RecurrentTraining
import Testing

@Suite struct DenseTests {
  /// Products large enough for threads, with more rows than are packed at once, with rows that are packed and rows that
  /// are read in place, and with sizes that fill no whole tile or panel.
  @Test(arguments: [(611, 70, 45), (500, 150, 33), (1203, 31, 130)])
  func aLargeProductAgreesWithDoublePrecision(rows: Int, inputs: Int, outputs: Int) throws {
    let dense = try Dense(inputSize: inputs, outputSize: outputs, seed: 5)
    var random = SeededGenerator(seed: 6)
    func values(_ count: Int) -> [Float] { (0..<count).map { _ in Float.random(in: -1...1, using: &random) } }
    let x = try Sequences(values(rows * inputs), steps: rows, batchSize: 1, size: inputs)
    let dy = try Sequences(values(rows * outputs), steps: rows, batchSize: 1, size: outputs)

    func run(_ workspace: Workspace) throws -> (y: [Float], dx: [Float], gradients: [Float]) {
      var gradients = try Gradients(dense)
      let (y, trace) = try dense(x, workspace)
      let dx = try dense.backward(dy, trace, into: &gradients, workspace)
      return (y.values, dx.values, Array(gradients.values))
    }
    let result = try run(Workspace())

    var y = dense.bias.map { Double($0) }
    y = (0..<rows).flatMap { _ in y }
    var dx = [Double](repeating: 0, count: rows * inputs), dWeight = [Double](repeating: 0, count: outputs * inputs)
    var dBias = [Double](repeating: 0, count: outputs)
    for row in 0..<rows {
      for unit in 0..<outputs {
        let d = Double(dy.values[row * outputs + unit])
        dBias[unit] += d
        for input in 0..<inputs {
          let value = Double(x.values[row * inputs + input]), weight = Double(dense.weight[unit * inputs + input])
          y[row * outputs + unit] += weight * value
          dx[row * inputs + input] += d * weight
          dWeight[unit * inputs + input] += d * value
        }
      }
    }
    for (name, was, expected) in [
      ("y", result.y, y), ("dx", result.dx, dx), ("gradients", result.gradients, dWeight + dBias),
    ] {
      let scale = expected.map(abs).max()!
      let error = zip(was, expected).map { abs(Double($0) - $1) }.max()! / scale
      #expect(was.count == expected.count && error < 2e-6, "\(name): \(error)")
    }

    for count in 2...3 {
      let shared = try run(Workspace(threads: Threads(count: count)))
      #expect(
        shared.y == result.y && shared.dx == result.dx && shared.gradients == result.gradients, "\(count) threads")
    }
    let alone = try Sequences(
      Array(x.values[7 * inputs..<8 * inputs]), steps: 1, batchSize: 1, size: inputs)
    #expect(try dense(alone, Workspace()).0.values == Array(result.y[7 * outputs..<8 * outputs]))
  }
}
