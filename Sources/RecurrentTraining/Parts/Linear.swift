import Recurrent

/// y = x·Wᵀ + b of rows, with its gradients, on the products of the recurrent layers. W lies [outputSize, inputSize].
struct Linear: Sendable {
  let inputSize: Int
  let outputSize: Int
  private let products: Products<Float>

  /// - Throws: `RecurrentError` if the processor lacks the instruction set.
  init(inputSize: Int, outputSize: Int, _ instructionSet: InstructionSet? = nil) throws(RecurrentError) {
    self.inputSize = inputSize
    self.outputSize = outputSize
    products = try Products<Float>(instructionSet)
  }

  /// The number of rows of x that are packed at once.
  private static let rowsAtOnce = 240

  /// y [rows, outputSize], overwritten, of x [rows, inputSize].
  func forward(
    _ x: UnsafePointer<Float>, rows: Int, weight: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
    into y: UnsafeMutablePointer<Float>, scratch: Scratch<Float>
  ) {
    let some = min(rows, Linear.rowsAtOnce), width = products.width
    let (panels, tiles, rest) = scratch.carve { arena in
      (
        arena.take(products.panels(outputSize) * width * inputSize), arena.take(some * inputSize),
        arena.take(some * width)
      )
    }
    products.packPanels(
      rowsOf: weight, units: outputSize, depth: inputSize, panelStride: inputSize * width, into: panels)
    for row in stride(from: 0, to: rows, by: some) {
      let count = min(some, rows - row), target = y + row * outputSize
      products.packRows(
        x + row * inputSize, products.tiles(count), stride: inputSize, depth: inputSize, into: tiles)
      products.multiply(
        tiles: tiles, products.tiles(count), depth: inputSize, panels: panels, panelStride: inputSize * width,
        into: target, units: outputSize, rest: rest)
      guard let bias else { continue }
      for at in 0..<count { for unit in 0..<outputSize { target[at * outputSize + unit] += bias[unit] } }
    }
  }

  /// The gradients through `forward`.
  ///
  /// - Parameters:
  ///   - dx: [rows, inputSize], overwritten.
  ///   - dWeight, dBias: added to.
  func backward(
    x: UnsafePointer<Float>, dy: UnsafePointer<Float>, rows: Int, weight: UnsafePointer<Float>,
    dx: UnsafeMutablePointer<Float>, dWeight: UnsafeMutablePointer<Float>, dBias: UnsafeMutablePointer<Float>?,
    scratch: Scratch<Float>
  ) {
    let some = min(rows, Linear.rowsAtOnce), width = products.width, blocks = products.panels(outputSize)
    let memory = scratch.carve { arena in
      (
        transposed: arena.take(products.panels(inputSize) * width * outputSize),
        tiles: arena.take(some * max(outputSize, inputSize)), rest: arena.take(some * width),
        panels: arena.take(blocks * width * some), gradient: arena.take(blocks * width * inputSize)
      )
    }
    products.packPanels(
      columnsOf: weight, units: inputSize, depth: outputSize, stride: inputSize, panelStride: outputSize * width,
      into: memory.transposed)
    for row in stride(from: 0, to: rows, by: some) {
      let count = min(some, rows - row), dy = dy + row * outputSize
      products.packRows(dy, products.tiles(count), stride: outputSize, depth: outputSize, into: memory.tiles)
      products.multiply(
        tiles: memory.tiles, products.tiles(count), depth: outputSize, panels: memory.transposed,
        panelStride: outputSize * width, into: dx + row * inputSize, units: inputSize, rest: memory.rest)
      // dW = dyᵀ·x: dy as panels of units, x as tiles of columns.
      products.packPanels(
        columnsOf: dy, units: outputSize, depth: count, stride: outputSize, panelStride: count * width,
        into: memory.panels)
      products.packColumns(
        x + row * inputSize, stride: inputSize, products.tiles(inputSize), depth: count, into: memory.tiles)
      products.multiply(
        tiles: memory.tiles, products.tiles(inputSize), depth: count, panels: memory.panels,
        panelStride: count * width, panelCount: blocks, c: memory.gradient, cPanelStride: inputSize * width,
        cRowStride: width, add: row > 0)
      guard let dBias else { continue }
      for at in 0..<count { for unit in 0..<outputSize { dBias[unit] += dy[at * outputSize + unit] } }
    }
    products.unpackAdding(
      memory.gradient, panelStride: inputSize * width, units: outputSize, depth: inputSize, to: dWeight)
  }
}
