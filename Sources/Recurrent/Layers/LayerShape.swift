/// In which direction a layer runs over its sequences.
public enum Direction: Sendable, Equatable, CaseIterable {
  /// From the first step to the last.
  case forward
  /// From the last step, of each sequence its own, to the first.
  case reverse
  /// Both; y is [forward, reverse], of 2·H.
  case bidirectional
  /// Both; y is the sum, of H.
  case bidirectionalSum
}

/// What a layer is made of: levels, each of one or two parts, a part being one cell that runs in one direction.
package struct LayerShape: Sendable, Equatable {
  package let cell: Cell
  package let inputSize: Int  // C
  package let hiddenSize: Int  // H
  package let layerCount: Int  // L
  package let direction: Direction
  package let hasBias: Bool
  /// The parameters of each part.
  package let parameterLayout: ParameterLayout
  /// The states of a part beside h.
  package let innerStates: Int

  /// - Parameter scalarBytes: the size of one of the layer's scalars.
  /// - Throws: `RecurrentError.size` if a size is not positive or all of them are too large.
  package init(
    cell: Cell, inputSize: Int, hiddenSize: Int, layerCount: Int, direction: Direction, hasBias: Bool, scalarBytes: Int
  ) throws(RecurrentError) {
    self.cell = cell
    self.inputSize = inputSize
    self.hiddenSize = hiddenSize
    self.layerCount = layerCount
    self.direction = direction
    self.hasBias = hasBias
    let definition = cell.definition
    parameterLayout = hasBias ? definition.parameters : definition.parameters.withoutBiases
    innerStates = definition.innerStates
    _ = try checkedCount(("inputSize", inputSize))
    _ = try checkedCount(("hiddenSize", hiddenSize))
    // Parameters, and what is packed of them for forward and for backward; every size below is less.
    _ = try checkedCount(
      ("layerCount", layerCount), ("directions", directions), ("gates", parameterLayout.gates),
      ("paddedHiddenSize", paddedSize),
      ("(inputSize + hiddenSize·directions + 2)", inputSize + directions * hiddenSize + 2), ("copies", 3),
      scalarBytes: scalarBytes)
  }

  /// H in whole panels of any width.
  private var paddedSize: Int { (hiddenSize + 31) / 32 * 32 }
  /// Floats that a record keeps of a row, at most: slots, y, what levels hand on.
  package var rowFloats: Int { inputSize + parts * 8 * paddedSize }
  /// Floats that a stream keeps of a sequence, at most.
  package var streamFloats: Int { inputSize + layerCount * 12 * paddedSize }

  /// Whether parts carry c beside h.
  package var hasCellState: Bool { innerStates > 0 }
  package var directions: Int { direction == .forward || direction == .reverse ? 1 : 2 }
  package var isSummed: Bool { direction == .bidirectionalSum }
  /// The h of a step's parts next to each other.
  package var width: Int { directions * hiddenSize }
  /// Of y, and of the input of all levels but the first.
  package var outputSize: Int { isSummed ? hiddenSize : width }
  /// L·D; a level's parts follow each other, forward first, as PyTorch's states do.
  package var parts: Int { layerCount * directions }

  package func inputSize(ofLevel level: Int) -> Int { level == 0 ? inputSize : outputSize }
  package func isReversed(part: Int) -> Bool { directions == 2 ? part % 2 == 1 : direction == .reverse }
  /// PyTorch's: `l0`, `l0_reverse`.
  package func suffix(part: Int) -> String {
    "l\(part / directions)\(isReversed(part: part) ? "_reverse" : "")"
  }

  /// Where the parameters of a part lie among all values.
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
  /// The cell, its sizes, and what is not as it is by default.
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
