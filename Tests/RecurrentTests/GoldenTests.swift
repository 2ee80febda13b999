import Foundation
import Recurrent
import RecurrentFiles
import Testing

/// Compares every cell of PyTorch, and an IndRNN made of PyTorch's operations, with PyTorch's results in double
/// precision (Tests/goldens.py). Biases, b_hn and initial states are not zero.
@Suite struct GoldenTests {
  static let cells: [(file: String, cell: Cell)] = [
    ("rnn", .rnn()), ("rnn_relu", .rnn(nonlinearity: .relu)), ("lstm", .lstm()),
    ("gru", .gru()), ("indrnn", .indRNN()), ("indrnn_tanh", .indRNN(nonlinearity: .tanh)),
  ]

  @Test(arguments: GoldenTests.cells.map(\.file), Kernels.all)
  func agreesWithPyTorch(file: String, kernels: Kernels) throws {
    try agreesWithPyTorch(kernels.scalar, file, kernels.set)
  }

  private func agreesWithPyTorch<Scalar: RecurrentScalar>(
    _: Scalar.Type, _ file: String, _ set: InstructionSet
  ) throws {
    let goldens: [Golden<Scalar>] = try goldens(file, set)
    for golden in goldens {
      let instance = try golden.problem.instance(), tensors = try instance.tensors()
      #expect(Set(golden.tensors.keys) == Set(tensors.keys), "\(golden.problem)")
      for (name, expected) in golden.tensors {
        expectClose(name, tensors[name] ?? [], expected, "\(golden.problem)")
      }
      let output = try instance.layer.forward(instance.x, initial: instance.initial)
      #expect(output.y.values == tensors["y"] && output.final.h == tensors["hn"], "\(golden.problem)")
      #expect(output.final.c == tensors["cn"] ?? [], "\(golden.problem)")
    }
  }

  /// The reference, with which other tests compare every variant, must itself agree with PyTorch.
  @Test(arguments: GoldenTests.cells.map(\.file))
  func theReferenceAgreesWithPyTorch(file: String) throws {
    let goldens: [Golden<Double>] = try goldens(file, nil)
    for golden in goldens {
      let tensors = try golden.problem.instance().referenceTensors()
      #expect(Set(golden.tensors.keys) == Set(tensors.keys), "\(golden.problem)")
      for (name, expected) in golden.tensors {
        #expect(relativeError(expected, tensors[name] ?? []) < 1e-13, "\(name) of \(golden.problem)")
      }
    }
  }

  private typealias Golden<Scalar: RecurrentScalar> = (problem: Problem<Scalar>, tensors: [String: [Double]])

  /// The problems of a file, and their tensors by PyTorch's names.
  private func goldens<Scalar: RecurrentScalar>(_ file: String, _ set: InstructionSet?) throws -> [Golden<Scalar>] {
    let cell = GoldenTests.cells.first { $0.file == file }!.cell
    let goldens = try SafeTensors(contentsOf: folder.appendingPathComponent("\(file).safetensors").path)
    var result: [Golden<Scalar>] = []
    while let text = goldens.metadata["case \(result.count)"] {
      let sizes = try JSONDecoder().decode([Int].self, from: Data(text.utf8)), prefix = "\(result.count)."
      let problem = Problem<Scalar>(
        cell, steps: sizes[0], batch: sizes[1], inputs: sizes[2], hidden: sizes[3], bias: sizes[4] == 1, set: set,
        seed: UInt64(result.count))
      var tensors: [String: [Double]] = [:]
      for (name, tensor) in goldens.tensors where name.hasPrefix(prefix) {
        tensors[String(name.dropFirst(prefix.count))] = tensor.doubles
      }
      result.append((problem, tensors))
    }
    #expect(!result.isEmpty && goldens.metadata["cases"] == "\(result.count)", "all cases of \(file) were read")
    return result
  }

  /// The folder of the committed goldens, or of the fresh ones that Tests/live made.
  private var folder: URL {
    if let live = ProcessInfo.processInfo.environment["RECURRENT_GOLDENS"] { return URL(fileURLWithPath: live) }
    return URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Goldens")
  }
}
