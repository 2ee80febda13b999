/// What a rank tells the others at the beginning of every call. All notices have the same size, so ranks that disagree,
/// even about which call it is, find out and throw the same error; none waits for an answer that never comes.
struct Notice {
  /// What a rank calls, by its name in errors.
  enum Call: UInt64 {
    case check = 1, broadcast, sum, gradients, end

    var name: String {
      switch self {
      case .check: "check"
      case .broadcast: "broadcast"
      case .sum: "sum"
      case .gradients: "gradients"
      case .end: "the end of `run`"
      }
    }
  }

  let call: Call
  /// The number of bytes of the message, if something failed on this rank; otherwise 0.
  var failureSize = 0
  /// The hash of what must be equal on all ranks.
  var fingerprint: UInt64 = 0
  /// The loss of this rank's share, and the number of dropout masks that its workspace has drawn.
  var loss = 0.0, masks = 0

  /// The number of words.
  static let size = 5

  init(_ call: Call) { self.call = call }

  /// Nil if the words are no notice.
  init?(_ words: ArraySlice<UInt64>) {
    let start = words.startIndex
    guard let call = Call(rawValue: words[start]) else { return nil }
    self.call = call
    failureSize = Int(truncatingIfNeeded: words[start + 1])
    fingerprint = words[start + 2]
    loss = Double(bitPattern: words[start + 3])
    masks = Int(truncatingIfNeeded: words[start + 4])
  }

  var words: [UInt64] {
    [call.rawValue, UInt64(failureSize), fingerprint, loss.bitPattern, UInt64(bitPattern: Int64(masks))]
  }
}

/// A hash like 64-bit FNV-1a that takes a word of 64 bits where FNV-1a takes a byte. It is the same in every process.
package struct Fingerprint {
  package private(set) var hash: UInt64 = 0xcbf2_9ce4_8422_2325

  package init() {}

  package mutating func add(_ word: UInt64) { hash = (hash ^ word) &* 0x100_0000_01b3 }

  mutating func add(_ text: String) {
    for byte in text.utf8 { add(UInt64(byte)) }
    add(256)
  }

  mutating func add(_ shapes: [ParameterShape]) {
    for shape in shapes {
      add(shape.name)
      add(UInt64(shape.shape.count))
      for size in shape.shape { add(UInt64(bitPattern: Int64(size))) }
      add(shape.hasSparseRows ? 1 : 0)
    }
  }
}
