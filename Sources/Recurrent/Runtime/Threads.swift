import CRecurrentKernels

/// A pool of threads among which a call divides a layer's units, so that each core keeps its part of the weights close.
///
/// A scratch made with it runs its calls on it, where the work of a step is large enough to pay for a barrier; the
/// results are the same bits on any number of threads. Calls on one pool from several threads take turns. In a child of
/// `fork`, where the threads are not, calls run on the caller's alone.
public final class Threads: @unchecked Sendable {
  /// The caller's thread and those that wait for calls.
  public let count: Int
  /// Null for the caller's thread alone.
  private let pool: OpaquePointer?

  /// - Parameter count: threads, 1 to 1024; more than the processor has cores are slower than as many.
  /// - Throws: `RecurrentError` if the count is out of range or the system gives no more threads.
  public init(count: Int) throws(RecurrentError) {
    guard (1...1024).contains(count) else { throw .size(name: "count", was: count, expected: "1 to 1024 threads") }
    self.count = count
    pool = count == 1 ? nil : thread_pool_create(count)
    if count > 1, pool == nil { throw .threads(count: count) }
  }

  deinit { if let pool { thread_pool_destroy(pool) } }

  /// Whether the threads are there: not in a child of `fork`.
  package var isAlive: Bool { pool.map(thread_pool_is_alive) ?? true }

  /// Runs the work on every thread, each with its share; allocates nothing.
  ///
  /// It is inlined, so that a caller that is specialized for a scalar hands its own code to the threads: no metadata and
  /// no witness is looked up.
  @inline(__always)
  package func run<Work: SharedWork>(_ work: Work) {
    guard let pool else { return work.run(.whole) }
    withUnsafePointer(to: work) { place in
      var job = Job(
        work: place, run: { work, share in work.assumingMemoryBound(to: Work.self).pointee.run(share) }, count: count,
        pool: pool)
      withUnsafeMutablePointer(to: &job) { job in
        thread_pool_run(
          pool,
          { context, index in
            let job = context.assumingMemoryBound(to: Job.self)
            job.pointee.run(job.pointee.work, Share(index: index, count: job.pointee.count, pool: job.pointee.pool))
          }, job)
      }
    }
  }

  private struct Job {
    let work: UnsafeRawPointer
    /// Captures nothing, hence allocates nothing.
    let run: (_ work: UnsafeRawPointer, _ share: Share) -> Void
    let count: Int
    let pool: OpaquePointer
  }
}

/// What the threads of a pool do together. A closure that captures it would be copied to the heap for each call.
package protocol SharedWork {
  /// One thread's part.
  func run(_ share: Share)
}

/// One thread's part of a call.
package struct Share {
  package let index: Int
  package let count: Int
  fileprivate let pool: OpaquePointer?

  /// All of a call on the caller's thread.
  package static var whole: Share { Share(index: 0, count: 1) }

  package init(index: Int, count: Int, pool: OpaquePointer? = nil) {
    self.index = index
    self.count = count
    self.pool = pool
  }

  /// This thread's part of some things that are alike.
  package func part(of things: Int) -> Range<Int> {
    count == 1 ? 0..<things : things * index / count..<things * (index + 1) / count
  }

  /// Waits until every thread of the call is here.
  package func barrier() { if let pool { thread_pool_barrier(pool) } }
}
