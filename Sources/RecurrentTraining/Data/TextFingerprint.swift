/// Tells texts apart without keeping them: how long a text is, and a hash of it.
public struct TextFingerprint: Sendable, Equatable, LosslessStringConvertible {
  /// Characters of the text.
  public let count: Int
  /// FNV-1a of 64 bits over the vocabulary's characters and the text's numbers, four bytes each.
  public let hash: UInt64

  /// The fingerprint of a text.
  ///
  /// - Parameters:
  ///   - numbers: the text, a number a character.
  ///   - vocabulary: what the numbers mean.
  public init(_ numbers: [Int], vocabulary: Vocabulary) {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    func add(_ number: UInt32) {
      for shift: UInt32 in [0, 8, 16, 24] { hash = (hash ^ UInt64(number >> shift & 255)) &* 0x100_0000_01b3 }
    }
    add(UInt32(truncatingIfNeeded: vocabulary.count))
    for character in vocabulary.characters { add(character.value) }
    for number in numbers { add(UInt32(truncatingIfNeeded: number)) }
    count = numbers.count
    self.hash = hash
  }

  /// Reads what `description` wrote; nil if it is something else.
  public init?(_ description: String) {
    let parts = description.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, let count = Int(parts[0]), count >= 0, let hash = UInt64(parts[1], radix: 16) else {
      return nil
    }
    self.count = count
    self.hash = hash
  }

  /// The count and the hash in hexadecimal digits, with a colon between them.
  public var description: String { "\(count):\(String(hash, radix: 16))" }
}
