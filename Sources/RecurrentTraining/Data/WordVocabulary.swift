import Recurrent

/// The words of some texts, numbered. 0 is for padding, 1 for words that the vocabulary lacks, and words have the
/// numbers from 2, the most frequent first.
///
/// Make it from the training texts only: a vocabulary that knows the words of held-out texts makes them look easier
/// than new texts are. It can be kept in a `Checkpoint`.
public struct WordVocabulary: Sendable, Equatable {
  /// The number with which `Tokens` pads.
  public static let padding = 0
  /// The number of every word that the vocabulary lacks.
  public static let unknown = 1

  /// How texts are split into words.
  public let tokenizer: WordTokenizer
  private let numbering: Numbering<String>

  /// Counts the words of some texts and numbers them: the most frequent word first, equally frequent ones in
  /// alphabetical order.
  ///
  /// - Parameters:
  ///   - texts: the training texts.
  ///   - minimumCount: a rarer word is left out.
  ///   - maximumCount: the most numbers, those for padding and unknown words included, so that it is the V of an
  ///     embedding. The rarest words are left out. Nil for no limit.
  ///   - tokenizer: how texts are split into words.
  /// - Throws: `RecurrentError` if a limit is too small, or if no word is frequent enough.
  public init(
    of texts: some Sequence<String>, minimumCount: Int = 1, maximumCount: Int? = nil,
    tokenizer: WordTokenizer = WordTokenizer()
  ) throws(RecurrentError) {
    guard minimumCount >= 1 else { throw .size(name: "minimumCount", was: minimumCount, expected: "at least 1") }
    if let maximumCount, maximumCount < 3 {
      throw .size(
        name: "maximumCount", was: maximumCount, expected: "at least 3: padding, unknown words and one word")
    }
    var counts: [String: Int] = [:]
    for text in texts {
      for word in tokenizer.words(of: text) { counts[word, default: 0] += 1 }
    }
    let frequent = counts.filter { $0.value >= minimumCount }.sorted {
      $0.value == $1.value ? $0.key < $1.key : $0.value > $1.value
    }
    guard !frequent.isEmpty else {
      throw .value(
        name: "texts", was: counts.isEmpty ? "without words" : "without a word that comes \(minimumCount) times",
        expected: "words for a vocabulary")
    }
    self.tokenizer = tokenizer
    numbering = Numbering(frequent.prefix(maximumCount.map { $0 - 2 } ?? .max).map(\.key), from: 2)
  }

  /// The vocabulary that another one's `words` and `tokenizer` describe.
  ///
  /// - Parameters:
  ///   - words: in the order of their numbers, which start from 2.
  ///   - tokenizer: how texts are split into words.
  /// - Throws: `RecurrentError` if a word is empty or comes twice.
  public init(_ words: [String], tokenizer: WordTokenizer = WordTokenizer()) throws(RecurrentError) {
    numbering = Numbering(words, from: 2)
    self.tokenizer = tokenizer
    for (index, word) in words.enumerated() {
      guard !word.isEmpty else { throw .value(name: "words[\(index)]", was: "empty", expected: "a word") }
      let first = numbering.number(of: word)! - 2
      guard first == index else {
        throw .value(name: "words[\(index)]", was: "\(quoted(word)), as words[\(first)]", expected: "each word once")
      }
    }
  }

  /// The words in the order of their numbers, which start from 2.
  public var words: [String] { numbering.symbols }

  /// V: how many numbers there are, those for padding and unknown words included.
  public var count: Int { words.count + 2 }

  /// The numbers of a text's words, 1 for each that the vocabulary lacks.
  public func numbers(of text: String) -> [Int] { numbers(of: tokenizer.words(of: text)) }

  /// The numbers of words, 1 for each that the vocabulary lacks.
  public func numbers(of words: [String]) -> [Int] {
    words.map { numbering.number(of: $0) ?? WordVocabulary.unknown }
  }

  /// The word of a number; empty for padding, U+FFFD for unknown words and for numbers that do not exist.
  public subscript(number: Int) -> String {
    number == WordVocabulary.padding ? "" : numbering.symbol(number) ?? "\u{fffd}"
  }

  /// The words of numbers, with a space between them and without padding.
  public func text(of numbers: some Sequence<Int>) -> String {
    numbers.filter { $0 != WordVocabulary.padding }.map { self[$0] }.joined(separator: " ")
  }
}
