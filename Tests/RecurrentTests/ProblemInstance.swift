import Recurrent
import Testing

extension Problem {
  /// A problem's layer and the numbers of its calls.
  struct Instance: Sendable {
    let problem: Problem
    var layer: Layer<Scalar>
    /// [T,N,C] and [T,N,outputSize]. They hold NaN past the lengths, because nothing may read there.
    let x: Sequences<Scalar>
    let dy: Sequences<Scalar>
    /// [T,N,C]: x without lengths, which a stream takes.
    let frames: [Scalar]
    let initial: State<Scalar>
    let dFinal: StateGradient<Scalar>
    /// The generator, from which a test may draw more numbers.
    let random: SeededGenerator
  }

  /// Draws all numbers, in the order of Tests/goldens.py.
  func instance() throws -> Instance {
    var random = SeededGenerator(seed: seed)
    let layer = try layer(&random)
    let frames = withDenormals(random.numbers(steps * batch * inputs), size: inputs)
    let count = parts * batch * hidden, hasC = cell.reference.hasCellState
    let h: [Scalar] = random.numbers(count), c: [Scalar] = hasC ? random.numbers(count) : []
    let dy = withDenormals(random.numbers(steps * batch * outputSize), size: outputSize)
    let dh = withDenormals(random.numbers(count), size: hidden)
    let dc = withDenormals(hasC ? random.numbers(count) : [], size: hidden)
    return Instance(
      problem: self, layer: layer,
      x: try Sequences(ended(frames, size: inputs), steps: steps, batchSize: batch, size: inputs),
      dy: try Sequences(ended(dy, size: outputSize), steps: steps, batchSize: batch, size: outputSize),
      frames: frames, initial: State(h: h, c: c), dFinal: StateGradient(dh: dh, dc: dc), random: random)
  }

  /// The layer without the numbers of its calls.
  func layer() throws -> Layer<Scalar> {
    var random = SeededGenerator(seed: seed)
    return try layer(&random)
  }

  private func layer(_ random: inout SeededGenerator) throws -> Layer<Scalar> {
    var layer = try Layer<Scalar>(
      cell, inputSize: inputs, hiddenSize: hidden, layerCount: levels, direction: direction, dropout: dropout,
      bias: bias, weights: weights, flushesDenormals: flushesDenormals, initialization: Initialization(seed: seed),
      instructionSet: set)
    let bound = parameterBound
    layer.updateEachParameter { _, values in _ = values.update(from: random.numbers(values.count, bound: bound)) }
    return layer
  }

  /// The power of two nearest to 1/√H. If two exponents are equally near, it takes the even one, as Python rounds.
  private var parameterBound: Double {
    var exponent = 0
    while hidden > 2 << (2 * exponent) || hidden == 2 << (2 * exponent) && exponent % 2 == 1 { exponent += 1 }
    return 1 / Double(1 << exponent)
  }

  private func withDenormals(_ values: [Scalar], size: Int) -> [Scalar] {
    guard hasDenormals else { return values }
    return values.enumerated().map { $1 * ($0 / size % batch % 2 == 0 ? 1 : Scalar.leastNormalMagnitude) }
  }

  private func ended(_ values: [Scalar], size: Int) -> [Scalar] {
    guard let lengths else { return values }
    return values.enumerated().map { $0 / (batch * size) < lengths[$0 / size % batch] ? $1 : .nan }
  }
}

// MARK: - Parts of a problem

extension Problem.Instance {
  /// A layer of one level with some parts of this layer and their parameters.
  func sublayer(_ parts: Range<Int>, _ direction: Direction) throws -> Layer<Scalar> {
    var sublayer = try Layer<Scalar>(
      problem.cell, inputSize: parts.lowerBound < problem.directions ? problem.inputs : problem.outputSize,
      hiddenSize: problem.hidden, direction: direction, bias: problem.bias, weights: problem.weights,
      instructionSet: problem.set)
    var parameters = sublayer.parameters
    for (name, ours) in zip(parameters.names, parameterNames(parts)) {
      try parameters.set(name, to: layer.parameters.values(ours))
    }
    try sublayer.setParameters(parameters)
    return sublayer
  }

  /// The names of some parts' parameters.
  func parameterNames(_ parts: Range<Int>) -> ArraySlice<String> {
    let kinds = layer.parameters.names.count / problem.parts
    return layer.parameters.names[parts.lowerBound * kinds..<parts.upperBound * kinds]
  }

  /// One sequence's states, out of a state [parts,N,H].
  func state(_ all: State<Scalar>, of sequence: Int) -> State<Scalar> {
    func own(_ values: [Scalar]) -> [Scalar] {
      stride(from: sequence * problem.hidden, to: values.count, by: problem.batch * problem.hidden).flatMap {
        values[$0..<$0 + problem.hidden]
      }
    }
    return State(h: own(all.h), c: own(all.c))
  }
}

extension Sequences {
  /// Some steps of one sequence, as a batch of one.
  func rows(of sequence: Int, _ steps: Range<Int>? = nil) throws -> Sequences {
    let steps = steps ?? 0..<self.steps
    return try Sequences(
      steps.flatMap { Array(self[$0, sequence]) }, steps: steps.count, batchSize: 1, size: size)
  }

  /// Some steps of all sequences.
  func steps(_ steps: Range<Int>) throws -> Sequences {
    let row = batchSize * size
    return try Sequences(
      Array(values[steps.lowerBound * row..<steps.upperBound * row]), steps: steps.count, batchSize: batchSize,
      size: size)
  }
}

/// Lets tests treat states and their gradients alike.
extension State {
  init(_ gradient: StateGradient<Scalar>) { self.init(h: gradient.dh, c: gradient.dc) }
}
extension StateGradient {
  init(_ state: State<Scalar>) { self.init(dh: state.h, dc: state.c) }
}

// MARK: - Against the reference

extension Problem.Instance {
  /// The reference with the layer's parameters, for one level that runs forward. It rounds what the layer rounds.
  var reference: Reference {
    func values(_ name: String) -> [Double]? { (try? layer.parameters.values(name))?.map { Double($0) } }
    let hidden = problem.hidden, biasIH = values("bias_ih_l0") ?? []
    var weightHH = values("weight_hh_l0") ?? []
    if multipliesByVector {
      let vector = weightHH
      weightHH = Array(repeating: 0, count: hidden * hidden)
      for unit in 0..<hidden { weightHH[unit * hidden + unit] = vector[unit] }
    }
    var weights = ReferenceWeights(
      inputs: problem.inputs, hidden: hidden, weightIH: values("weight_ih_l0") ?? [], weightHH: weightHH,
      biasIH: biasIH, biasHH: values("bias_hh_l0") ?? biasIH.map { _ in 0 })
    if problem.weights != .full {
      let round = { [format = problem.weights] (row: [Double]) in format.rounded(row) }
      func rounded(_ matrix: [Double], _ k: Int) -> [Double] {
        stride(from: 0, to: matrix.count, by: k).flatMap { round(Array(matrix[$0..<$0 + k])) }
      }
      weights.weightIH = rounded(weights.weightIH, problem.inputs)
      weights.roundX = round
      if !multipliesByVector {
        weights.weightHH = rounded(weights.weightHH, hidden)
        weights.roundH = round
      }
    }
    return Reference(problem.cell, weights)
  }

  /// Whether U is a vector: the diagonal of the reference's matrix.
  var multipliesByVector: Bool { layer.parameters.shape("weight_hh_l0")?.count == 1 }

  /// The reference's gradients of the parameters that the layer has.
  private func gradients(_ back: Reference.Gradients) -> [[Double]] {
    let hidden = problem.hidden
    return layer.parameters.names.map { name in
      switch name {
      case "weight_ih_l0": back.weightIH
      case "weight_hh_l0":
        multipliesByVector ? (0..<hidden).map { back.weightHH[$0 * hidden + $0] } : back.weightHH
      case "bias_ih_l0": back.biasIH
      default: back.biasHH
      }
    }
  }

  /// The reference's tensors by PyTorch's names, for one level that runs forward over whole sequences.
  func referenceTensors() -> [String: [Double]] {
    func double(_ values: [Scalar]) -> [Double] { values.map { Double($0) } }
    let reference = reference, (steps, batch) = (problem.steps, problem.batch)
    let run = reference.forward(
      double(x.values), steps: steps, batch: batch, h0: double(initial.h), c0: double(initial.c))
    let back = reference.backward(
      run, steps: steps, batch: batch, dy: double(dy.values), dhn: double(dFinal.dh), dcn: double(dFinal.dc))
    return named(
      y: run.y, hn: run.hn, cn: run.cn, dx: back.dx, dh0: back.dh0, dc0: back.dc0, gradients(back))
  }

  /// The layer's tensors by PyTorch's names, from the calls on `Sequences`.
  func tensors(scratch: Scratch<Scalar> = Scratch()) throws -> [String: [Scalar]] {
    let options = problem.options
    let (record, output) = try layer.record(x, initial: initial, options: options, scratch: scratch)
    var gradients = layer.zeroGradients()
    let back = try layer.backward(
      consuming: record, x: x, dy: dy, dFinal: dFinal, into: &gradients, scratch: scratch)
    return named(
      y: output.y.values, hn: output.final.h, cn: output.final.c, dx: back.dx.values, dh0: back.dInitial.dh,
      dc0: back.dInitial.dc, try gradients.names.map { try gradients.values($0) })
  }

  private func named<Number>(
    y: [Number], hn: [Number], cn: [Number], dx: [Number], dh0: [Number], dc0: [Number], _ gradients: [[Number]]
  ) -> [String: [Number]] {
    var tensors = ["y": y, "hn": hn, "dx": dx, "dh0": dh0]
    if !cn.isEmpty { (tensors["cn"], tensors["dc0"]) = (cn, dc0) }
    for (name, values) in zip(layer.parameters.names, gradients) { tensors["d\(name)"] = values }
    return tensors
  }

  /// Expects every tensor to agree with the reference, and `forward` to give the bits of `record`.
  func expectAgreement(sourceLocation: SourceLocation = #_sourceLocation) throws {
    let tensors = try tensors(), output = try layer.forward(x, initial: initial, options: problem.options)
    for (name, expected) in referenceTensors() {
      expectClose(name, tensors[name] ?? [], expected, "\(problem)", sourceLocation: sourceLocation)
    }
    expectSameBits(
      output.y.values + output.final.h + output.final.c,
      (tensors["y"] ?? []) + (tensors["hn"] ?? []) + (tensors["cn"] ?? []), "forward and record of \(problem)",
      sourceLocation: sourceLocation)
  }
}
