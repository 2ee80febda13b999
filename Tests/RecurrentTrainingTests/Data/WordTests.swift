import Recurrent
import RecurrentTraining
import Testing

@Suite struct WordTests {
  @Test(arguments: [
    ("It's a 5-star film!", ["it's", "a", "5", "-", "star", "film", "!"]), ("", []), (" \t\r\n", []),
    ("a\r\nb\u{a0}c", ["a", "b", "c"]),
    (
      "don’t 'quote' rock'n'roll''s",
      [
        "don’t", "'", "quote", "'", "rock'n'roll", "'", "'", "s",
      ]
    ),
    ("dogs'", ["dogs", "'"]), ("3.14, 1,000", ["3", ".", "14", ",", "1", ",", "000"]), ("...", [".", ".", "."]),
    ("snake_case", ["snake_case"]), ("Ünïcode ÉTÉ", ["ünïcode", "été"]), ("cafe\u{301}!", ["café", "!"]),
    ("日本語。", ["日本語", "。"]), ("👍🏽ok", ["👍🏽", "ok"]), ("a\u{85}b", ["a", "b"]), ("x\u{96}y", ["x", "\u{96}", "y"]),
  ])
  func textsAreSplitIntoWords(text: String, words: [String]) {
    #expect(WordTokenizer().words(of: text) == words)
  }

  /// Pieces in ASCII are read as bytes, others as characters.
  @Test func bytesAndCharactersGiveTheSameWords() {
    var random = SeededGenerator(seed: 1)
    for _ in 0..<1000 {
      let text = (0..<30).map { _ in "aZ9_''.-\t\n\r\u{b}\u{1c}\u{7f}".randomElement(using: &random)! }.map(String.init)
        .joined()
      let tokenizer = WordTokenizer(lowercases: Bool.random(using: &random))
      #expect(
        tokenizer.words(of: "é." + text) == ["é", "."] + tokenizer.words(of: "." + text).dropFirst(),
        "\(text.debugDescription)")
    }
  }

  @Test func capitalsCanStay() {
    #expect(WordTokenizer(lowercases: false).words(of: "Don't STOP") == ["Don't", "STOP"])
  }

  @Test func frequentWordsComeFirst() throws {
    let texts = ["the cat, the dog", "The end. a cat", "b a"]
    let vocabulary = try WordVocabulary(of: texts)
    #expect(vocabulary.words == ["the", "a", "cat", ",", ".", "b", "dog", "end"] && vocabulary.count == 10)
    #expect(vocabulary.numbers(of: "The bird, a cat") == [2, 1, 5, 3, 4])
    #expect(vocabulary.numbers(of: ["the", "The", ""]) == [2, 1, 1] && vocabulary.numbers(of: "").isEmpty)
    #expect([-1, 0, 1, 2, 9, 10].map { vocabulary[$0] } == ["\u{fffd}", "", "\u{fffd}", "the", "end", "\u{fffd}"])
    #expect(vocabulary.text(of: [2, 4, 1, 0, 0]) == "the cat \u{fffd}")

    #expect(try WordVocabulary(of: texts, minimumCount: 2).words == ["the", "a", "cat"])
    #expect(try WordVocabulary(of: texts, maximumCount: 4).words == ["the", "a"])
    #expect(try WordVocabulary(of: texts, maximumCount: 4).count == 4)
    #expect(try WordVocabulary(of: texts, minimumCount: 3, maximumCount: 100).words == ["the"])
    let cased = try WordVocabulary(of: texts, tokenizer: WordTokenizer(lowercases: false))
    #expect(cased.words == ["a", "cat", "the", ",", ".", "The", "b", "dog", "end"])
    #expect(cased.numbers(of: "the The THE") == [4, 7, 1])
  }

  @Test func aVocabularyIsAListOfWords() throws {
    for lowercases in [true, false] {
      let vocabulary = try WordVocabulary(
        of: ["The the cat é e\u{301}"], tokenizer: WordTokenizer(lowercases: lowercases))
      #expect(try WordVocabulary(vocabulary.words, tokenizer: vocabulary.tokenizer) == vocabulary)
    }
    #expect(try WordVocabulary(["b", "a"]).numbers(of: "A b c") == [3, 2, 1])
    #expect(try WordVocabulary([]).count == 2)
  }

  @Test func wrongVocabulariesAreRefused() throws {
    expectError("words[2] is 'a', as words[0], expected each word once") { try WordVocabulary(["a", "b", "a"]) }
    expectError("words[1] is empty, expected a word") { try WordVocabulary(["a", ""]) }
    expectError("minimumCount is 0, expected at least 1") { try WordVocabulary(of: ["a"], minimumCount: 0) }
    expectError("maximumCount is 2, expected at least 3: padding, unknown words and one word") {
      try WordVocabulary(of: ["a"], maximumCount: 2)
    }
    expectError("texts is without words, expected words for a vocabulary") { try WordVocabulary(of: [" ", ""]) }
    expectError("texts is without a word that comes 2 times, expected words for a vocabulary") {
      try WordVocabulary(of: ["a b"], minimumCount: 2)
    }
  }

  @Test func charactersAreNumberedAsBefore() {
    let vocabulary = Vocabulary(Array("bab".unicodeScalars))
    #expect(vocabulary.numbers(of: Array("abc".unicodeScalars)) == [2, 1, 0] && vocabulary.count == 4)
    #expect([-1, 0, 1, 2, 3, 4].map { vocabulary[$0] } == ["\u{fffd}", "\u{fffd}", "b", "a", "b", "\u{fffd}"])
    #expect(Vocabulary(of: Array("cabac".unicodeScalars)).characters == ["a", "b", "c"])
  }
}
