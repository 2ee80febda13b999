import CRecurrentKernels
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Zeroed scalars for panels and row tiles. They start at a cache line. After them comes the readable slack that BLIS's
/// micro-kernels need.
package final class AlignedBuffer<Scalar: RecurrentScalar>: @unchecked Sendable {
  package let start: UnsafeMutablePointer<Scalar>
  /// The number of scalars without the slack.
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
      // Panels should start at a multiple of 64 bytes, so the buffer starts that far from the end of its pages.
      let start = address + page + inside - (bytes + 63) / 64 * 64
      self.start = start.bindMemory(to: Scalar.self, capacity: count)
      mapped = (address, inside + 2 * page)
    } else {
      let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: bytes >= 1 << 20 ? 1 << 21 : 64)
      #if os(Linux)
        // Huge pages are faster here: the slots of a record lie far apart, so each would need small pages of its own.
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

/// Pages around buffers that must not be touched. Tests turn them on.
///
/// AddressSanitizer does not see into BLIS's assembly; guard pages find its reads outside of a buffer.
package enum GuardPages {
  /// The thread whose buffers get guard pages; 0 if there is none. Other threads' buffers do not get them, because
  /// another test may make layers of 10,000 levels meanwhile, which would need more mappings than the system has.
  private static let thread = Atomic(UInt(0))

  /// Whether a buffer that this thread makes ends (with its slack) at a page that must not be touched, and starts soon
  /// after another one.
  package static var areOn: Bool {
    let guarded = thread.load(ordering: .relaxed)
    return guarded != 0 && guarded == currentThread
  }

  /// Runs the body with guard pages around the buffers that it makes. Only one thread at a time may do so.
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
