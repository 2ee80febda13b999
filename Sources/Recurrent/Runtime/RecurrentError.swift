#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What was wrong with a call, what it was and what was expected.
public enum RecurrentError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A size that is zero, negative or too large to count with.
  case size(name: String, was: Int, expected: String)
  /// Sizes whose product is more than this machine's memory holds.
  case product(names: [String], values: [Int], most: Int)
  /// A buffer of the wrong count.
  case count(name: String, was: Int, expected: Int, shape: String)
  /// An instruction set that this processor does not have.
  case instructionSet(requested: String, available: [InstructionSet])
  /// A name that is not one of those that exist.
  case name(String, kind: String, known: [String])
  /// A value that makes no sense together with another.
  case mismatch(String)

  public var description: String {
    switch self {
    case .size(let name, let was, let expected): "\(name) is \(was), expected \(expected)"
    case .product(let names, let values, let most):
      "\(names.joined(separator: "·")) is \(values.map(String.init).joined(separator: "·")), expected a product of at most "
        + "\(most), what this machine's memory holds"
    case .count(let name, let was, let expected, let shape):
      "\(name) has \(was) values, expected \(shape) = \(expected)"
    case .instructionSet(let requested, let available):
      "instruction set '\(requested)' is not one of this processor's: \(available.map(\.rawValue).joined(separator: ", "))"
    case .name(let name, let kind, let known):
      "\(kind) '\(name)' does not exist, there are: \(known.joined(separator: ", "))"
    case .mismatch(let text): text
    }
  }
}

/// The product of some sizes, each at least 1.
///
/// - Throws: `RecurrentError.size` where one is not, or where so many floats are more than the machine's memory.
package func checkedCount(_ sizes: (name: String, value: Int)...) throws(RecurrentError) -> Int {
  var count = 1
  for (name, value) in sizes {
    guard value >= 1 else { throw .size(name: name, was: value, expected: "at least 1") }
    let (product, overflow) = count.multipliedReportingOverflow(by: value)
    guard !overflow, product <= largestCount else {
      throw .product(names: sizes.map(\.name), values: sizes.map(\.value), most: largestCount)
    }
    count = product
  }
  return count
}

/// As many floats as this machine's memory holds. What is larger could only abort the process when it is allocated.
private let largestCount: Int = {
  let pages = sysconf(Int32(_SC_PHYS_PAGES)), page = sysconf(Int32(_SC_PAGESIZE))
  return pages > 0 && page > 0 ? pages * page / 4 : 1 << 40
}()

/// - Throws: `RecurrentError.count` where a buffer does not have the count of its shape.
package func checkCount(
  _ name: String, _ count: Int, is expected: Int, _ shape: @autoclosure () -> String
) throws(RecurrentError) {
  guard count == expected else {
    throw .count(name: name, was: count, expected: expected, shape: shape())
  }
}
