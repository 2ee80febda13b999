/// Splits a text into words.
///
/// A word is as long a run of letters, digits and underscores as possible. An apostrophe (`'` or `’`) between two of
/// them belongs to the word, so that "don't" is one word. Every other character but white space is a word of its own:
/// punctuation, symbols, emoji. "It's a 5-star film!" has the words it's, a, 5, -, star, film and !.
///
/// Letters are those of all scripts. A script that writes no spaces, such as Chinese, gives long runs; split such texts
/// yourself, and give the words to `WordVocabulary.numbers(of:)`.
public struct WordTokenizer: Sendable, Equatable {
  /// Whether words are in lower case.
  public var lowercases: Bool

  /// - Parameter lowercases: whether words are in lower case.
  public init(lowercases: Bool = true) { self.lowercases = lowercases }

  /// The words of a text, in their order.
  public func words(of text: String) -> [String] {
    let text = lowercases ? text.lowercased() : text
    var words: [String] = []
    var begin: String.Index?  // of a word that may go on
    var index = text.startIndex
    func end() {
      if let first = begin { words.append(String(text[first..<index])) }
      begin = nil
    }
    while index < text.endIndex {
      let character = text[index], next = text.index(after: index)
      if isPartOfWord(character) {
        if begin == nil { begin = index }
      } else if begin == nil || !isApostrophe(character) || next == text.endIndex || !isPartOfWord(text[next]) {
        end()
        if !character.isWhitespace { words.append(String(character)) }
      }
      index = next
    }
    end()
    return words
  }
}

private func isApostrophe(_ character: Character) -> Bool { character == "'" || character == "\u{2019}" }

private func isPartOfWord(_ character: Character) -> Bool {
  guard let ascii = character.asciiValue else { return character.isLetter || character.isNumber }
  return switch ascii {
  case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
    true
  default: false
  }
}
