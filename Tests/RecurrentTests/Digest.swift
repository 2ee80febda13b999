import Recurrent

/// FNV-1a of 64 bits over the bits of numbers, as the machine stores them.
struct Digest: Equatable, CustomStringConvertible {
  private(set) var hash: UInt64 = 0xcbf2_9ce4_8422_2325

  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
  }

  mutating func add<Scalar: RecurrentScalar>(_ values: [Scalar]) { values.withUnsafeBytes { add($0) } }

  /// 16 hexadecimal digits.
  var description: String {
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

/// The bits of everything that a problem's calls give.
struct ProblemDigest: Equatable {
  /// Of y, h and c of `forward`, `record` and a stream.
  var forward = Digest()
  /// Of dx, dh0 and dc0.
  var inputGradients = Digest()
  var parameterGradients = Digest()

  init<Scalar>(_ results: Problem<Scalar>.Results) {
    for values in results.forward { forward.add(values) }
    for values in results.inputGradients { inputGradients.add(values) }
    parameterGradients.add(results.parameterGradients)
  }

  var words: [String] { ["\(forward)", "\(inputGradients)", "\(parameterGradients)"] }
}
