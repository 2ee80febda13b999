import CRecurrentKernels
import Recurrent

/// The attentional output of a decoder that runs step by step: the memory is packed once for all steps, and a step
/// allocates nothing. The bits are those of `AttentionalOutput`.
final class AttentionStream {
  /// One source's memory, as the products read it.
  private struct Source {
    /// S: the source's own length.
    let keys: Int
    /// The keys as panels of steps, for the products with queries; nil for additive scores.
    let keyPanels: AlignedBuffer<Float>?
    /// The values as panels of features, for the sums.
    let valuePanels: AlignedBuffer<Float>
  }

  private let products: AttentionProducts
  private let beams: Int
  private let hiddenSize: Int
  private let valueSize: Int
  /// The number of steps of the longest memory.
  private let steps: Int
  private let scale: Float
  private var sources: [Source] = []
  /// Projects the queries; nil for dot scores.
  private let query: PackedLinear?
  private let combine: PackedLinear
  /// The network of additive scores; nil for other scores.
  private let additive: AdditiveAttention?
  /// Predicts where each query looks; nil if windows follow the steps.
  private let positions: PositionStream?
  /// [S,N,A]: the projected keys of additive scores.
  private var keys: Sequences<Float>?
  /// [rows][size of the keys]
  private let queries: AlignedBuffer<Float>
  /// [rows][S]
  private let scores: AlignedBuffer<Float>
  /// [rows of a source][Cv]
  private let context: AlignedBuffer<Float>
  /// [rows][Cv + H]
  private let joined: AlignedBuffer<Float>
  /// [rows of a source][size of the keys or S, whichever is larger]: the left operand of a product, packed.
  private let tiles: AlignedBuffer<Float>
  /// [rows of a source][P]: the last panel of a product, if it is wider than what is left of the result.
  private let rest: AlignedBuffer<Float>
  /// [S][A]: the values of the network of additive scores for one query.
  private let hidden: AlignedBuffer<Float>

  /// - Parameters:
  ///   - memory: [S,N,C], with lengths.
  ///   - beams: the rows of each source.
  /// - Throws: `RecurrentError` if the memory has another size, if a source's memory is empty, or if the attention's
  ///   window is negative.
  init(_ output: AttentionalOutput, _ memory: Sequences<Float>, beams: Int) throws(RecurrentError) {
    let rows = memory.batchSize * beams, attention = output.attention
    try attention.window.checkDistance()
    hiddenSize = output.combine.outputSize
    valueSize = output.combine.inputSize - hiddenSize
    guard memory.size == valueSize else {
      throw .size(name: "the size of the memory", was: memory.size, expected: "\(valueSize), as of the attention")
    }
    for source in 0..<memory.batchSize where memory.length(source) == 0 {
      throw .size(
        name: "the number of keys of sequence \(source)", was: 0, expected: "at least 1: the source is empty")
    }
    var keySize = memory.size, scale: Float = 1
    switch attention {
    case .dot(let dot):
      (query, additive, positions) = (nil, nil, nil)
      scale = dot.scale(keySize: keySize)
    case .general(let general):
      query = try general.packedQuery(rows: rows)
      (additive, positions) = (nil, nil)
    case .additive(let network):
      query = try network.packedQuery(rows: rows)
      (additive, positions) = (network, nil)
      keySize = network.size
      keys = try network.projectedKeys(memory, Scratch())
    case .predictive(let network):
      query = try network.packedQuery(rows: rows)
      (additive, positions) = (nil, try PositionStream(network, rows: rows))
    }
    self.beams = beams
    self.scale = scale
    steps = memory.steps
    products = AttentionProducts(
      products: try Products<Float>(nil), keySize: keySize, valueSize: valueSize, window: attention.window)
    combine = try PackedLinear(output.combine, rows: rows)
    queries = AlignedBuffer(count: rows * keySize)
    scores = AlignedBuffer(count: rows * steps)
    context = AlignedBuffer(count: beams * valueSize)
    joined = AlignedBuffer(count: rows * (valueSize + hiddenSize))
    tiles = AlignedBuffer(count: beams * max(keySize, steps))
    rest = AlignedBuffer(count: beams * products.products.width)
    hidden = AlignedBuffer(count: additive == nil ? 0 : steps * keySize)
    for source in 0..<memory.batchSize { sources.append(pack(memory, source)) }
  }

  private func pack(_ memory: Sequences<Float>, _ source: Int) -> Source {
    let keys = memory.length(source), size = memory.size, products = products.products, width = products.width
    let valuePanels = AlignedBuffer<Float>(count: products.panels(size) * width * keys)
    let keyPanels = additive == nil ? AlignedBuffer<Float>(count: products.panels(keys) * width * size) : nil
    memory.values.withUnsafeBufferPointer { values in
      let matrix = AttentionMatrix(values.baseAddress! + source * size, stride: memory.batchSize * size)
      products.packPanels(
        columnsOf: matrix.start, units: size, depth: keys, stride: matrix.stride, panelStride: keys * width,
        into: valuePanels.start)
      guard let keyPanels else { return }
      products.packPanels(
        rowsOf: matrix.start, units: keys, depth: size, stride: matrix.stride, panelStride: size * width,
        into: keyPanels.start)
    }
    return Source(keys: keys, keyPanels: keyPanels, valuePanels: valuePanels)
  }

  /// Computes the outputs of a step.
  ///
  /// - Parameters:
  ///   - step: the number of the step, for windows.
  ///   - h: [rows, H], read, and overwritten by the outputs.
  func step(_ step: Int, _ h: UnsafeMutablePointer<Float>) throws(RecurrentError) {
    let rows = sources.count * beams
    if let query { query.run(h, into: queries.start) } else { queries.start.update(from: h, count: rows * hiddenSize) }
    try positions?.read(h)
    for source in sources.indices {
      let keys = sources[source].keys, first = source * beams, weights = scores.start + first * steps
      score(source, into: weights)
      for row in 0..<beams {
        try normalize(weights + row * keys, keys: keys, step: step, source: source, row: first + row)
      }
      multiply(
        weights, depth: keys, by: sources[source].valuePanels.start, units: valueSize, into: context.start)
      for row in 0..<beams {
        let target = joined.start + (first + row) * (valueSize + hiddenSize)
        target.update(from: context.start + row * valueSize, count: valueSize)
        (target + valueSize).update(from: h + (first + row) * hiddenSize, count: hiddenSize)
      }
    }
    combine.run(joined.start, into: h)
    try Activation.tanh.apply(to: UnsafeMutableBufferPointer(start: h, count: rows * hiddenSize))
  }

  /// Turns the scores [S] of a row into its weights.
  private func normalize(
    _ weights: UnsafeMutablePointer<Float>, keys: Int, step: Int, source: Int, row: Int
  ) throws(RecurrentError) {
    guard let positions else {
      return softmax(weights, keys: keys, in: products.window.range(query: step, keys: keys))
    }
    let position = try positions.position(row: row, keys: keys, step: step, source: source)
    softmax(weights, keys: keys, in: positions.window.range(around: position, keys: keys))
    positions.window.weigh(weights, keys: keys, position: position)
  }

  /// The weights [S] of the keys in a window; all zero if it has moved past the source.
  private func softmax(_ weights: UnsafeMutablePointer<Float>, keys: Int, in window: Range<Int>) {
    guard !window.isEmpty else { return weights.update(repeating: 0, count: keys) }
    products.exclude(weights, count: keys, outside: window)
    softmax_rows(products.products.set, weights, 1, keys, keys)
  }

  /// The scores [rows of a source][S].
  private func score(_ source: Int, into weights: UnsafeMutablePointer<Float>) {
    let size = products.keySize, keys = sources[source].keys
    let queries = queries.start + source * beams * size
    guard let additive, let projected = self.keys else {
      multiply(queries, depth: size, by: sources[source].keyPanels!.start, units: keys, into: weights)
      for index in 0..<beams * keys { weights[index] *= scale }
      return
    }
    projected.values.withUnsafeBufferPointer { values in
      let matrix = AttentionMatrix(values.baseAddress! + source * size, stride: projected.batchSize * size)
      for row in 0..<beams {
        additive.scores(
          of: queries + row * size, matrix, 0..<keys, hidden: hidden.start, into: weights + row * keys)
      }
    }
  }

  /// target [rows of a source][units] = rows [depth]·panels.
  private func multiply(
    _ rows: UnsafePointer<Float>, depth: Int, by panels: UnsafePointer<Float>, units: Int,
    into target: UnsafeMutablePointer<Float>
  ) {
    let products = products.products, tiling = products.tiles(beams)
    products.packRows(rows, tiling, stride: depth, depth: depth, into: tiles.start)
    products.multiply(
      tiles: tiles.start, tiling, depth: depth, panels: panels, panelStride: depth * products.width, into: target,
      units: units, rest: rest.start)
  }

  /// The weights [S] of a row in the last step.
  func weights(row: Int) -> [Float] {
    let source = row / beams, keys = sources[source].keys
    let start = scores.start + source * beams * steps + row % beams * keys
    return (0..<keys).map { start[$0] }
  }
}
