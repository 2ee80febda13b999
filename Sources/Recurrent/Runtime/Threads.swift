import CRecurrentKernels

/// A pool of threads. A call divides a layer's units among them, so that each core keeps its share of the weights in
/// its own caches.
///
/// Calls run on the pool of their scratch if a step has enough work to pay for a barrier. The results have the same
/// bits on any number of threads. Calls on one pool from several threads take turns. A child of `fork` does not have
/// the threads, so its calls run only on the caller's thread.
public final class Threads: @unchecked Sendable {
  /// The number of threads: the caller's thread and those that wait for calls.
  public let count: Int
  /// Nil if there is only the caller's thread.
  private let pool: OpaquePointer?

  /// - Parameter count: the number of threads, 1 to 1024. More threads than cores are slower than one thread for each
  ///   core.
  /// - Throws: `RecurrentError` if the count is out of range or the system does not provide that many threads.
  public init(count: Int) throws(RecurrentError) {
    guard (1...1024).contains(count) else { throw .size(name: "count", was: count, expected: "1 to 1024 threads") }
    self.count = count
    pool = count == 1 ? nil : thread_pool_create(count)
    if count > 1, pool == nil { throw .threads(count: count) }
  }

  deinit { if let pool { thread_pool_destroy(pool) } }

  /// Whether this process has the pool's threads. A child of `fork` does not.
  package var isAlive: Bool { pool.map(thread_pool_is_alive) ?? true }

  /// Runs the work on every thread, each with its share; allocates nothing.
  ///
  /// It is inlined, so that a caller that is specialized for a scalar passes its own code to the threads. No metadata
  /// and no witness is looked up then.
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
    /// This closure captures nothing, so it allocates nothing.
    let run: (_ work: UnsafeRawPointer, _ share: Share) -> Void
    let count: Int
    let pool: OpaquePointer
  }
}

/// Work that the threads of a pool share. A closure that captured it would be copied to the heap for each call.
package protocol SharedWork {
  /// Does one thread's share of the work.
  func run(_ share: Share)
}

/// One thread's share of a call.
package struct Share {
  package let index: Int
  package let count: Int
  fileprivate let pool: OpaquePointer?

  /// The share of the caller's thread if it does all the work.
  package static var whole: Share { Share(index: 0, count: 1) }

  package init(index: Int, count: Int, pool: OpaquePointer? = nil) {
    self.index = index
    self.count = count
    self.pool = pool
  }

  /// The range of `things` that this thread works on.
  package func range(of things: Int) -> Range<Int> {
    count == 1 ? 0..<things : things * index / count..<things * (index + 1) / count
  }

  /// Waits until every thread of the call has reached the barrier.
  package func barrier() { if let pool { thread_pool_barrier(pool) } }
}
