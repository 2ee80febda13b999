import CRecurrentKernels
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Zeroed floats for panels and row tiles: aligned to a cache line, and with the readable slack behind them that BLIS's
/// micro-kernels need.
package final class AlignedBuffer: @unchecked Sendable {
  package let start: UnsafeMutablePointer<Float>
  /// Without the slack.
  package let count: Int
  private let mapped: (address: UnsafeMutableRawPointer, bytes: Int)?

  /// For tests: from now on each buffer ends, slack included, at a page that must not be touched, and starts soon after
  /// another one. AddressSanitizer does not see into BLIS's assembly; this does.
  package static let guardsPages = Atomic(false)

  package init(count: Int) {
    self.count = count
    let bytes = (count + Int(PRODUCT_SLACK)) * MemoryLayout<Float>.stride
    if AlignedBuffer.guardsPages.load(ordering: .relaxed) {
      let page = sysconf(Int32(_SC_PAGESIZE)), inside = (bytes + page - 1) / page * page
      let address = mmap(nil, inside + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
      mprotect(address + page, inside, PROT_READ | PROT_WRITE)
      // A multiple of 64 bytes from the end, where panels want to start.
      let start = address + page + inside - (bytes + 63) / 64 * 64
      self.start = start.bindMemory(to: Float.self, capacity: count)
      mapped = (address, inside + 2 * page)
    } else {
      let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: bytes >= 1 << 20 ? 1 << 21 : 64)
      #if os(Linux)
        // Huge pages: a record's slots lie far apart, each on a page of its own.
        if bytes >= 1 << 20 { madvise(raw, bytes, MADV_HUGEPAGE) }
      #endif
      memset(raw, 0, bytes)
      start = raw.bindMemory(to: Float.self, capacity: count)
      mapped = nil
    }
  }

  deinit {
    if let mapped {
      munmap(mapped.address, mapped.bytes)
    } else {
      start.deallocate()
    }
  }
}

/// Hands out parts of one buffer, each aligned and with slack behind it. Without a buffer it only counts.
package struct Arena {
  private var next: UnsafeMutablePointer<Float>?
  package private(set) var count = 0
  /// While pages are guarded, every part is a buffer of its own.
  package private(set) var guarded: [AlignedBuffer] = []

  package init(_ buffer: AlignedBuffer?) { next = buffer?.start }

  @inline(__always)
  package mutating func take(_ floats: Int) -> UnsafeMutablePointer<Float> {
    let whole = (floats + Int(PRODUCT_SLACK) + 15) / 16 * 16
    count += whole
    guard let part = next else { return Arena.nowhere }
    if AlignedBuffer.guardsPages.load(ordering: .relaxed) {
      guarded.append(AlignedBuffer(count: floats))
      return guarded.last!.start
    }
    next = part + whole
    return part
  }

  /// What counting hands out; never dereferenced.
  private static var nowhere: UnsafeMutablePointer<Float> { UnsafeMutablePointer(bitPattern: 64)! }
}

/// What a call needs for itself: memory, and threads. A scratch grows at its first use for a size and allocates nothing
/// after that; it must serve one call at a time.
public final class Scratch<Scalar: RecurrentScalar> {
  @exclusivity(unchecked) private var buffer: AlignedBuffer?
  @exclusivity(unchecked) private var guarded: [AlignedBuffer] = []
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
    let own = (buffer.map { ($0.count + Int(PRODUCT_SLACK)) * MemoryLayout<Float>.stride }) ?? 0
    return own + (ownLevels?.byteCount ?? 0) + (ownSecond?.byteCount ?? 0)
  }

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
  package func carve<Parts>(_ layout: (inout Arena) -> Parts) -> Parts {
    var arena = Arena(buffer)
    var parts = layout(&arena)
    if arena.count > buffer?.count ?? -1 {
      buffer = AlignedBuffer(count: arena.count)
      arena = Arena(buffer)
      parts = layout(&arena)
    }
    if !arena.guarded.isEmpty { guarded = arena.guarded }
    return parts
  }
}
