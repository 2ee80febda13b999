import Recurrent

/// One layer with inputs, states and output gradients, all drawn from a seed, and the reference's answer to them.
struct Fixture {
  let layer: Layer<Float>
  let reference: ReferenceCell
  let steps: Int
  let batch: Int
  let x: Sequences<Float>
  let dy: Sequences<Float>
  let initial: State<Float>
  let dFinal: StateGradient<Float>

  init(
    _ cell: Cell, steps: Int, batch: Int, inputSize: Int, hiddenSize: Int, bias: Bool = true,
    set: InstructionSet? = nil, seed: UInt64 = 1
  ) throws {
    layer = try Layer(
      cell, inputSize: inputSize, hiddenSize: hiddenSize, bias: bias, initialization: Initialization(seed: seed),
      instructionSet: set)
    let parameters = layer.parameters
    reference = ReferenceCell(
      cell: cell, inputSize: inputSize, hiddenSize: hiddenSize, weightIH: parameters.weightIH.map(Double.init),
      weightHH: parameters.weightHH.map(Double.init), biasIH: parameters.biasIH.map(Double.init),
      biasHH: parameters.biasHH.map(Double.init))
    self.steps = steps
    self.batch = batch
    var random = SeededGenerator(seed: seed &+ 1)
    func draw(_ count: Int) -> [Float] { (0..<count).map { _ in Float.random(in: -1...1, using: &random) } }
    x = try Sequences(draw(steps * batch * inputSize), steps: steps, batchSize: batch, size: inputSize)
    dy = try Sequences(draw(steps * batch * hiddenSize), steps: steps, batchSize: batch, size: hiddenSize)
    let hasC = try !layer.zeroState(batchSize: batch).c.isEmpty
    initial = State(h: draw(batch * hiddenSize), c: hasC ? draw(batch * hiddenSize) : [])
    dFinal = StateGradient(dh: draw(batch * hiddenSize), dc: hasC ? draw(batch * hiddenSize) : [])
  }

  /// Every tensor of forward, record and backward by name, with the reference's.
  func compare() throws -> [(name: String, fast: [Float], reference: [Double])] {
    let x64 = x.values.map(Double.init), h0 = initial.h.map(Double.init), c0 = initial.c.map(Double.init)
    let run = reference.forward(x64, steps: steps, batch: batch, h0: h0, c0: c0)
    let expected = reference.backward(
      run, x: x64, steps: steps, batch: batch, h0: h0, c0: c0, dy: dy.values.map(Double.init),
      dhn: dFinal.dh.map(Double.init), dcn: dFinal.dc.map(Double.init))
    let output = try layer.forward(x, initial: initial)
    let (record, recorded) = try layer.record(x, initial: initial)
    var gradients = layer.zeroGradients()
    let back = try layer.backward(consuming: record, x: x, dy: dy, dFinal: dFinal, into: &gradients)
    return [
      ("y", output.y.values, run.y), ("hn", output.final.h, run.hn), ("cn", output.final.c, run.cn),
      ("recorded y", recorded.y.values, run.y), ("recorded cn", recorded.final.c, run.cn),
      ("dx", back.dx.values, expected.dx), ("dh0", back.dInitial.dh, expected.dh0),
      ("dc0", back.dInitial.dc, expected.dc0), ("dWeightIH", gradients.weightIH, expected.weightIH),
      ("dWeightHH", gradients.weightHH, expected.weightHH), ("dBiasIH", gradients.biasIH, expected.biasIH),
      ("dBiasHH", gradients.biasHH, expected.biasHH),
    ]
  }
}

/// For what the tests do with states and their gradients alike.
extension State {
  init(_ gradient: StateGradient<Scalar>) { self.init(h: gradient.dh, c: gradient.dc) }
}
extension StateGradient {
  init(_ state: State<Scalar>) { self.init(dh: state.h, dc: state.c) }
}

/// max|a - b| / max|b|, the contract's measure of a tensor.
func relativeError(_ a: [Float], _ b: [Double]) -> Double {
  guard a.count == b.count else { return .infinity }
  var largest = 0.0, difference = 0.0
  for (a, b) in zip(a, b) {
    largest = max(largest, abs(b))
    difference = Double(a).isNaN ? .infinity : max(difference, abs(Double(a) - b))
  }
  return difference == 0 ? 0 : difference / largest
}

/// The contract's tolerance of a tensor: outputs 1e-5, gradients 1e-4.
func tolerance(_ name: String) -> Double { name.hasPrefix("d") ? 1e-4 : 1e-5 }

/// By the names of the equations, of a single level and direction.
extension Parameters where Scalar == Float {
  var weightIH: [Float] { (try? values("weight_ih_l0")) ?? [] }
  var weightHH: [Float] { (try? values("weight_hh_l0")) ?? [] }
  var biasIH: [Float] { (try? values("bias_ih_l0")) ?? [] }
  var biasHH: [Float] { (try? values("bias_hh_l0")) ?? [] }
}
