import Foundation
import Recurrent
import RecurrentFiles
import Testing

/// Every cell that PyTorch has, against PyTorch in double precision (Tests/goldens.py): non-zero biases, b_hn and
/// initial states.
@Suite struct GoldenTests {
  static let cells: [(file: String, cell: Cell)] = [
    ("rnn", .rnn(relu: false)), ("rnn_relu", .rnn(relu: true)), ("lstm", .lstm(linearOutput: false)),
    ("gru", .gru(resetBefore: false, zTakesNew: false)),
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
    let isLSTM = cell == .lstm(linearOutput: false)
    let initial = State(h: draw(batch * hidden), c: isLSTM ? draw(batch * hidden) : [])
    let dy = try Sequences(draw(steps * batch * hidden), steps: steps, batchSize: batch, size: hidden)
    let final = State(h: draw(batch * hidden), c: isLSTM ? draw(batch * hidden) : [])
    let (record, output) = try layer.record(x, initial: initial)
    #expect(try layer.forward(x, initial: initial) == output)
    var gradients = layer.zeroGradients()
    let back = try layer.backward(consuming: record, x: x, dy: dy, final: final, into: &gradients)
    var results = ["y": output.y.values, "hn": output.final.h, "dx": back.dx.values, "dh0": back.initial.h]
    if isLSTM {
      results["cn"] = output.final.c
      results["dc0"] = back.initial.c
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
