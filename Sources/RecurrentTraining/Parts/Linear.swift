import CRecurrentKernels
import Recurrent

/// y = x·Wᵀ + b for rows x, and its gradients, by the products of the recurrent layers. W is [outputSize, inputSize].
struct Linear: Sendable {
  let inputSize: Int
  let outputSize: Int
  fileprivate let products: Products<Float>

  /// - Throws: `RecurrentError` if the processor lacks the instruction set.
  init(inputSize: Int, outputSize: Int, _ instructionSet: InstructionSet? = nil) throws(RecurrentError) {
    self.inputSize = inputSize
    self.outputSize = outputSize
    products = try Products<Float>(instructionSet)
  }

  /// The largest number of rows that a thread packs and multiplies at once.
  private static let rowsAtOnce = 240

  /// The threads of the scratch if a call has enough work to wake them.
  private func threads(rows: Int, _ scratch: Scratch<Float>) -> Threads? {
    rows * inputSize * outputSize >= 4 * Blocking.sharedMultiplies ? scratch.threads : nil
  }

  /// y [rows, outputSize], overwritten, of x [rows, inputSize]. The threads of the scratch divide the rows.
  func forward(
    _ x: UnsafePointer<Float>, rows: Int, weight: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
    into y: UnsafeMutablePointer<Float>, scratch: Scratch<Float>
  ) {
    let threads = threads(rows: rows, scratch), some = min(rows, Linear.rowsAtOnce), sizes = sizes(rows: some)
    let work = scratch.carve { arena in
      LinearForward(
        linear: self, x: x, rows: rows, some: some, weight: weight, bias: bias, y: y,
        panels: arena.take(sizes.panels),
        pieces: (0..<(threads?.count ?? 1)).map { _ in
          (tiles: arena.take(sizes.tiles), rest: arena.take(sizes.rest))
        })
    }
    if let threads { threads.run(work) } else { work.run(.whole) }
  }

  /// How many scalars `pack` and `multiply` need.
  func sizes(rows: Int) -> (panels: Int, tiles: Int, rest: Int) {
    (products.panels(outputSize) * products.width * inputSize, rows * inputSize, rows * products.width)
  }

  /// Packs W [outputSize, inputSize] into panels, all or one thread's share.
  func pack(
    _ weight: UnsafePointer<Float>, into panels: UnsafeMutablePointer<Float>, _ share: Share = .whole
  ) {
    let own = share.range(of: products.panels(outputSize)), first = own.lowerBound * products.width
    products.packPanels(
      rowsOf: weight + first * inputSize, units: min(outputSize, own.upperBound * products.width) - first,
      depth: inputSize, panelStride: inputSize * products.width, into: panels + first * inputSize)
  }

  /// y [rows, outputSize], overwritten, of x [rows, inputSize] and packed weights.
  func multiply(
    _ x: UnsafePointer<Float>, rows: Int, panels: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
    into y: UnsafeMutablePointer<Float>, tiles: UnsafeMutablePointer<Float>, rest: UnsafeMutablePointer<Float>
  ) {
    multiply(x, rows: rows, depth: inputSize, panels: panels, into: y, units: outputSize, tiles: tiles, rest: rest)
    if let bias { add_to_rows(products.set, y, rows, outputSize, bias) }
  }

  /// y [rows, units], overwritten, of x [rows, depth] and panels of units.
  fileprivate func multiply(
    _ x: UnsafePointer<Float>, rows: Int, depth: Int, panels: UnsafePointer<Float>,
    into y: UnsafeMutablePointer<Float>, units: Int, tiles: UnsafeMutablePointer<Float>,
    rest: UnsafeMutablePointer<Float>
  ) {
    let tiling = products.tiles(rows)
    // Plain rows of one value look like a packed tile, behind which a kernel may read.
    let packs = depth > Blocking.plainDepth || depth == 1
    if packs { products.packRows(x, tiling, stride: depth, depth: depth, into: tiles) }
    products.multiply(
      tiles: packs ? UnsafePointer(tiles) : x, tiling, stride: packs ? 1 : depth, depth: depth, panels: panels,
      panelStride: depth * products.width, into: y, units: units, rest: rest)
  }

  /// The gradients through `forward`. The threads of the scratch divide the rows of dx, and the columns of the weight's
  /// gradient.
  ///
  /// - Parameters:
  ///   - dx: [rows, inputSize], overwritten.
  ///   - dWeight, dBias: added to.
  func backward(
    x: UnsafePointer<Float>, dy: UnsafePointer<Float>, rows: Int, weight: UnsafePointer<Float>,
    dx: UnsafeMutablePointer<Float>, dWeight: UnsafeMutablePointer<Float>, dBias: UnsafeMutablePointer<Float>?,
    scratch: Scratch<Float>
  ) {
    let threads = threads(rows: rows, scratch), width = products.width, blocks = products.panels(outputSize)
    let some = min(rows, Linear.rowsAtOnce)
    let work = scratch.carve { arena in
      LinearBackward(
        linear: self, x: x, dy: dy, rows: rows, some: some, weight: weight, dx: dx, dWeight: dWeight, dBias: dBias,
        transposed: arena.take(products.panels(inputSize) * width * outputSize),
        xColumns: arena.take(some * inputSize), dyPanels: arena.take(blocks * width * some),
        gradient: arena.take(blocks * width * inputSize), biasGradient: arena.take(dBias == nil ? 0 : blocks * width),
        pieces: (0..<(threads?.count ?? 1)).map { _ in
          (tiles: arena.take(some * outputSize), rest: arena.take(some * width))
        })
    }
    if let threads { threads.run(work) } else { work.run(.whole) }
  }

  /// One thread's share of some rows, in whole tiles.
  fileprivate func ownRows(_ rows: Int, _ share: Share) -> Range<Int> {
    let tiles = products.tiles(rows), own = share.range(of: tiles.count)
    return min(rows, own.lowerBound * tiles.size)..<min(rows, own.upperBound * tiles.size)
  }
}

/// What one thread works in.
private typealias LinearPieces = (tiles: UnsafeMutablePointer<Float>, rest: UnsafeMutablePointer<Float>)

/// A call of `Linear.forward`.
private struct LinearForward: SharedWork {
  let linear: Linear
  let x: UnsafePointer<Float>, rows: Int, some: Int
  let weight: UnsafePointer<Float>, bias: UnsafePointer<Float>?
  let y: UnsafeMutablePointer<Float>
  let panels: UnsafeMutablePointer<Float>
  /// One for each thread.
  let pieces: [LinearPieces]

  func run(_ share: Share) {
    linear.pack(weight, into: panels, share)
    share.barrier()
    let own = linear.ownRows(rows, share), pieces = pieces[share.index]
    for row in stride(from: own.lowerBound, to: own.upperBound, by: some) {
      linear.multiply(
        x + row * linear.inputSize, rows: min(some, own.upperBound - row), panels: panels, bias: bias,
        into: y + row * linear.outputSize, tiles: pieces.tiles, rest: pieces.rest)
    }
  }
}

/// A call of `Linear.backward`.
private struct LinearBackward: SharedWork {
  let linear: Linear
  let x: UnsafePointer<Float>, dy: UnsafePointer<Float>, rows: Int, some: Int
  let weight: UnsafePointer<Float>
  let dx: UnsafeMutablePointer<Float>, dWeight: UnsafeMutablePointer<Float>, dBias: UnsafeMutablePointer<Float>?
  /// Wᵀ in panels of inputs.
  let transposed: UnsafeMutablePointer<Float>
  /// Some rows of x in tiles of columns, and the same rows of dy in panels of units.
  let xColumns: UnsafeMutablePointer<Float>, dyPanels: UnsafeMutablePointer<Float>
  /// The gradients of the weight and of the bias in panels of units, [panel][inputSize][P] and [panel][P].
  let gradient: UnsafeMutablePointer<Float>, biasGradient: UnsafeMutablePointer<Float>
  /// One for each thread.
  let pieces: [LinearPieces]

  private var products: Products<Float> { linear.products }
  private var width: Int { products.width }
  private var inputs: Int { linear.inputSize }
  private var outputs: Int { linear.outputSize }

  func run(_ share: Share) {
    inputGradient(share)
    weightGradient(share)
  }

  /// dx = dy·W
  private func inputGradient(_ share: Share) {
    let panels = share.range(of: products.panels(inputs)), first = panels.lowerBound * width
    products.packPanels(
      columnsOf: weight + first, units: min(inputs, panels.upperBound * width) - first, depth: outputs, stride: inputs,
      panelStride: outputs * width, into: transposed + first * outputs)
    share.barrier()
    let own = linear.ownRows(rows, share), pieces = pieces[share.index]
    for row in stride(from: own.lowerBound, to: own.upperBound, by: some) {
      linear.multiply(
        dy + row * outputs, rows: min(some, own.upperBound - row), depth: outputs, panels: transposed,
        into: dx + row * inputs, units: inputs, tiles: pieces.tiles, rest: pieces.rest)
    }
  }

  /// dW = dyᵀ·x, and the bias's gradient is the sum of dy. Each thread has some columns of dW, and some panels of the
  /// bias.
  private func weightGradient(_ share: Share) {
    let columnTiles = products.tiles(inputs), columns = linear.ownRows(inputs, share)
    let panels = share.range(of: products.panels(outputs)), first = panels.lowerBound * width
    if dBias != nil { (biasGradient + first).update(repeating: 0, count: panels.count * width) }
    for row in stride(from: 0, to: rows, by: some) {
      let count = min(some, rows - row)
      products.packPanels(
        columnsOf: dy + row * outputs + first, units: min(outputs, panels.upperBound * width) - first, depth: count,
        stride: outputs, panelStride: count * width, into: dyPanels + first * count)
      if dBias != nil {
        for panel in panels {
          add_rows(products.kernels, biasGradient + panel * width, dyPanels + panel * count * width, count)
        }
      }
      products.packColumns(
        x + row * inputs, stride: inputs, columnTiles, share.range(of: columnTiles.count), depth: count, into: xColumns)
      share.barrier()
      products.multiply(
        tiles: xColumns + columns.lowerBound * count, products.tiles(columns.count), depth: count, panels: dyPanels,
        panelStride: count * width, panelCount: products.panels(outputs), c: gradient + columns.lowerBound * width,
        cPanelStride: inputs * width, cRowStride: width, add: row > 0)
      share.barrier()
    }
    products.unpackAdding(
      gradient + columns.lowerBound * width, panelStride: inputs * width, units: outputs, depth: columns.count,
      to: dWeight + columns.lowerBound, stride: inputs)
    guard let dBias else { return }
    for unit in first..<min(outputs, panels.upperBound * width) { dBias[unit] += biasGradient[unit] }
  }
}

extension Linear {
  /// The values of a parameter, and its name for errors.
  typealias Named = (name: String, values: ArraySlice<Float>)

  /// x·Wᵀ + b [T,N,outputSize] for x [T,N,inputSize], padding included.
  ///
  /// - Parameters:
  ///   - name: what x is, for errors.
  ///   - weight: [outputSize, inputSize]
  ///   - bias: [outputSize]; nil for none.
  /// - Throws: `RecurrentError` if x, the weight or the bias has another size.
  func rows(
    of x: Sequences<Float>, _ name: String, _ weight: Named, bias: Named? = nil, _ scratch: Scratch<Float>
  ) throws(RecurrentError) -> Sequences<Float> {
    guard x.size == inputSize else {
      throw .size(name: "the size of the \(name)", was: x.size, expected: "\(inputSize), as in \(weight.name)")
    }
    try check(weight)
    if let bias { try checkCount(bias.name, bias.values.count, is: outputSize, "\(outputSize)") }
    // Every row is written, also those that pad sequences.
    return try Sequences(
      steps: x.steps, batchSize: x.batchSize, size: outputSize, lengths: x.lengths, writesAll: true
    ) { y throws(RecurrentError) in
      x.values.withUnsafeBufferPointer { x0 in
        weight.values.withUnsafeBufferPointer { weight in
          func forward(_ bias: UnsafePointer<Float>?) {
            self.forward(
              x0.baseAddress!, rows: x.steps * x.batchSize, weight: weight.baseAddress!, bias: bias,
              into: y.baseAddress!, scratch: scratch)
          }
          if let bias { bias.values.withUnsafeBufferPointer { forward($0.baseAddress!) } } else { forward(nil) }
        }
      }
    }
  }

  /// dx [T,N,inputSize] = dy·W for dy [T,N,outputSize], padding included: there, dy must be 0 and x finite, or the
  /// gradients of the parameters count it.
  ///
  /// - Parameters:
  ///   - dWeight, dBias: the gradients of weight and bias are added to them.
  /// - Throws: `RecurrentError` if x, dy or the weight does not fit, for example because the trace is that of
  ///   another module.
  func rowGradients(
    of x: Sequences<Float>, _ dy: Sequences<Float>, _ weight: Named, into dWeight: UnsafeMutablePointer<Float>,
    bias dBias: UnsafeMutablePointer<Float>? = nil, _ scratch: Scratch<Float>
  ) throws(RecurrentError) -> Sequences<Float> {
    guard x.size == inputSize else {
      throw .shape(
        name: "the values of x in the trace", was: "\(x)",
        expected: "\(inputSize) features, as in a call of this module")
    }
    guard dy.size == outputSize, dy.steps == x.steps, dy.batchSize == x.batchSize else {
      throw .shape(
        name: "the values of dy", was: "\(dy)", expected: "[\(x.steps), \(x.batchSize), \(outputSize)], as y")
    }
    try check(weight)
    return try Sequences(
      steps: x.steps, batchSize: x.batchSize, size: inputSize, lengths: x.lengths, writesAll: true
    ) { dx throws(RecurrentError) in
      x.values.withUnsafeBufferPointer { x0 in
        dy.values.withUnsafeBufferPointer { dy in
          weight.values.withUnsafeBufferPointer { weight in
            backward(
              x: x0.baseAddress!, dy: dy.baseAddress!, rows: x.steps * x.batchSize, weight: weight.baseAddress!,
              dx: dx.baseAddress!, dWeight: dWeight, dBias: dBias, scratch: scratch)
          }
        }
      }
    }
  }

  private func check(_ weight: Named) throws(RecurrentError) {
    try checkCount(weight.name, weight.values.count, is: outputSize * inputSize, "\(outputSize)·\(inputSize)")
  }
}
