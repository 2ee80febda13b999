import CRecurrentKernels
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Zeroed scalars for panels and row tiles. They start at a cache line, and behind them is the readable slack that BLIS's
/// micro-kernels need.
package final class AlignedBuffer<Scalar: RecurrentScalar>: @unchecked Sendable {
  package let start: UnsafeMutablePointer<Scalar>
  /// Without the slack.
  package let count: Int
  package var byteCount: Int { AlignedBuffer.byteCount(count) }
  private let mapped: (address: UnsafeMutableRawPointer, bytes: Int)?

  private static func byteCount(_ count: Int) -> Int { (count + Int(PRODUCT_SLACK)) * MemoryLayout<Scalar>.stride }

  package init(count: Int) {
    self.count = count
    let bytes = AlignedBuffer.byteCount(count)
    if GuardPages.areOn {
      let page = sysconf(Int32(_SC_PAGESIZE)), inside = (bytes + page - 1) / page * page
      let address = mmap(nil, inside + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
      mprotect(address + page, inside, PROT_READ | PROT_WRITE)
      // A multiple of 64 bytes from the end, where panels want to start.
      let start = address + page + inside - (bytes + 63) / 64 * 64
      self.start = start.bindMemory(to: Scalar.self, capacity: count)
      mapped = (address, inside + 2 * page)
    } else {
      let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: bytes >= 1 << 20 ? 1 << 21 : 64)
      #if os(Linux)
        // Huge pages: a record's slots lie far apart, each on a page of its own.
        if bytes >= 1 << 20 { madvise(raw, bytes, MADV_HUGEPAGE) }
      #endif
      memset(raw, 0, bytes)
      start = raw.bindMemory(to: Scalar.self, capacity: count)
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

/// Pages around every buffer that must not be touched, for tests.
///
/// AddressSanitizer does not see into BLIS's assembly; guard pages find what it reads outside of a buffer.
package enum GuardPages {
  /// The thread whose buffers have them, 0 for none. Not every thread's: layers of 10,000 levels, which another test may
  /// make meanwhile, would need more mappings than the system has.
  private static let thread = Atomic(UInt(0))

  /// Whether a buffer that this thread makes ends (with its slack) at a page that must not be touched, and starts soon
  /// after another one.
  package static var areOn: Bool {
    let guarded = thread.load(ordering: .relaxed)
    return guarded != 0 && guarded == currentThread
  }

  /// Runs the body with guard pages around the buffers that it makes. One thread at a time may do so.
  package static func around<Result>(_ body: () throws -> Result) rethrows -> Result {
    thread.store(currentThread, ordering: .relaxed)
    defer { thread.store(0, ordering: .relaxed) }
    return try body()
  }

  private static var currentThread: UInt {
    #if canImport(Glibc)
      pthread_self()
    #else
      UInt(bitPattern: pthread_self())
    #endif
  }
}
