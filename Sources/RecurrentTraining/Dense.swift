import Recurrent

/// y = x·Wᵀ + b, on the products of the recurrent layers.
public struct Dense: Sendable {
  /// The number of values in a row of x.
  public let inputSize: Int
  /// The number of values in a row of y.
  public let outputSize: Int
  /// [outputSize, inputSize]
  public var weight: [Float]
  /// [outputSize]
  public var bias: [Float]
  private let products: Products<Float>

  /// Uniform in ±1/√inputSize, as PyTorch draws it.
  ///
  /// - Throws: `RecurrentError` if a size is not positive or the processor lacks the instruction set.
  public init(
    inputSize: Int, outputSize: Int, seed: UInt64, instructionSet: InstructionSet? = nil
  ) throws(RecurrentError) {
    let count = try checkedCount(("outputSize", outputSize), ("inputSize", inputSize))
    self.inputSize = inputSize
    self.outputSize = outputSize
    products = try Products<Float>(instructionSet)
    var random = SeededGenerator(seed: seed)
    let bound = 1 / Float(inputSize).squareRoot()
    weight = (0..<count).map { _ in Float.random(in: -bound...bound, using: &random) }
    bias = (0..<outputSize).map { _ in Float.random(in: -bound...bound, using: &random) }
  }

  /// The number of rows of x that are packed at once.
  private static let rowsAtOnce = 240

  /// y of some rows.
  ///
  /// - Parameters:
  ///   - x: [rows, inputSize]
  ///   - y: [rows, outputSize], overwritten.
  ///   - scratch: grows at its first use.
  /// - Throws: `RecurrentError.count` if a count is wrong.
  public func forward(_ x: [Float], rows: Int, into y: inout [Float], scratch: Scratch<Float>) throws(RecurrentError) {
    try check(rows, x.count, y.count)
    let some = min(rows, Dense.rowsAtOnce), width = products.width
    let (panels, tiles, rest) = scratch.carve { arena in
      (
        arena.take(products.panels(outputSize) * width * inputSize), arena.take(some * inputSize),
        arena.take(some * width)
      )
    }
    products.packPanels(
      rowsOf: weight, units: outputSize, depth: inputSize, panelStride: inputSize * width, into: panels)
    x.withUnsafeBufferPointer { x in
      y.withUnsafeMutableBufferPointer { y in
        var row = 0
        while row < rows {
          let count = min(some, rows - row), target = y.baseAddress! + row * outputSize
          products.packRows(
            x.baseAddress! + row * inputSize, products.tiles(count), stride: inputSize, depth: inputSize, into: tiles)
          products.multiply(
            tiles: tiles, products.tiles(count), depth: inputSize, panels: panels,
            panelStride: inputSize * width, into: target, units: outputSize,
            rest: rest)
          for at in 0..<count { for unit in 0..<outputSize { target[at * outputSize + unit] += bias[unit] } }
          row += count
        }
      }
    }
  }

  /// The gradients through `forward`.
  ///
  /// - Parameters:
  ///   - x: [rows, inputSize], the same as in the call of `forward`.
  ///   - dy: [rows, outputSize]
  ///   - dx: [rows, inputSize], overwritten.
  ///   - dWeight, dBias: added to.
  ///   - scratch: grows at its first use.
  /// - Throws: `RecurrentError.count` if a count is wrong.
  public func backward(
    x: [Float], dy: [Float], rows: Int, dx: inout [Float], dWeight: inout [Float], dBias: inout [Float],
    scratch: Scratch<Float>
  ) throws(RecurrentError) {
    try check(rows, x.count, dy.count)
    try checkCount("dx", dx.count, is: x.count, "\(rows)·\(inputSize)")
    try checkCount("dWeight", dWeight.count, is: outputSize * inputSize, "\(outputSize)·\(inputSize)")
    try checkCount("dBias", dBias.count, is: outputSize, "\(outputSize)")
    let some = min(rows, Dense.rowsAtOnce), width = products.width, blocks = products.panels(outputSize)
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
      let count = min(some, rows - row)
      x.withUnsafeBufferPointer { x in
        dy.withUnsafeBufferPointer { dy in
          dx.withUnsafeMutableBufferPointer { dx in
            let dy = dy.baseAddress! + row * outputSize
            products.packRows(dy, products.tiles(count), stride: outputSize, depth: outputSize, into: memory.tiles)
            products.multiply(
              tiles: memory.tiles, products.tiles(count), depth: outputSize, panels: memory.transposed,
              panelStride: outputSize * width,
              into: dx.baseAddress! + row * inputSize, units: inputSize, rest: memory.rest)
            // dW = dyᵀ·x: dy as panels of units, x as tiles of columns.
            products.packPanels(
              columnsOf: dy, units: outputSize, depth: count, stride: outputSize, panelStride: count * width,
              into: memory.panels)
            products.packColumns(
              x.baseAddress! + row * inputSize, stride: inputSize, products.tiles(inputSize), depth: count,
              into: memory.tiles)
            products.multiply(
              tiles: memory.tiles, products.tiles(inputSize), depth: count, panels: memory.panels,
              panelStride: count * width, panelCount: blocks, c: memory.gradient, cPanelStride: inputSize * width,
              cRowStride: width, add: row > 0)
            for at in 0..<count { for unit in 0..<outputSize { dBias[unit] += dy[at * outputSize + unit] } }
          }
        }
      }
    }
    dWeight.withUnsafeMutableBufferPointer {
      products.unpackAdding(
        memory.gradient, panelStride: inputSize * width, units: outputSize, depth: inputSize, to: $0.baseAddress!)
    }
  }

  private func check(_ rows: Int, _ x: Int, _ y: Int) throws(RecurrentError) {
    _ = try checkedCount(("rows", rows), ("outputSize", outputSize), ("inputSize", inputSize))
    try checkCount("weight", weight.count, is: outputSize * inputSize, "\(outputSize)·\(inputSize)")
    try checkCount("bias", bias.count, is: outputSize, "\(outputSize)")
    try checkCount("x", x, is: rows * inputSize, "\(rows)·\(inputSize)")
    try checkCount("y", y, is: rows * outputSize, "\(rows)·\(outputSize)")
  }
}
