/// Splits a text into words.
///
/// A word is as long a run of letters, digits and underscores as possible. An apostrophe (`'` or `’`) between two of
/// them belongs to the word, so that "don't" is one word. Every other character but white space is a word of its own:
/// punctuation, symbols, emoji. "It's a 5-star film!" has the words it's, a, 5, -, star, film and !.
///
/// Letters are those of all scripts. A script that writes no spaces, such as Chinese, gives long runs; split such texts
/// yourself, and give the words to `WordVocabulary.numbers(of:)`.
public struct WordTokenizer: Sendable, Equatable, Codable {
  /// Whether words are in lower case.
  public var lowercases: Bool

  /// - Parameter lowercases: whether words are in lower case.
  public init(lowercases: Bool = true) { self.lowercases = lowercases }

  /// The words of a text, in their order.
  public func words(of text: String) -> [String] {
    var text = lowercases ? text.lowercased() : text
    var words: [String] = []
    text.withUTF8 { bytes in
      // Bytes are faster than characters, and most pieces between two spaces are ASCII.
      for piece in bytes.split(separator: UInt8(ascii: " ")) {
        if piece.allSatisfy({ $0 < 0x80 }) {
          appendWords(of: piece, to: &words, kind: Kind.init) { String(decoding: $0, as: UTF8.self) }
        } else {
          appendWords(of: String(decoding: piece, as: UTF8.self), to: &words, kind: Kind.init) { String($0) }
        }
      }
    }
    return words
  }
}

/// What a character means for the words around it.
private enum Kind {
  case partOfWord, apostrophe, space, other

  init(_ ascii: UInt8) {
    switch ascii {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
      self = .partOfWord
    case UInt8(ascii: "'"): self = .apostrophe
    case UInt8(ascii: " "), UInt8(ascii: "\t")...UInt8(ascii: "\r"): self = .space
    default: self = .other
    }
  }

  init(_ character: Character) {
    if let ascii = character.asciiValue {
      self.init(ascii)
    } else if character.isLetter || character.isNumber {
      self = .partOfWord
    } else {
      self = character == "\u{2019}" ? .apostrophe : character.isWhitespace ? .space : .other
    }
  }
}

private func appendWords<Text: Collection>(
  of text: Text, to words: inout [String], kind: (Text.Element) -> Kind, string: (Text.SubSequence) -> String
) {
  var begin: Text.Index?  // of a word that may go on
  var index = text.startIndex
  while index < text.endIndex {
    let next = text.index(after: index), kindHere = kind(text[index])
    if kindHere == .partOfWord {
      if begin == nil { begin = index }
    } else {
      let goesOn = kindHere == .apostrophe && next < text.endIndex && kind(text[next]) == .partOfWord
      if let first = begin, !goesOn {
        words.append(string(text[first..<index]))
        begin = nil
      }
      if begin == nil, kindHere != .space { words.append(string(text[index..<next])) }
    }
    index = next
  }
  if let first = begin { words.append(string(text[first...])) }
}
