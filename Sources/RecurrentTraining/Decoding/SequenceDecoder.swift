import Foundation
import Recurrent

/// Writes the targets of a stream's sources, from a start symbol to an end symbol or to the largest length.
///
///     let decoder = SequenceDecoder(start: 0, end: 1, longest: 40)
///     let greedy = try decoder.greedy(model.stream(source))
///     let readings = try decoder.beam(model.stream(source, beams: 5))
public struct SequenceDecoder: Sendable, Equatable {
  /// A target that a search has found.
  public struct Reading: Sendable, Equatable {
    /// The symbols, without start and end.
    public let symbols: [Int]
    /// The natural logarithm of the probability of the symbols and, if the reading is complete, of the end symbol.
    public let logProbability: Double
    /// The log probability divided by a power of the length: what readings are sorted by.
    public let score: Double
    /// Whether the end symbol was written.
    public let isComplete: Bool
  }

  /// The symbol that the decoder reads first.
  public var start: Int
  /// The symbol that ends a target.
  public var end: Int
  /// The largest number of symbols that are written, the end symbol included.
  public var longest: Int
  /// A reading's score is its log probability divided by its length (with the end) to this power. 0 prefers short
  /// readings; 1 compares the mean over the symbols.
  public var lengthPower: Double

  /// Each parameter is explained at its property.
  public init(start: Int, end: Int, longest: Int, lengthPower: Double = 1) {
    self.start = start
    self.end = end
    self.longest = longest
    self.lengthPower = lengthPower
  }

  /// Takes the most probable symbol at each step.
  ///
  /// - Parameter stream: a stream that has not run, with one row for each source.
  /// - Returns: the symbols of each source, without start and end.
  /// - Throws: `RecurrentError` if a number of the decoder is out of its range, if the stream has several rows for each
  ///   source or has run, or if logits have no probabilities.
  public func greedy(_ stream: DecoderStream) throws(RecurrentError) -> [[Int]] {
    try check(stream)
    guard stream.beams == 1 else { throw .size(name: "the stream's beams", was: stream.beams, expected: "1") }
    var last = Array(repeating: start, count: stream.rows), texts: [[Int]] = last.map { _ in [] }
    while stream.steps < longest, last.contains(where: { $0 != end }) || stream.steps == 0 {
      let ended = last.map { $0 == end && stream.steps > 0 }
      try stream.step(last.span)
      for row in last.indices {
        last[row] = ended[row] ? end : try stream.mostProbable(row: row)
        if last[row] != end { texts[row].append(last[row]) }
      }
    }
    return texts
  }

  /// Follows the most probable sequences of each source, as many as the stream has rows for a source.
  ///
  /// - Parameter stream: a stream that has not run.
  /// - Returns: for each source at most that many readings, the one with the best score first.
  /// - Throws: `RecurrentError` if a number of the decoder is out of its range, if the stream has run, or if logits
  ///   have no probabilities.
  public func beam(_ stream: DecoderStream) throws(RecurrentError) -> [[Reading]] {
    let search = try BeamSearch(stream, self)
    while try search.step() {}
    return search.readings
  }

  func check(_ stream: DecoderStream) throws(RecurrentError) {
    for (name, symbol) in [("the start symbol", start), ("the end symbol", end)]
    where !(0..<stream.symbols).contains(symbol) {
      throw .size(name: name, was: symbol, expected: "0 to \(stream.symbols - 1)")
    }
    guard longest >= 1 else { throw .size(name: "longest", was: longest, expected: "at least 1") }
    try checkNumber("lengthPower", lengthPower, lengthPower >= 0 && lengthPower.isFinite, "0 or more")
    guard stream.steps == 0 else {
      throw .size(name: "the stream's steps", was: stream.steps, expected: "0: a search needs a new stream")
    }
  }
}
