import Foundation
import Recurrent

/// How the ranks of a run reach each other. All ranks make the same calls in the same order.
package protocol Exchange: Sendable {
  /// The number of this process, 0 ..< count.
  var rank: Int { get }
  /// The number of processes.
  var count: Int { get }
  /// words |= those of all other ranks.
  func unite(_ words: inout [UInt64]) throws(RecurrentError)
  /// values += those of all other ranks. All ranks get the same bits.
  func sum(_ values: UnsafeMutableBufferPointer<Float>) throws(RecurrentError)
  /// bytes = those of a rank.
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int) throws(RecurrentError)
  /// Nothing is exchanged after this.
  func finish() throws(RecurrentError)
}

/// A process by itself.
package struct NoExchange: Exchange {
  package let rank = 0, count = 1

  package init() {}
  package func unite(_ words: inout [UInt64]) {}
  package func sum(_ values: UnsafeMutableBufferPointer<Float>) {}
  package func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int) {}
  package func finish() {}
}

/// The number of processes that Open MPI's `mpirun` says it has started; 1 without it.
package func startedProcesses() -> Int {
  ProcessInfo.processInfo.environment["OMPI_COMM_WORLD_SIZE"].flatMap { Int($0) } ?? 1
}

/// The exchange of this process.
///
/// - Throws: `RecurrentError` if MPI does not start, or if `mpirun` has started several processes of a build without
///   MPI.
func startExchange() throws(RecurrentError) -> any Exchange {
  #if MPI
    return try MPIExchange()
  #else
    let count = startedProcesses()
    guard count == 1 else {
      throw .value(
        name: "the number of processes", was: "\(count)",
        expected: "1 in a build without MPI; 'swift build --traits MPI' makes one with it")
    }
    return NoExchange()
  #endif
}

#if MPI
  internal import COpenMPI

  /// The processes that `mpirun` has started; one without it.
  private struct MPIExchange: Exchange {
    let rank: Int, count: Int
    /// Whether this started MPI, and so has to end it.
    private let isOwner: Bool

    init() throws(RecurrentError) {
      var numbers = (rank: Int32(0), count: Int32(1)), isOwner = false
      let code = exchange_start(&numbers.rank, &numbers.count, &isOwner)
      (rank, count) = (Int(numbers.rank), Int(numbers.count))
      self.isOwner = isOwner
      try check(code)
    }

    func unite(_ words: inout [UInt64]) throws(RecurrentError) { try check(exchange_union(&words, words.count)) }

    func sum(_ values: UnsafeMutableBufferPointer<Float>) throws(RecurrentError) {
      if let start = values.baseAddress { try check(exchange_sum(start, values.count)) }
    }

    func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int) throws(RecurrentError) {
      if let start = bytes.baseAddress { try check(exchange_broadcast(start, bytes.count, Int32(rank))) }
    }

    func finish() throws(RecurrentError) { if isOwner { try check(exchange_finish()) } }

    private func check(_ code: Int32) throws(RecurrentError) {
      guard code != 0 else { return }
      var text = [CChar](repeating: 0, count: Int(exchange_longest_message))
      exchange_message(code, &text)
      throw .rank(rank, "Open MPI: " + text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) })
    }
  }
#endif
