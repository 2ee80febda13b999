import CRecurrentKernels
import Foundation
import Recurrent

/// A search for the most probable targets of some sources, step by step. A step allocates nothing.
///
/// It follows up to K sequences of each source, where K is the number of rows that the stream has for each source.
/// After a step, the most probable continuations of all of them are kept. A sequence that ends gives up its row, so the
/// search for a source is over when K sequences have ended. With one row, this is the greedy search.
public final class BeamSearch {
  private let stream: DecoderStream
  private let decoder: SequenceDecoder
  private let set: instruction_set
  private let beams: Int
  // One thread uses a search at a time. Checking exclusive access would take a twentieth of its time.
  /// How many steps have run.
  @exclusivity(unchecked) private var steps = 0
  /// [rows]: the symbol that each row reads next, the log of its probability so far, and its row before the last step.
  @exclusivity(unchecked) private var symbols: [Int]
  @exclusivity(unchecked) private var scores: [Double]
  @exclusivity(unchecked) private var parents: [Int]
  /// [N]: how many rows of each source are followed. They are its first rows.
  @exclusivity(unchecked) private var followed: [Int]
  /// [steps][rows]: the symbols and the parents of all steps so far.
  @exclusivity(unchecked) private var pastSymbols: [Int]
  @exclusivity(unchecked) private var pastParents: [Int]
  /// [N][K]: the sequences that have ended.
  @exclusivity(unchecked) private var endings: [Ending]
  /// [N]: how many sequences of each source have ended.
  @exclusivity(unchecked) private var ended: [Int]
  /// Why the search has ended early.
  @exclusivity(unchecked) private var failure: RecurrentError?
  /// [K]: the best continuations of a source, in descending order.
  private let best: UnsafeMutableBufferPointer<Continuation>
  /// [V]: the logits of a row, for their sum.
  private let logits: AlignedBuffer<Float>

  private struct Ending {
    /// The number of symbols before the end.
    var steps = 0
    /// The row of the last of them.
    var row = 0
    var score = 0.0
  }

  private struct Continuation {
    var score = 0.0, row = 0, symbol = 0
  }

  /// - Parameters:
  ///   - stream: a stream that has not run, with K rows for each source.
  ///   - decoder: says the start and end symbols, the largest length, and how readings are sorted.
  /// - Throws: `RecurrentError` if a number of the decoder is out of its range, or if the stream has run.
  public init(_ stream: DecoderStream, _ decoder: SequenceDecoder) throws(RecurrentError) {
    try decoder.check(stream)
    let rows = stream.rows
    let past = try checkedCount(("longest", decoder.longest), ("rows", rows), scalarBytes: 2 * MemoryLayout<Int>.size)
    self.stream = stream
    self.decoder = decoder
    set = try Processor.active.floatSet
    beams = stream.beams
    symbols = Array(repeating: decoder.start, count: rows)
    scores = Array(repeating: 0, count: rows)
    parents = Array(0..<rows)
    followed = Array(repeating: 1, count: stream.batchSize)
    pastSymbols = Array(repeating: 0, count: past)
    pastParents = pastSymbols
    endings = Array(repeating: Ending(), count: rows)
    ended = Array(repeating: 0, count: stream.batchSize)
    best = .allocate(capacity: beams)
    best.initialize(repeating: Continuation())
    logits = AlignedBuffer(count: stream.symbols)
  }

  deinit { best.deallocate() }

  /// Adds one symbol to every sequence that is followed.
  ///
  /// - Returns: whether any sequence is still followed.
  /// - Throws: `RecurrentError` if a row of logits has no probabilities: one is NaN or +∞, or all are -∞.
  public func step() throws(RecurrentError) -> Bool {
    if let failure { throw failure }
    guard steps < decoder.longest, followed.contains(where: { $0 > 0 }) else { return false }
    try symbols.withUnsafeBufferPointer { symbols throws(RecurrentError) in try stream.step(symbols.span) }
    for source in followed.indices { try continueSource(source) }
    let rows = stream.rows
    for row in 0..<rows {
      pastSymbols[steps * rows + row] = symbols[row]
      pastParents[steps * rows + row] = parents[row]
    }
    steps += 1
    guard steps < decoder.longest, followed.contains(where: { $0 > 0 }) else { return false }
    try parents.withUnsafeBufferPointer { parents throws(RecurrentError) in try stream.reorder(parents.span) }
    return true
  }

  /// Chooses the continuations of a source.
  private func continueSource(_ source: Int) throws(RecurrentError) {
    let first = source * beams, room = beams - ended[source]
    var count = 0
    for row in first..<first + followed[source] { try collect(row, room: room, &count) }
    var next = first
    for continuation in 0..<count {
      let choice = best[continuation]
      if choice.symbol == decoder.end {
        endings[first + ended[source]] = Ending(steps: steps, row: choice.row, score: choice.score)
        ended[source] += 1
      } else {
        (parents[next], symbols[next], scores[next]) = (choice.row, choice.symbol, choice.score)
        next += 1
      }
    }
    followed[source] = next - first
    // Rows that are not followed run too, so they need a valid parent and a valid symbol.
    for row in next..<first + beams { (parents[row], symbols[row]) = (first, decoder.end) }
  }

  /// Inserts the continuations of a row into the best ones, of which at most `room` are kept.
  private func collect(_ row: Int, room: Int, _ count: inout Int) throws(RecurrentError) {
    let score = scores[row], symbols = stream.symbols
    let normalizer: Double = stream.withLogits(row: row) { row in
      logits.start.update(from: row.baseAddress!, count: symbols)
      var softmax = softmax_row(
        values: logits.start, weights: nil, count: symbols, factor: 1, smoothing: 0, has_distance: false, largest: 0,
        sum: 0, distance: 0)
      softmax_run(set, &softmax)
      return Double(softmax.largest) + log(Double(softmax.sum))
    }
    guard normalizer.isFinite else {
      let error = stream.withoutProbabilities(row: row)
      failure = error
      // What is followed stands between two steps, and cannot be read.
      for source in followed.indices { followed[source] = 0 }
      throw error
    }
    let best = best
    stream.withLogits(row: row) { logits in
      // Of equal ones, the first is kept.
      var least = count < room ? -.infinity : best[room - 1].score
      for symbol in 0..<symbols {
        let candidate = score + (Double(logits[symbol]) - normalizer)
        guard candidate > least else { continue }
        count = min(count + 1, room)
        var place = count - 1
        while place > 0, best[place - 1].score < candidate {
          best[place] = best[place - 1]
          place -= 1
        }
        best[place] = Continuation(score: candidate, row: row, symbol: symbol)
        if count == room { least = best[room - 1].score }
      }
    }
  }

  /// For each source, the sequences that have ended and those that are still followed, the one with the best score
  /// first.
  public var readings: [[SequenceDecoder.Reading]] {
    followed.indices.map { source in
      let first = source * beams
      let complete = endings[first..<first + ended[source]].map { ending in
        reading(ending.row, steps: ending.steps, ending.score, isComplete: true)
      }
      let others = (first..<first + followed[source]).map { row in
        reading(row, steps: steps, scores[row], isComplete: false)
      }
      return (complete + others).enumerated().sorted {
        ($0.element.score, $1.offset) > ($1.element.score, $0.offset)
      }.map(\.element)
    }
  }

  private func reading(
    _ row: Int, steps: Int, _ score: Double, isComplete: Bool
  ) -> SequenceDecoder.Reading {
    var symbols: [Int] = [], row = row
    for step in (0..<steps).reversed() {
      let place = step * stream.rows + row
      symbols.append(pastSymbols[place])
      row = pastParents[place]
    }
    let length = Double(max(1, steps + (isComplete ? 1 : 0)))
    return SequenceDecoder.Reading(
      symbols: symbols.reversed(), logProbability: score, score: score / pow(length, decoder.lengthPower),
      isComplete: isComplete)
  }
}
