import Recurrent

/// The characters (Unicode scalars) of a text, numbered; 0 is for those that the text does not have.
public struct Vocabulary: Sendable, Equatable {
  private let numbering: Numbering<Unicode.Scalar>

  /// The characters in the order of their numbers; if a character comes twice, it has the first number.
  public init(_ characters: [Unicode.Scalar]) { numbering = Numbering(characters, from: 1) }

  /// Every character of a text, in ascending order.
  public init(of text: [Unicode.Scalar]) { self.init(Set(text).sorted()) }

  /// The characters by their numbers, which start from 1.
  public var characters: [Unicode.Scalar] { numbering.symbols }

  /// How many numbers there are: one for each character, and 0.
  public var count: Int { characters.count + 1 }

  /// The numbers of a text's characters, 0 for each that the vocabulary lacks.
  public func numbers(of text: [Unicode.Scalar]) -> [Int] { text.map { numbering.number(of: $0) ?? 0 } }

  /// The character of a number; U+FFFD for 0 and for numbers that do not exist.
  public subscript(number: Int) -> Unicode.Scalar { numbering.symbol(number) ?? "\u{fffd}" }
}
