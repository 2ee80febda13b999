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
    let some = min(rows, Linear.rowsAtOnce), sizes = sizes(rows: some)
    let (panels, tiles, rest) = scratch.carve { arena in
      (arena.take(sizes.panels), arena.take(sizes.tiles), arena.take(sizes.rest))
    }
    pack(weight, into: panels)
    for row in stride(from: 0, to: rows, by: some) {
      multiply(
        x + row * inputSize, rows: min(some, rows - row), panels: panels, bias: bias, into: y + row * outputSize,
        tiles: tiles, rest: rest)
    }
  }

  /// How many scalars `pack` and `multiply` need.
  func sizes(rows: Int) -> (panels: Int, tiles: Int, rest: Int) {
    (products.panels(outputSize) * products.width * inputSize, rows * inputSize, rows * products.width)
  }

  /// Packs W [outputSize, inputSize] into panels.
  func pack(_ weight: UnsafePointer<Float>, into panels: UnsafeMutablePointer<Float>) {
    products.packPanels(
      rowsOf: weight, units: outputSize, depth: inputSize, panelStride: inputSize * products.width, into: panels)
  }

  /// y [rows, outputSize], overwritten, of x [rows, inputSize] and packed weights.
  func multiply(
    _ x: UnsafePointer<Float>, rows: Int, panels: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
    into y: UnsafeMutablePointer<Float>, tiles: UnsafeMutablePointer<Float>, rest: UnsafeMutablePointer<Float>
  ) {
    products.packRows(x, products.tiles(rows), stride: inputSize, depth: inputSize, into: tiles)
    products.multiply(
      tiles: tiles, products.tiles(rows), depth: inputSize, panels: panels, panelStride: inputSize * products.width,
      into: y, units: outputSize, rest: rest)
    guard let bias else { return }
    for row in 0..<rows { for unit in 0..<outputSize { y[row * outputSize + unit] += bias[unit] } }
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

extension Linear {
  /// W·x [T,N,outputSize] of x [T,N,inputSize], without a bias.
  ///
  /// - Throws: `RecurrentError` if x or the weight has another size.
  func rows(
    of x: Sequences<Float>, _ name: String, _ parameter: (name: String, values: [Float]), _ scratch: Scratch<Float>
  ) throws(RecurrentError) -> Sequences<Float> {
    let weight = parameter.values
    guard x.size == inputSize else {
      throw .size(name: "the size of the \(name)", was: x.size, expected: "\(inputSize), as in \(parameter.name)")
    }
    try checkCount(parameter.name, weight.count, is: outputSize * inputSize, "\(outputSize)·\(inputSize)")
    var y = try x.sameShape(size: outputSize)
    x.values.withUnsafeBufferPointer { x0 in
      weight.withUnsafeBufferPointer { weight in
        y.withMutableValues { y in
          forward(
            x0.baseAddress!, rows: x.steps * x.batchSize, weight: weight.baseAddress!, bias: nil, into: y.baseAddress!,
            scratch: scratch)
        }
      }
    }
    return y
  }

  /// The gradient of x through `rows`. That of the weight is added to `dWeight`.
  ///
  /// - Throws: `RecurrentError` if x, dy or the weight does not fit, for example because the trace is that of
  ///   another module.
  func rowGradients(
    of x: Sequences<Float>, _ dy: Sequences<Float>, _ parameter: (name: String, values: [Float]),
    into dWeight: UnsafeMutablePointer<Float>, _ scratch: Scratch<Float>
  ) throws(RecurrentError) -> Sequences<Float> {
    let weight = parameter.values
    guard x.size == inputSize, dy.size == outputSize, dy.steps == x.steps, dy.batchSize == x.batchSize else {
      throw .shape(
        name: "the values in the trace", was: "\(x) and \(dy)",
        expected: "\(inputSize) and \(outputSize) features, as in a call of this module")
    }
    try checkCount(parameter.name, weight.count, is: outputSize * inputSize, "\(outputSize)·\(inputSize)")
    var dx = try x.sameShape(size: inputSize)
    let x = x.withoutPadding
    x.values.withUnsafeBufferPointer { x0 in
      dy.values.withUnsafeBufferPointer { dy in
        weight.withUnsafeBufferPointer { weight in
          dx.withMutableValues { dx in
            backward(
              x: x0.baseAddress!, dy: dy.baseAddress!, rows: x.steps * x.batchSize, weight: weight.baseAddress!,
              dx: dx.baseAddress!, dWeight: dWeight, dBias: nil, scratch: scratch)
          }
        }
      }
    }
    return dx
  }
}
