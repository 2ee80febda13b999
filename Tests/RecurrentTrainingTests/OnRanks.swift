import Recurrent
import RecurrentTraining
import Synchronization
import Testing

/// Ranks that are threads of this process, so that the tests need no MPI.
private final class ThreadExchange: Exchange, @unchecked Sendable {
  /// What the ranks give each other.
  final class Table: Sendable {
    let words: Mutex<[[UInt64]]>, floats: Mutex<[[Float]]>, bytes = Mutex<[UInt8]>([])

    init(_ count: Int) {
      words = Mutex(Array(repeating: [], count: count))
      floats = Mutex(Array(repeating: [], count: count))
    }
  }

  let rank: Int, count: Int
  private let share: Share, table: Table

  init(_ share: Share, _ table: Table) {
    (rank, count) = (share.index, share.count)
    self.share = share
    self.table = table
  }

  func unite(_ words: inout [UInt64]) {
    table.words.withLock { $0[rank] = words }
    share.barrier()
    let all = table.words.withLock { $0 }
    share.barrier()
    for others in all {
      #expect(others.count == words.count)
      for index in words.indices { words[index] |= others[index] }
    }
  }

  func sum(_ values: UnsafeMutableBufferPointer<Float>) {
    table.floats.withLock { $0[rank] = Array(values) }
    share.barrier()
    let all = table.floats.withLock { $0 }
    share.barrier()
    for others in all { #expect(others.count == values.count) }
    for index in values.indices { values[index] = all.reduce(0) { $0 + $1[index] } }
  }

  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int) {
    if self.rank == rank { table.bytes.withLock { $0 = Array(bytes) } }
    share.barrier()
    let all = table.bytes.withLock { $0 }
    share.barrier()
    #expect(all.count == bytes.count)
    bytes.copyBytes(from: all)
  }

  func finish() { share.barrier() }
}

/// What each rank runs.
private struct RankWork: SharedWork {
  let body: @Sendable (Share) -> Void

  func run(_ share: Share) { body(share) }
}

/// Runs a program on ranks that are threads.
///
/// - Returns: what it returned or threw on each rank, in the order of the ranks.
func onRanks<Value: Sendable>(
  _ count: Int, _ program: @escaping @Sendable (Ranks) throws -> Value
) throws -> [Result<Value, any Error>] {
  let table = ThreadExchange.Table(count), results = Mutex<[Int: Result<Value, any Error>]>([:])
  let work = RankWork { share in
    let result = Result { try Ranks(ThreadExchange(share, table)).run(program) }
    results.withLock { $0[share.index] = result }
  }
  try Threads(count: count).run(work)
  return results.withLock { all in (0..<count).map { all[$0]! } }
}
