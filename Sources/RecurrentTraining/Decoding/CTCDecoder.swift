import Foundation
import Recurrent

/// Reads labels out of the logits of a model that `CTCLoss` has trained.
public struct CTCDecoder: Sendable, Equatable {
  /// Labels that the steps may spell.
  public struct Reading: Sendable, Equatable {
    /// The labels, without blanks.
    public let labels: [Int]
    /// log of the sum of the probabilities of all ways to spell them that the search has kept.
    public let logProbability: Double
  }

  /// The class that stands for no label.
  public var blank: Int

  /// - Parameter blank: the class that stands for no label, 0 to C - 1.
  public init(blank: Int = 0) { self.blank = blank }

  /// The labels of the most probable class at each step: fast, but the most probable labels may have many less probable
  /// ways.
  ///
  /// - Parameters:
  ///   - logits: [T,N,C]
  ///   - lengths: [N], each from 0 to T; nil means those of the logits.
  /// - Returns: the labels of each sequence.
  /// - Throws: `RecurrentError` if the blank is no class or a length is wrong.
  public func greedy(_ logits: Sequences<Float>, lengths: [Int]? = nil) throws(RecurrentError) -> [[Int]] {
    let lengths = try check(logits, lengths)
    return (0..<logits.batchSize).map { sequence in
      var labels: [Int] = [], last = blank
      for step in 0..<lengths[sequence] {
        let row = Array(logits[step, sequence]), symbol = row.indices.reduce(0) { row[$1] > row[$0] ? $1 : $0 }
        if symbol != last, symbol != blank { labels.append(symbol) }
        last = symbol
      }
      return labels
    }
  }

  /// The most probable labels, by a search that keeps `width` beginnings at each step and adds up all ways to spell each
  /// of them.
  ///
  /// - Parameters:
  ///   - logits: [T,N,C]
  ///   - width: how many beginnings are kept, at least 1. A width beyond all beginnings makes the search exact.
  ///   - lengths: [N], each from 0 to T; nil means those of the logits.
  /// - Returns: for each sequence up to `width` readings, the most probable one first.
  /// - Throws: `RecurrentError` if the width is 0, the blank is no class or a length is wrong.
  public func beam(
    _ logits: Sequences<Float>, width: Int, lengths: [Int]? = nil
  ) throws(RecurrentError) -> [[Reading]] {
    let lengths = try check(logits, lengths)
    guard width >= 1 else { throw .size(name: "width", was: width, expected: "at least 1") }
    return (0..<logits.batchSize).map { sequence in
      var search = BeamSearch(blank: blank)
      for step in 0..<lengths[sequence] { search.read(logits[step, sequence], width: width) }
      return search.readings
    }
  }

  private func check(_ logits: Sequences<Float>, _ lengths: [Int]?) throws(RecurrentError) -> [Int] {
    guard (0..<logits.size).contains(blank) else {
      throw .size(name: "blank", was: blank, expected: "0 to \(logits.size - 1)")
    }
    let lengths = lengths ?? logits.lengths ?? Array(repeating: logits.steps, count: logits.batchSize)
    try checkLengths(lengths.span, steps: logits.steps, batchSize: logits.batchSize)
    return lengths
  }
}

/// A search over beginnings of labels, which are the nodes of a tree.
private struct BeamSearch {
  private struct Node {
    let parent: Int
    /// -1 at the root.
    let label: Int
    var children: [Int: Int] = [:]
  }
  /// log of the probabilities of all ways to spell a beginning that end with a blank, or with its last label.
  private struct Score {
    var blank = -Double.infinity, label = -Double.infinity
    var both: Double { logSum(blank, label) }
  }

  private let blank: Int
  private var nodes = [Node(parent: 0, label: -1)]
  private var kept: [(node: Int, score: Score)] = [(0, Score(blank: 0))]

  init(blank: Int) { self.blank = blank }

  mutating func read(_ logits: some Collection<Float>, width: Int) {
    let largest = Double(logits.max() ?? 0), logTotal = log(logits.reduce(0.0) { $0 + exp(Double($1) - largest) })
    let logs = logits.map { Double($0) - largest - logTotal }
    var next: [Int: Score] = [:]
    for (node, score) in kept {
      let last = nodes[node].label
      next[node, default: Score()].blank = logSum(next[node]?.blank ?? -.infinity, score.both + logs[blank])
      for label in logs.indices where label != blank {
        var from = score.both
        if label == last {
          // The same label again is the same place; only after a blank does it begin a new one.
          next[node, default: Score()].label = logSum(next[node]?.label ?? -.infinity, score.label + logs[label])
          from = score.blank
        }
        guard from > -.infinity else { continue }
        let child = child(of: node, label)
        next[child, default: Score()].label = logSum(next[child]?.label ?? -.infinity, from + logs[label])
      }
    }
    // The node breaks ties, so that equal inputs give equal readings.
    kept = next.map { (node: $0.key, score: $0.value) }.sorted {
      $0.score.both != $1.score.both ? $0.score.both > $1.score.both : $0.node < $1.node
    }
    if kept.count > width { kept.removeLast(kept.count - width) }
  }

  private mutating func child(of node: Int, _ label: Int) -> Int {
    if let child = nodes[node].children[label] { return child }
    nodes.append(Node(parent: node, label: label))
    nodes[node].children[label] = nodes.count - 1
    return nodes.count - 1
  }

  var readings: [CTCDecoder.Reading] {
    kept.map { node, score in
      var labels: [Int] = [], node = node
      while node != 0 {
        labels.append(nodes[node].label)
        node = nodes[node].parent
      }
      return CTCDecoder.Reading(labels: labels.reversed(), logProbability: score.both)
    }
  }
}
