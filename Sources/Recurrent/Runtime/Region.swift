/// The memory of one buffer of a call, and what an error calls it.
package struct Region: BitwiseCopyable {
  let name: StaticString
  let start: UInt
  /// One past the last byte; equal to `start` if the buffer is empty.
  let end: UInt
  let isWritten: Bool

  private init(_ name: StaticString, _ bytes: UnsafeRawBufferPointer?, isWritten: Bool) {
    self.name = name
    self.isWritten = isWritten
    start = bytes?.baseAddress.map { UInt(bitPattern: $0) } ?? 0
    let (end, overflow) = start.addingReportingOverflow(UInt(bytes?.count ?? 0))
    self.end = overflow ? .max : end
  }

  package init(_ name: StaticString, read bytes: UnsafeRawBufferPointer?) { self.init(name, bytes, isWritten: false) }

  package init(_ name: StaticString, written bytes: UnsafeRawBufferPointer?) { self.init(name, bytes, isWritten: true) }

  /// An empty buffer overlaps nothing.
  func overlaps(_ other: Region) -> Bool {
    start < end && other.start < other.end && start < other.end && other.start < end
  }
}

/// No two buffers of a call may overlap if one of them is written: what is read would change while the call runs.
///
/// Allocates nothing. An error names a pair's later buffer first, so a call lists what it reads before what it writes.
///
/// - Parameter readsToo: whether two buffers that are only read may not overlap either.
package func checkApart(_ regions: Span<Region>, readsToo: Bool = false) throws(RecurrentError) {
  for later in 1..<max(regions.count, 1) {
    for earlier in 0..<later where regions[later].overlaps(regions[earlier]) {
      guard readsToo || regions[later].isWritten || regions[earlier].isWritten else { continue }
      throw .overlap(name: "\(regions[later].name)", other: "\(regions[earlier].name)")
    }
  }
}
