import CRecurrentKernels

/// The working memory of calls, and their threads. A scratch grows when it is first used for a size and allocates
/// nothing after that. Only one call at a time may use it.
public final class Scratch<Scalar: RecurrentScalar> {
  @exclusivity(unchecked) private var buffer: AlignedBuffer<Scalar>?
  @exclusivity(unchecked) private var guarded: [AlignedBuffer<Scalar>] = []
  /// The threads that calls run on; nil if there is no pool, or if a fork has left its threads behind.
  package var threads: Threads? { pool.flatMap { $0.isAlive ? $0 : nil } }
  private let pool: Threads?
  /// The number of steps so far. Every second step visits the blocks of units downwards.
  @exclusivity(unchecked) package var turns = 0
  /// Memory for the values that levels pass to each other, and for a second direction that runs at the same time.
  package var levels: Scratch { made(&ownLevels) }
  package var second: Scratch { made(&ownSecond) }
  @exclusivity(unchecked) private var ownLevels: Scratch?
  @exclusivity(unchecked) private var ownSecond: Scratch?
  private lazy var planBuffer = RowPlanBuffer()

  /// - Parameter threads: the threads that calls run on if that is faster; by default, only the caller's thread.
  public init(threads: Threads? = nil) { pool = threads }

  /// The bytes that the scratch holds now, without the few that lengths and resets need.
  public var byteCount: Int {
    let own = buffer?.byteCount ?? 0
    return own + (ownLevels?.byteCount ?? 0) + (ownSecond?.byteCount ?? 0)
  }

  /// Not inlined: what makes a scratch at its first use stays out of every later call.
  @inline(never)
  private func made(_ scratch: inout Scratch?) -> Scratch {
    if let scratch { return scratch }
    let new = Scratch()
    scratch = new
    return new
  }

  /// The row plan of a call. It is valid until the next call.
  package func plan(
    steps: Int, batchSize: Int, lengths: UnsafeBufferPointer<Int>?, resets: UnsafeBufferPointer<UInt8>?
  ) -> RowPlan {
    if lengths == nil, resets == nil { return RowPlan(steps: steps, batchSize: batchSize) }
    return planBuffer.plan(steps: steps, batchSize: batchSize, lengths: lengths, resets: resets)
  }

  /// Returns the pieces that `layout` takes from the arena. If the buffer has to grow first, `layout` runs twice.
  @inline(__always)
  package func carve<Pieces>(_ layout: (inout Arena<Scalar>) -> Pieces) -> Pieces {
    var arena = Arena(buffer)
    var pieces = layout(&arena)
    if arena.count > buffer?.count ?? -1 {
      buffer = AlignedBuffer<Scalar>(count: arena.count)
      arena = Arena(buffer)
      pieces = layout(&arena)
    }
    if !arena.guarded.isEmpty { guarded = arena.guarded }
    return pieces
  }
}
