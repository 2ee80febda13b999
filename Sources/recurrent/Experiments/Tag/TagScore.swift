import Recurrent
import RecurrentTraining

/// How well labels were found: over all words, for capitals, and for each mark.
struct TagScore: Sendable {
  struct Class: Sendable {
    var found = 0, wrong = 0, missed = 0
    var count: Int { found + missed }
    var precision: Double { Double(found) / Double(found + wrong) }
    var recall: Double { Double(found) / Double(count) }
    /// The harmonic mean of precision and recall, 0 if nothing was found.
    var f1: Double { 2 * Double(found) / Double(max(1, 2 * found + wrong + missed)) }
  }

  /// "capital", and then each mark.
  static let classes = ["capital"] + Tag.marks.dropFirst()

  private(set) var classes = Array(repeating: Class(), count: TagScore.classes.count)
  private var right = 0, words = 0

  /// The fraction of the words whose case and mark are both right.
  var accuracy: Double { Double(right) / Double(words) }
  /// The mean of the F1 of the classes that occur.
  var f1: Double {
    let occurring = classes.filter { $0.count > 0 }
    return occurring.reduce(0) { $0 + $1.f1 } / Double(max(1, occurring.count))
  }

  mutating func add(_ guess: Tag, _ truth: Tag) {
    words += 1
    right += guess == truth ? 1 : 0
    for index in classes.indices {
      let isGuessed = index == 0 ? guess.isCapital : guess.mark == index
      let isTrue = index == 0 ? truth.isCapital : truth.mark == index
      switch (isGuessed, isTrue) {
      case (true, true): classes[index].found += 1
      case (true, false): classes[index].wrong += 1
      case (false, true): classes[index].missed += 1
      case (false, false): break
      }
    }
  }
}

/// Guesses that need no model: the most frequent label of all, or that of each word.
struct TagBaseline {
  /// The most frequent label of the training part.
  let common: Int
  /// The most frequent label of each word; of an unknown word, that of all unknown words.
  private let ofWords: [Int]

  init(_ data: TagData) {
    var counts = Array(repeating: Array(repeating: 0, count: Tag.count), count: data.vocabulary.count)
    for (words, labels) in zip(data.training.words, data.training.labels) {
      for (word, label) in zip(words, labels) { counts[word][label] += 1 }
    }
    let common = (0..<Tag.count).map { label in counts.reduce(0) { $0 + $1[label] } }.indexOfLargest
    self.common = common
    ofWords = counts.map { $0.contains { $0 > 0 } ? $0.indexOfLargest : common }
  }

  /// The scores of the most frequent label, and of that of each word.
  func scores(_ part: TagData.Part) -> (common: TagScore, words: TagScore) {
    var scores = (common: TagScore(), words: TagScore())
    for (words, labels) in zip(part.words, part.labels) {
      for (word, label) in zip(words, labels) {
        scores.common.add(Tag(label: common), Tag(label: label))
        scores.words.add(Tag(label: ofWords[word]), Tag(label: label))
      }
    }
    return scores
  }
}

// A tagger is any model that gives a logit for each label at each word.
extension Module where Input == Tokens, Output == Sequences<Float> {
  /// The mean loss of the words of a part, and the score of the most probable labels.
  func score(_ part: TagData.Part) throws(RecurrentError) -> (loss: Double, score: TagScore) {
    let workspace = Workspace(isTraining: false)
    var loss = 0.0, score = TagScore()
    let sorted = part.words.indices.sorted { part.words[$0].count < part.words[$1].count }
    for start in stride(from: 0, to: sorted.count, by: 64) {
      let numbers = Array(sorted[start..<min(sorted.count, start + 64)]), batch = try part.batch(numbers)
      let logits = try self(batch.tokens, workspace).0
      for (sequence, number) in numbers.enumerated() {
        for (step, label) in part.labels[number].enumerated() {
          score.add(Tag(logits[step, sequence]), Tag(label: label))
        }
      }
      let share = Double(numbers.reduce(0) { $0 + part.words[$1].count }) / Double(part.wordCount)
      loss += share * (try SoftmaxCrossEntropy()(logits, batch.labels).loss)
    }
    return (loss, score)
  }

  /// The most probable tags of words.
  func tags(of words: [Int]) throws(RecurrentError) -> [Tag] {
    let logits = try self(Tokens(padding: [words]), Workspace(isTraining: false)).0
    return words.indices.map { Tag(logits[$0, 0]) }
  }
}

extension Tag {
  /// The tag of the largest of a word's logits.
  init(_ logits: ArraySlice<Float>) {
    self.init(label: logits.indexOfLargest - logits.startIndex)
  }
}
