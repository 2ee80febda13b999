import Recurrent

/// Reads labels out of the logits of a model that `CTCLoss` has trained.
public struct CTCDecoder: Sendable, Equatable {
  /// Labels that the steps may spell.
  public struct Reading: Sendable, Equatable {
    /// The labels, without blanks.
    public let labels: [Int]
    /// log of the sum of the probabilities of all paths that spell them and that the search has kept.
    public let logProbability: Double
  }

  /// The class that stands for no label.
  public var blank: Int

  /// - Parameter blank: the class that stands for no label, 0 to C - 1.
  public init(blank: Int = 0) { self.blank = blank }

  /// Takes the most probable class at each step. This is fast, but it may miss the most probable labels, because their
  /// probability is a sum over many paths.
  ///
  /// - Parameters:
  ///   - logits: [T,N,C]
  ///   - lengths: [N], each from 0 to T; nil means those of the logits.
  /// - Returns: the labels of each sequence.
  /// - Throws: `RecurrentError` if the blank is no class, a length is wrong, or logits have no probabilities.
  public func greedy(_ logits: Sequences<Float>, lengths: [Int]? = nil) throws(RecurrentError) -> [[Int]] {
    let lengths = try check(logits, lengths)
    return (0..<logits.batchSize).map { sequence in
      var labels: [Int] = [], last = blank
      for step in 0..<lengths[sequence] {
        let row = logits[step, sequence], symbol = row.indexOfLargest - row.startIndex
        if symbol != last, symbol != blank { labels.append(symbol) }
        last = symbol
      }
      return labels
    }
  }

  /// Searches for the most probable labels. It keeps `width` prefixes at each step and adds up the probabilities of all
  /// paths to each prefix.
  ///
  /// - Parameters:
  ///   - logits: [T,N,C]
  ///   - width: how many prefixes are kept, at least 1. A width beyond all prefixes makes the search exact.
  ///   - lengths: [N], each from 0 to T; nil means those of the logits.
  /// - Returns: for each sequence up to `width` readings, the most probable one first.
  /// - Throws: `RecurrentError` if the width is 0, the blank is no class, a length is wrong, or logits have no
  ///   probabilities.
  public func beam(
    _ logits: Sequences<Float>, width: Int, lengths: [Int]? = nil
  ) throws(RecurrentError) -> [[Reading]] {
    let lengths = try check(logits, lengths)
    guard width >= 1 else { throw .size(name: "width", was: width, expected: "at least 1") }
    return (0..<logits.batchSize).map { sequence in
      var search = PrefixSearch(blank: blank)
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
    for sequence in 0..<logits.batchSize {
      for step in 0..<lengths[sequence] {
        let row = logits[step, sequence]
        if row.contains(where: { $0.isNaN || $0 == .infinity }) || row.allSatisfy({ $0 == -.infinity }) {
          throw .value(
            name: "step \(step) of sequence \(sequence)", was: "without probabilities",
            expected: "logits without NaN or +∞, of which one is above -∞")
        }
      }
    }
    return lengths
  }
}

/// A search over prefixes of labels, which are the nodes of a tree.
private struct PrefixSearch {
  private struct Node {
    let parent: Int
    /// -1 at the root.
    let label: Int
    var children: [Int: Int] = [:]
  }
  /// log of the probabilities of all paths to a prefix that end with a blank, or with its last label.
  private struct Score {
    var blank = -Double.infinity, label = -Double.infinity
    var both: Double { logSum(blank, label) }
  }

  /// A prefix after a step. Only those that are kept get a node.
  private struct Candidate: Hashable {
    let node: Int
    /// The label behind the node's prefix; -1 if the prefix is the node's own.
    let label: Int
  }

  private let blank: Int
  private var nodes = [Node(parent: 0, label: -1)]
  private var kept: [(node: Int, score: Score)] = [(0, Score(blank: 0))]

  init(blank: Int) { self.blank = blank }

  mutating func read(_ logits: some Collection<Float>, width: Int) {
    let logs = logSoftmax(logits)
    var next: [Candidate: Score] = [:]
    for (node, score) in kept {
      let last = nodes[node].label, same = Candidate(node: node, label: -1)
      next[same, default: Score()].blank = logSum(next[same]?.blank ?? -.infinity, score.both + logs[blank])
      for label in logs.indices where label != blank {
        var from = score.both
        if label == last {
          // The same label again is the same position; only after a blank does it begin a new one.
          next[same, default: Score()].label = logSum(next[same]?.label ?? -.infinity, score.label + logs[label])
          from = score.blank
        }
        guard from > -.infinity else { continue }
        let child = nodes[node].children[label].map { Candidate(node: $0, label: -1) }
        let longer = child ?? Candidate(node: node, label: label)
        next[longer, default: Score()].label = logSum(next[longer]?.label ?? -.infinity, from + logs[label])
      }
    }
    // The candidate breaks ties, so that equal inputs give equal readings.
    let sorted = next.sorted {
      $0.value.both != $1.value.both
        ? $0.value.both > $1.value.both : ($0.key.node, $0.key.label) < ($1.key.node, $1.key.label)
    }
    kept = sorted.prefix(width).map { candidate, score in
      (candidate.label < 0 ? candidate.node : child(of: candidate.node, candidate.label), score)
    }
  }

  private mutating func child(of node: Int, _ label: Int) -> Int {
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
