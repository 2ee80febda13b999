import CRecurrentKernels

/// What a call needs for itself: memory, and threads. A scratch grows at its first use for a size and allocates nothing
/// after that; it must serve one call at a time.
public final class Scratch<Scalar: RecurrentScalar> {
  @exclusivity(unchecked) private var buffer: AlignedBuffer<Scalar>?
  @exclusivity(unchecked) private var guarded: [AlignedBuffer<Scalar>] = []
  /// What calls run on, where it is alive.
  package var threads: Threads? { pool.flatMap { $0.isAlive ? $0 : nil } }
  private let pool: Threads?
  /// Steps so far: every other one walks over the weights downwards.
  @exclusivity(unchecked) package var turns = 0
  /// For what levels hand to each other, and for a second direction that runs at the same time.
  package var levels: Scratch { made(&ownLevels) }
  package var second: Scratch { made(&ownSecond) }
  @exclusivity(unchecked) private var ownLevels: Scratch?
  @exclusivity(unchecked) private var ownSecond: Scratch?
  private lazy var planBuffer = RowPlanBuffer()

  /// - Parameter threads: what calls run on where it pays; the caller's thread alone by default.
  public init(threads: Threads? = nil) { pool = threads }

  /// What it holds now, but for the little that lengths and resets need.
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

  /// The rows of a call; valid until the next one.
  package func plan(
    steps: Int, batchSize: Int, lengths: UnsafeBufferPointer<Int>?, resets: UnsafeBufferPointer<UInt8>?
  ) -> RowPlan {
    if lengths == nil, resets == nil { return RowPlan(steps: steps, batchSize: batchSize) }
    return planBuffer.plan(steps: steps, batchSize: batchSize, lengths: lengths, resets: resets)
  }

  /// Hands out the parts that `layout` takes; it runs once more where the buffer has to grow first.
  @inline(__always)
  package func carve<Parts>(_ layout: (inout Arena<Scalar>) -> Parts) -> Parts {
    var arena = Arena(buffer)
    var parts = layout(&arena)
    if arena.count > buffer?.count ?? -1 {
      buffer = AlignedBuffer<Scalar>(count: arena.count)
      arena = Arena(buffer)
      parts = layout(&arena)
    }
    if !arena.guarded.isEmpty { guarded = arena.guarded }
    return parts
  }
}
