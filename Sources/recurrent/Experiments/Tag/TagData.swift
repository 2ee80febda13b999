import Recurrent
import RecurrentTraining
import ToolSupport

/// The case and the punctuation mark that a word had before the text lost both.
struct Tag: Sendable, Hashable {
  /// What may follow a word; the first is no mark.
  static let marks = ["", ",", ".", ";", ":", "?", "!"]
  /// The number of different labels.
  static let count = 2 * marks.count

  /// Whether the word begins with a capital letter.
  var isCapital = false
  /// The position in `marks` of what follows the word.
  var mark = 0

  /// The label of a model: one for each pair of mark and case.
  var label: Int { (isCapital ? Tag.marks.count : 0) + mark }

  init(isCapital: Bool, mark: Int = 0) {
    self.isCapital = isCapital
    self.mark = mark
  }
  init(label: Int) { self.init(isCapital: label >= Tag.marks.count, mark: label % Tag.marks.count) }

  /// The word as the text had it.
  func restored(_ word: String) -> String {
    (isCapital ? word.prefix(1).uppercased() + word.dropFirst() : word) + Tag.marks[mark]
  }
}

/// A text's words in lower case, with the tag of each.
struct TaggedText: Sendable {
  /// A paragraph, or some words of a long one.
  struct Passage: Sendable {
    var words: [String] = []
    var tags: [Tag] = []
  }

  /// The largest number of words in a passage.
  static let longest = 100

  private(set) var passages: [Passage] = []

  /// Blank lines divide the text into passages.
  init(_ text: String) {
    let tokenizer = WordTokenizer(lowercases: false)
    var paragraph = ""
    func passages(of paragraph: String) -> [Passage] {
      var passages: [Passage] = []
      for word in tokenizer.words(of: paragraph) {
        if let first = word.first, first.isLetter || first.isNumber || first == "_" {
          if passages.isEmpty || passages[passages.count - 1].words.count == TaggedText.longest {
            passages.append(Passage())
          }
          passages[passages.count - 1].words.append(word.lowercased())
          passages[passages.count - 1].tags.append(Tag(isCapital: first.isUppercase))
        } else if let mark = Tag.marks.firstIndex(of: word), !passages.isEmpty {
          // Of several marks, such as "!?", the first one counts.
          let last = passages[passages.count - 1].tags.count - 1
          if passages[passages.count - 1].tags[last].mark == 0 { passages[passages.count - 1].tags[last].mark = mark }
        }
      }
      return passages
    }
    for line in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
      if line.allSatisfy(\.isWhitespace) {
        self.passages += passages(of: paragraph)
        paragraph = ""
      } else {
        paragraph += "\(line)\n"
      }
    }
    self.passages += passages(of: paragraph)
  }
}

/// A tagged text in three parts, with the words' numbers.
struct TagData: Sendable {
  struct Part: Sendable {
    /// The numbers of each passage's words, and their labels.
    let words: [[Int]], labels: [[Int]]
    var wordCount: Int { words.reduce(0) { $0 + $1.count } }

    init(_ passages: ArraySlice<TaggedText.Passage>, _ vocabulary: WordVocabulary) {
      words = passages.map { vocabulary.numbers(of: $0.words) }
      labels = passages.map { $0.tags.map(\.label) }
    }

    /// Some passages side by side, and their labels [T,N].
    func batch(_ numbers: [Int]) throws(RecurrentError) -> (tokens: Tokens, labels: [Int]) {
      (try Tokens(padding: numbers.map { words[$0] }), try Tokens(padding: numbers.map { labels[$0] }).symbols)
    }
  }

  /// The words that the training part has at least twice.
  let vocabulary: WordVocabulary
  let training: Part, validation: Part, heldOut: Part
  /// The first passage of the held-out part with at least 20 words, which the report shows with what the model makes of
  /// it.
  let sample: TaggedText.Passage

  /// The last tenth of the text is held out, and the tenth before it is for validation.
  ///
  /// - Throws: `ToolError` if the text is too short, and `RecurrentError` if no word comes twice.
  init(_ text: TaggedText) throws {
    let passages = text.passages, count = passages.count
    guard count >= 10 else {
      throw ToolError("the number of passages with words is \(count), expected at least 10: blank lines divide a text")
    }
    let training = passages[..<(count * 8 / 10)]
    vocabulary = try WordVocabulary(of: training.map { $0.words.joined(separator: " ") }, minimumCount: 2)
    self.training = Part(training, vocabulary)
    validation = Part(passages[(count * 8 / 10)..<(count * 9 / 10)], vocabulary)
    heldOut = Part(passages[(count * 9 / 10)...], vocabulary)
    sample = passages[(count * 9 / 10)...].first { $0.words.count >= 20 } ?? passages[count - 1]
  }
}
