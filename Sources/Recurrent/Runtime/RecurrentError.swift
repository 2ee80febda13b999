#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// An error of a call. It says what was passed and what was expected.
public enum RecurrentError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A size that is zero, negative or too large to compute with.
  case size(name: String, was: Int, expected: String)
  /// Sizes whose product is larger than this machine's memory.
  case product(names: [String], values: [Int], most: Int)
  /// A buffer with the wrong count of values.
  case count(name: String, was: Int, expected: Int, shape: String)
  /// An instruction set that this processor does not have.
  case instructionSet(requested: String, available: [InstructionSet])
  /// A name that does not exist.
  case name(String, kind: String, known: [String])
  /// A number that is out of its range, an option that does not fit this cell, or a layer that does not fit into
  /// memory.
  case value(name: String, was: String, expected: String)
  /// Parameters or gradients of a layer with another shape.
  case shape(name: String, was: String, expected: String)
  /// Distances that are not a valid layout.
  case layout(name: String, step: Int, sequence: Int, problem: LayoutProblem)
  /// A buffer that is shorter than its layout requires.
  case extent(name: String, was: Int, expected: Int, shape: String)
  /// A buffer that is written and shares memory with another one.
  case overlap(name: String, other: String)
  /// A c, or its gradient, for a cell that has none.
  case unexpectedState(name: String, was: Int)
  /// A record that `backward` cannot use.
  case record(RecordProblem)
  /// A layer whose direction does not allow a stream.
  case direction(Direction)
  /// The system does not provide that many threads.
  case threads(count: Int)
  /// What failed on one of the processes that train a model together, by its rank.
  case rank(Int, String)
  /// An error in a part of a model, by the part's name.
  indirect case part(String, RecurrentError)

  /// Why distances are not a valid layout.
  public enum LayoutProblem: Equatable, Sendable {
    /// A distance is not positive.
    case notPositive
    /// The layout is larger than any memory.
    case tooLarge
    /// Rows of that many scalars share memory.
    case overlappingRows(of: Int)
  }

  /// Why `backward` cannot use a record.
  public enum RecordProblem: Equatable, Sendable {
    /// Nothing was recorded, or `backward` has consumed the record.
    case empty
    /// Another layer filled the record. The values describe both layers.
    case otherLayer(was: String, expected: String)
    /// The layer's parameters have changed since the record was filled.
    case otherParameters
  }

  /// What was passed and what was expected.
  public var description: String {
    switch self {
    case .size(let name, let was, let expected): "\(name) is \(was), expected \(expected)"
    case .product(let names, let values, let most):
      "\(names.joined(separator: "·")) is \(values.map(String.init).joined(separator: "·")), expected at most \(most), "
        + "what this machine's memory holds"
    case .count(let name, let was, let expected, let shape):
      "\(name) has \(was) values, expected \(shape) = \(expected)"
    case .instructionSet(let requested, let available):
      "instruction set '\(requested)' is not one of this processor's: \(available.map(\.rawValue).joined(separator: ", "))"
    case .name(let name, let kind, let known):
      "\(kind) '\(name)' does not exist, there are: \(known.joined(separator: ", "))"
    case .value(let name, let was, let expected): "\(name) is \(was), expected \(expected)"
    case .shape(let name, let was, let expected): "\(name) are of \(was), expected \(expected)"
    case .layout(let name, let step, let sequence, .notPositive):
      "\(name)'s layout has the distances \(step) and \(sequence), expected at least 1"
    case .layout(let name, let step, let sequence, .tooLarge):
      "\(name)'s layout has the distances \(step) and \(sequence), which reach beyond any memory"
    case .layout(let name, let step, let sequence, .overlappingRows(let size)):
      "\(name)'s layout has the distances \(step) a step and \(sequence) a sequence: rows of \(size) overlap"
    case .extent(let name, let was, let expected, let shape):
      "\(name) has \(was) values, expected at least \(shape) = \(expected), as its layout says"
    case .overlap(let name, let other): "\(name) overlaps \(other) in memory, expected buffers of their own"
    case .unexpectedState(let name, let was): "\(name) has \(was) values, expected none: this cell has no c"
    case .record(.empty): "the record is empty or was consumed: call record before backward"
    case .record(.otherLayer(let was, let expected)): "the record was filled by \(was), this layer is \(expected)"
    case .record(.otherParameters):
      "the record was filled with other parameters than the layer has now: call record again"
    case .direction(let direction):
      "the layer's direction is \(direction), expected forward: a stream cannot start at the last step"
    case .threads(let count): "the system does not give \(count) threads"
    case .rank(let rank, let problem): "rank \(rank): \(problem)"
    case .part(let name, let error): "\(name): \(error)"
    }
  }
}

/// The product of some sizes, each of which must be at least 1.
///
/// - Parameters:
///   - sizes: the sizes and their names.
///   - scalarBytes: the size of a scalar.
/// - Throws: `RecurrentError.size` if a size is smaller, or `.product` if so many scalars do not fit the machine's
///   memory.
package func checkedCount(
  _ sizes: (name: String, value: Int)..., scalarBytes: Int = MemoryLayout<Float>.size
) throws(RecurrentError) -> Int {
  var count = 1
  let most = largestCount(scalarBytes: scalarBytes)
  for (name, value) in sizes {
    guard value >= 1 else { throw .size(name: name, was: value, expected: "at least 1") }
    let (product, overflow) = count.multipliedReportingOverflow(by: value)
    guard !overflow, product <= most else {
      throw .product(names: sizes.map(\.name), values: sizes.map(\.value), most: most)
    }
    count = product
  }
  return count
}

/// Whether `checkedCount` would accept these sizes. It allocates nothing, so calls can use it.
package func fitMemory(
  _ first: Int, _ second: Int, _ third: Int = 1, scalarBytes: Int = MemoryLayout<Float>.size
) -> Bool {
  let (two, overflow) = first.multipliedReportingOverflow(by: second)
  let (all, overflow2) = two.multipliedReportingOverflow(by: third)
  return first >= 1 && second >= 1 && third >= 1 && !overflow && !overflow2
    && all <= largestCount(scalarBytes: scalarBytes)
}

/// The number of scalars that this machine's memory holds. A scalar of fewer bytes than a float, which only a
/// conformance of a user's own can have, counts as a float.
private func largestCount(scalarBytes: Int) -> Int { largestCount / max(1, scalarBytes / MemoryLayout<Float>.size) }

/// The number of floats that this machine's memory holds. A larger allocation could only abort the process.
package let largestCount: Int = {
  let pages = sysconf(Int32(_SC_PHYS_PAGES)), page = sysconf(Int32(_SC_PAGESIZE))
  return pages > 0 && page > 0 ? pages * page / 4 : 1 << 40
}()

/// - Throws: `RecurrentError.count` if a buffer does not have the count of its shape.
package func checkCount(
  _ name: String, _ count: Int, is expected: Int, _ shape: @autoclosure () -> String
) throws(RecurrentError) {
  guard count == expected else {
    throw .count(name: name, was: count, expected: expected, shape: shape())
  }
}
