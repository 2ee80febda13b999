import Recurrent

/// A decoder that writes step by step. The stream owns its state and all its buffers, so a step allocates nothing.
///
/// A row is one sequence that the stream writes. Each of N sources has one row or more: a beam search has a row for
/// each sequence that it follows. The rows of a source lie next to each other.
public final class DecoderStream {
  /// N: the number of sources.
  public let batchSize: Int
  /// The number of rows of each source.
  public let beams: Int
  /// V: the number of symbols.
  public let symbols: Int
  /// How many steps have run.
  public private(set) var steps = 0
  private let embedding: Embedding
  private let layer: RecurrentStream<Float>
  private let attention: AttentionStream?
  private let head: PackedLinear
  private let feedsInput: Bool
  /// [rows, inputs of the layer]
  private let x: AlignedBuffer<Float>
  /// [rows, H]: h, or the output of the attention.
  private let y: AlignedBuffer<Float>
  /// [rows, H]: room to reorder them.
  private let moved: AlignedBuffer<Float>
  /// [rows, V]
  private let output: AlignedBuffer<Float>

  /// The number of rows of all sources.
  public var rows: Int { batchSize * beams }

  /// - Parameters:
  ///   - decoder: as it is now; later changes of the model do not reach the stream.
  ///   - initial: [L,N,H]: the state before the first step of each source.
  ///   - memory: [S,N,C], with lengths; not read without attention.
  ///   - beams: the number of rows of each source.
  /// - Throws: `RecurrentError` if `beams` is not positive, if the state or the memory does not fit, or if a source's
  ///   memory is empty.
  public init(
    _ decoder: RecurrentDecoder, initial: State<Float>, memory: Sequences<Float>? = nil, beams: Int = 1
  ) throws(RecurrentError) {
    let layer = decoder.layer, perSource = layer.layerCount * layer.hiddenSize
    try decoder.checkParts()
    guard beams >= 1 else { throw .size(name: "beams", was: beams, expected: "at least 1") }
    batchSize = max(1, initial.h.count / perSource)
    let shape = "\(layer.layerCount)·\(batchSize)·\(layer.hiddenSize)", batchSize = batchSize
    try checkCount("h of the initial state", initial.h.count, is: perSource * batchSize, shape)
    if !initial.c.isEmpty { try checkCount("c of the initial state", initial.c.count, is: initial.h.count, shape) }
    let rows = try checkedCount(("sources", batchSize), ("beams", beams))
    _ = try checkedCount(("rows", rows), ("symbols", decoder.embedding.symbols))
    self.beams = beams
    symbols = decoder.embedding.symbols
    embedding = decoder.embedding
    feedsInput = decoder.feedsInput
    self.layer = try layer.stream(batchSize: rows)
    func repeated(_ values: [Float]) -> [Float] {
      (0..<values.count / layer.hiddenSize).flatMap { vector in
        (0..<beams).flatMap { _ in values[vector * layer.hiddenSize..<(vector + 1) * layer.hiddenSize] }
      }
    }
    try self.layer.setState(State(h: repeated(initial.h), c: repeated(initial.c)))
    if let attention = decoder.attention {
      guard let memory else {
        throw .value(name: "the decoder's memory", was: "nil", expected: "one, because the decoder has an attention")
      }
      guard memory.batchSize == batchSize else {
        throw .size(
          name: "the number of sequences of the memory", was: memory.batchSize,
          expected: "\(batchSize), as of the state")
      }
      self.attention = try AttentionStream(attention, memory, beams: beams)
    } else {
      attention = nil
    }
    head = try PackedLinear(decoder.head, rows: rows)
    x = AlignedBuffer(count: rows * layer.inputSize)
    y = AlignedBuffer(count: rows * layer.hiddenSize)
    moved = AlignedBuffer(count: y.count)
    output = AlignedBuffer(count: rows * symbols)
  }

  /// Runs one step of every row, which reads the given symbol. Its logits are then those of the next symbol.
  ///
  /// From the step on at which the attention's window has left a source's memory, its context is zero: other sources
  /// may still go on.
  ///
  /// - Parameter symbols: [rows], each 0 to V - 1.
  /// - Throws: `RecurrentError` if a symbol is out of its range or the count is wrong. Nothing has changed then.
  public func step(_ symbols: Span<Int>) throws(RecurrentError) {
    try checkCount("symbols", symbols.count, is: rows, "\(batchSize)·\(beams)")
    for row in symbols.indices where !(0..<self.symbols).contains(symbols[row]) {
      throw .size(
        name: "the symbol of row \(row) of step \(steps)", was: symbols[row], expected: "0 to \(self.symbols - 1)")
    }
    let inputs = layer.layer.inputSize, hidden = layer.layer.hiddenSize, size = embedding.size
    embedding.weight.withUnsafeBufferPointer { weight in
      for row in symbols.indices {
        (x.start + row * inputs).update(from: weight.baseAddress! + symbols[row] * size, count: size)
        if feedsInput { (x.start + row * inputs + size).update(from: y.start + row * hidden, count: hidden) }
      }
    }
    try layer.process(
      UnsafeBufferPointer(start: x.start, count: x.count), steps: 1,
      into: UnsafeMutableBufferPointer(start: y.start, count: y.count))
    try attention?.step(steps, y.start)
    head.run(y.start, into: output.start)
    steps += 1
  }

  /// The logits [V] of a row after the last step. The next step overwrites them.
  ///
  /// - Parameter row: 0 to `rows` - 1.
  public func withLogits<Result, Failure: Error>(
    row: Int, _ body: (UnsafeBufferPointer<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    precondition((0..<rows).contains(row), "the row must be one of the stream's \(rows)")
    return try body(UnsafeBufferPointer(start: output.start + row * symbols, count: symbols))
  }

  /// The symbol with the largest logit of a row after the last step; the first one of equal logits.
  ///
  /// - Parameter row: 0 to `rows` - 1.
  /// - Throws: `RecurrentError.value` if the logits give no probabilities.
  public func mostProbable(row: Int) throws(RecurrentError) -> Int {
    try withLogits(row: row) { logits throws(RecurrentError) in
      let best = logits.indexOfLargest
      guard logits[best].isFinite, !logits.contains(where: \.isNaN) else { throw withoutProbabilities(row: row) }
      return best
    }
  }

  /// What is wrong with a row whose logits in the last step give no probabilities.
  func withoutProbabilities(row: Int) -> RecurrentError {
    .value(
      name: "step \(steps - 1) of source \(row / beams)", was: "without probabilities",
      expected: "logits without NaN or +∞, of which one is above -∞")
  }

  /// Lets each row go on from the state of a row of its own source, such as itself.
  ///
  /// - Parameter parents: [rows]: the number of the row whose state each row takes.
  /// - Throws: `RecurrentError` if a row does not exist or belongs to another source. Nothing has changed then.
  public func reorder(_ parents: Span<Int>) throws(RecurrentError) {
    try checkCount("parents", parents.count, is: rows, "\(batchSize)·\(beams)")
    for row in parents.indices {
      let first = row / beams * beams
      guard (first..<first + beams).contains(parents[row]) else {
        throw .size(
          name: "parents[\(row)]", was: parents[row], expected: "\(first) to \(first + beams - 1), a row of its source")
      }
    }
    try layer.reorder(parents)
    guard feedsInput else { return }
    let hidden = layer.layer.hiddenSize
    for row in parents.indices {
      (moved.start + row * hidden).update(from: y.start + parents[row] * hidden, count: hidden)
    }
    y.start.update(from: moved.start, count: y.count)
  }

  /// The weights [S] that a row gave to the steps of its source's memory in the last step; nil without attention.
  ///
  /// - Parameter row: 0 to `rows` - 1.
  public func weights(row: Int) -> [Float]? {
    precondition((0..<rows).contains(row), "the row must be one of the stream's \(rows)")
    return attention?.weights(row: row)
  }
}
