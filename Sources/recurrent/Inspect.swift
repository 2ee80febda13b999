import RecurrentFiles
import ToolSupport

/// `recurrent inspect`: what a safetensors file holds.
enum Inspect: Command {
  static let name = "inspect"
  static let summary = "list the tensors, the parameters and the metadata of a safetensors file"
  static let usage = "FILE"
  static let operands = ["FILE"]
  static let options: [Option] = []

  static func run(_ options: Options) throws {
    let file = try SafeTensors(contentsOf: options.operand("FILE")), names = file.tensors.keys.sorted()
    var table = Table(
      "tensors", [.init("tensor"), .init("type"), .init("shape"), .init("values"), .init("bytes")])
    for name in names {
      let tensor = file.tensors[name]!
      table.add([
        .text(name.escaped), .text(tensor.type), .text("\(tensor.shape)"), .integer(tensor.count),
        .integer(tensor.bytes.count),
      ])
    }
    for line in table.lines { printLine(line) }
    printLine("\n\(parameterCount(file, names))")
    guard !file.metadata.isEmpty else { return }
    printLine("\nmetadata")
    for (name, value) in file.metadata.sorted(by: { $0.key < $1.key }) {
      let text = value.count > 100 ? "\(value.prefix(100).escaped)… (\(value.utf8.count) bytes)" : value.escaped
      printLine("  \(name.escaped): \(text)")
    }
  }

  /// How many parameters there are, and what else.
  private static func parameterCount(_ file: SafeTensors, _ names: [String]) -> String {
    // What a training needs to go on, and the scales of weights in 8 bits, are no parameters.
    let others = ["optimizer.", "adam.first.", "adam.second.", "progress."]
    let parameters = names.filter { name in !others.contains { name.hasPrefix($0) } && !name.hasSuffix(".scale") }
    let count = parameters.reduce(0) { $0 + file.tensors[$1]!.count }
    let bytes = parameters.reduce(0) { $0 + file.tensors[$1]!.bytes.count }
    var text = "\(count) parameters in \(bytes) bytes"
    // PyTorch has two biases for each gate, Keras mostly one.
    let second = parameters.filter {
      $0.contains("bias_hh_l") && file.tensors[$0.replacing("bias_hh_l", with: "bias_ih_l")] != nil
    }
    if !second.isEmpty {
      let single = count - second.reduce(0) { $0 + file.tensors[$1]!.count }
      text += "; \(single) with one bias for each gate, as Keras counts"
    }
    guard parameters.count < names.count else { return text }
    return text + "\n\(names.count - parameters.count) tensors belong to the training, or are scales"
  }
}

extension Tensor {
  fileprivate var count: Int { shape.reduce(1, *) }
}

extension StringProtocol {
  /// The text on one line, with escapes for what a terminal would act on.
  fileprivate var escaped: String {
    unicodeScalars.map { $0 == "\"" || $0 == "'" ? String($0) : $0.escaped(asASCII: false) }.joined()
  }
}
