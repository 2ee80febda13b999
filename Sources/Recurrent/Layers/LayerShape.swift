/// The cell and the sizes of a layer. A layer has levels; a level has one part for each direction; a part is one cell
/// that runs in one direction.
package struct LayerShape: Sendable, Equatable {
  package let cell: Cell
  package let inputSize: Int  // C
  package let hiddenSize: Int  // H
  package let layerCount: Int  // L
  package let direction: Direction
  package let hasBias: Bool
  /// The parameters of each part.
  package let parameterLayout: ParameterLayout
  /// Whether parts carry c beside h.
  package let hasCellState: Bool

  /// - Throws: `RecurrentError` if a size is not positive, or if one alone is larger than this machine's memory. All
  ///   of them together are checked by `checkMemory`.
  package init(
    cell: Cell, inputSize: Int, hiddenSize: Int, layerCount: Int, direction: Direction, hasBias: Bool
  ) throws(RecurrentError) {
    self.cell = cell
    self.inputSize = inputSize
    self.hiddenSize = hiddenSize
    self.layerCount = layerCount
    self.direction = direction
    self.hasBias = hasBias
    let definition = cell.definition
    parameterLayout = hasBias ? definition.parameters : definition.parameters.withoutBiases
    hasCellState = definition.hasCellState
    for (name, size) in [("inputSize", inputSize), ("hiddenSize", hiddenSize), ("layerCount", layerCount)] {
      _ = try checkedCount((name, size))
    }
  }

  /// - Parameter scalarBytes: the size of a scalar.
  /// - Throws: `RecurrentError.value` if the layer's weights are larger than this machine's memory.
  package func checkMemory(scalarBytes: Int) throws(RecurrentError) {
    // The parameters and their packed copies for forward and for backward. Every other size of the layer is smaller.
    // A row of a matrix has C values on the first level and D·H on others, then H values of U and the two biases. No
    // factor overflows, because memory holds each size.
    let readsH = layerCount > 1 || cell.multipliesByMatrix
    let row = inputSize + (readsH ? width : 0) + 2, copies = 3
    guard fitMemory(parts, parameterLayout.gates * paddedSize, row * copies, scalarBytes: scalarBytes) else {
      throw .value(
        name: "the layer", was: "\(self)", expected: "a smaller one: its weights do not fit into this machine's memory")
    }
  }

  /// H, rounded up to whole panels of any width.
  private var paddedSize: Int { (hiddenSize + 31) / 32 * 32 }
  /// The largest number of scalars that a record keeps for a row: slots, y and the inputs of further levels.
  package var rowFloats: Int { inputSize + parts * 8 * paddedSize }
  /// The largest number of scalars that a stream keeps for a sequence.
  package var streamFloats: Int { 2 * inputSize + layerCount * 12 * paddedSize }

  package var directions: Int { direction == .forward || direction == .reverse ? 1 : 2 }
  package var isSummed: Bool { direction == .bidirectionalSum }
  /// D·H: the number of features of h of all parts of a level.
  package var width: Int { directions * hiddenSize }
  /// The number of features of y, and of the input of all levels except the first.
  package var outputSize: Int { isSummed ? hiddenSize : width }
  /// L·D: the number of parts. The forward part of a level comes before the reverse part, as in PyTorch's states.
  package var parts: Int { layerCount * directions }

  package func inputSize(ofLevel level: Int) -> Int { level == 0 ? inputSize : outputSize }
  package func isReversed(part: Int) -> Bool { directions == 2 ? part % 2 == 1 : direction == .reverse }
  /// The end of the part's parameter names in PyTorch: `l0`, `l0_reverse`.
  package func suffix(part: Int) -> String {
    "l\(part / directions)\(isReversed(part: part) ? "_reverse" : "")"
  }

  /// The ranges of a part's parameters in the values of all parameters.
  package func parameters(ofPart part: Int) -> PartParameters {
    let level = part / directions, layout = parameterLayout
    let ofFirst = layout.count(inputSize: inputSize, hiddenSize: hiddenSize)
    let ofOther = layout.count(inputSize: outputSize, hiddenSize: hiddenSize)
    let start = level == 0 ? part * ofFirst : directions * ofFirst + (part - directions) * ofOther
    return PartParameters(
      layout: layout, start: start, inputSize: inputSize(ofLevel: level), hiddenSize: hiddenSize)
  }
  package var parameterCount: Int { parameters(ofPart: parts - 1).end }
}

extension LayerShape: CustomStringConvertible {
  /// The cell, its sizes, and the options that differ from the defaults.
  package var description: String {
    var parts = ["\(cell)", counted(inputSize, "input"), counted(hiddenSize, "unit")]
    if layerCount > 1 { parts.append(counted(layerCount, "level")) }
    switch direction {
    case .forward: break
    case .reverse: parts.append("reverse")
    case .bidirectional: parts.append("bidirectional")
    case .bidirectionalSum: parts.append("bidirectional, summed")
    }
    if !hasBias { parts.append("no biases") }
    return parts.joined(separator: ", ")
  }
}

/// "1 input", "8 inputs"
package func counted(_ count: Int, _ thing: String) -> String { "\(count) \(thing)\(count == 1 ? "" : "s")" }
