import Foundation
import Recurrent
import RecurrentFiles
import Testing

/// Every cell that PyTorch has, against PyTorch in double precision (Tests/goldens.py): non-zero biases, b_hn and
/// initial states.
@Suite struct GoldenTests {
  static let cells: [(file: String, cell: Cell)] = [
    ("rnn", .rnn()), ("rnn_relu", .rnn(nonlinearity: .relu)), ("lstm", .lstm()),
    ("gru", .gru()),
  ]

  @Test(arguments: GoldenTests.cells.map(\.file), Processor.available)
  func agreesWithPyTorch(file: String, set: InstructionSet) throws {
    let cell = GoldenTests.cells.first { $0.file == file }!.cell
    let goldens = try SafeTensors(contentsOf: folder.appendingPathComponent("\(file).safetensors").path)
    var index = 0
    while let text = goldens.metadata["case \(index)"] {
      let sizes = try JSONDecoder().decode([Int].self, from: Data(text.utf8))
      let name = "\(file) \(sizes) on \(set)"
      let results = try run(
        cell, steps: sizes[0], batch: sizes[1], inputs: sizes[2], hidden: sizes[3], bias: sizes[4] == 1, set,
        seed: index)
      let expected = goldens.tensors.filter { $0.key.hasPrefix("\(index).") }
      #expect(Set(expected.keys) == Set(results.map { "\(index).\($0.key)" }), "\(name)")
      for (tensor, values) in results {
        let golden = try #require(goldens.tensors["\(index).\(tensor)"]?.floats)
        let error = relativeError(values, golden.map(Double.init))
        #expect(error <= tolerance(tensor), "\(tensor) of \(name): \(error)")
      }
      index += 1
    }
    #expect(index > 0 && goldens.metadata["cases"] == "\(index)", "all cases of \(file) were read")
  }

  /// The reference that every variant is held to is held to PyTorch itself.
  @Test(arguments: GoldenTests.cells.map(\.file))
  func theReferenceAgreesWithPyTorch(file: String) throws {
    let cell = GoldenTests.cells.first { $0.file == file }!.cell
    let goldens = try SafeTensors(contentsOf: folder.appendingPathComponent("\(file).safetensors").path)
    var index = 0
    while let text = goldens.metadata["case \(index)"] {
      let sizes = try JSONDecoder().decode([Int].self, from: Data(text.utf8))
      let (steps, batch, inputs, hidden) = (sizes[0], sizes[1], sizes[2], sizes[3])
      var random = SeededGenerator(seed: UInt64(index))
      func draw(_ count: Int, scale: Double = 1) -> [Double] {
        (0..<count).map { _ in (Double(random.next() >> 40) / 8_388_608 - 1) * scale }
      }
      let scale = exp2(-(log2(Double(hidden)) / 2).rounded(.toNearestOrEven))
      let gates = cell.gates, hasC = cell == .lstm()
      let reference = ReferenceCell(
        cell: cell, inputSize: inputs, hiddenSize: hidden, weightIH: draw(gates * hidden * inputs, scale: scale),
        weightHH: draw(gates * hidden * hidden, scale: scale),
        biasIH: draw(sizes[4] * gates * hidden, scale: scale), biasHH: draw(sizes[4] * gates * hidden, scale: scale))
      let x = draw(steps * batch * inputs), h0 = draw(batch * hidden), c0 = hasC ? draw(batch * hidden) : []
      let dy = draw(steps * batch * hidden), dhn = draw(batch * hidden), dcn = hasC ? draw(batch * hidden) : []
      let run = reference.forward(x, steps: steps, batch: batch, h0: h0, c0: c0)
      let back = reference.backward(
        run, x: x, steps: steps, batch: batch, h0: h0, c0: c0, dy: dy, dhn: dhn, dcn: dcn)
      var results = [
        "y": run.y, "hn": run.hn, "dx": back.dx, "dh0": back.dh0, "dweight_ih_l0": back.weightIH,
        "dweight_hh_l0": back.weightHH,
      ]
      if hasC { results.merge(["cn": run.cn, "dc0": back.dc0]) { first, _ in first } }
      if sizes[4] == 1 {
        results.merge(["dbias_ih_l0": back.biasIH, "dbias_hh_l0": back.biasHH]) { first, _ in first }
      }
      for (name, values) in results {
        let golden = try #require(goldens.tensors["\(index).\(name)"]?.floats)
        // The goldens are rounded to single precision.
        #expect(relativeError(golden, values) < 1e-7, "\(name) of \(file) \(sizes)")
      }
      index += 1
    }
    #expect(index > 0)
  }

  private func run(
    _ cell: Cell, steps: Int, batch: Int, inputs: Int, hidden: Int, bias: Bool, _ set: InstructionSet, seed: Int
  ) throws -> [String: [Float]] {
    var random = SeededGenerator(seed: UInt64(seed))
    func draw(_ count: Int, scale: Float = 1) -> [Float] {
      (0..<count).map { _ in (Float(random.next() >> 40) / 8_388_608 - 1) * scale }
    }
    var layer = try Layer<Float>(cell, inputSize: inputs, hiddenSize: hidden, bias: bias, instructionSet: set)
    let scale = Float(exp2(-(log2(Double(hidden)) / 2).rounded(.toNearestOrEven)))
    layer.updateEachParameter { _, values in _ = values.update(from: draw(values.count, scale: scale)) }
    let x = try Sequences(draw(steps * batch * inputs), steps: steps, batchSize: batch, size: inputs)
    let isLSTM = cell == .lstm()
    let initial = State(h: draw(batch * hidden), c: isLSTM ? draw(batch * hidden) : [])
    let dy = try Sequences(draw(steps * batch * hidden), steps: steps, batchSize: batch, size: hidden)
    let dFinal = StateGradient(dh: draw(batch * hidden), dc: isLSTM ? draw(batch * hidden) : [])
    let (record, output) = try layer.record(x, initial: initial)
    #expect(try layer.forward(x, initial: initial) == output)
    var gradients = layer.zeroGradients()
    let back = try layer.backward(consuming: record, x: x, dy: dy, dFinal: dFinal, into: &gradients)
    var results = ["y": output.y.values, "hn": output.final.h, "dx": back.dx.values, "dh0": back.dInitial.dh]
    if isLSTM {
      results["cn"] = output.final.c
      results["dc0"] = back.dInitial.dc
    }
    for name in gradients.names { results["d\(name)"] = try gradients.values(name) }
    return results
  }

  /// The committed ones, or fresh ones that Tests/live made.
  private var folder: URL {
    if let live = ProcessInfo.processInfo.environment["RECURRENT_GOLDENS"] { return URL(fileURLWithPath: live) }
    return URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Goldens")
  }
}
