/// The memory of one buffer of a call, and its name in error messages.
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

/// Checks that no two buffers of a call overlap if one of them is written. Otherwise an input could change while the
/// call runs.
///
/// It allocates nothing. An error names the later buffer of a pair first, so a call lists the buffers that it reads
/// before those that it writes.
///
/// - Parameters:
///   - regions: the buffers of the call.
///   - readsToo: whether buffers that are only read must not overlap each other either.
/// - Throws: `RecurrentError.overlap` with the names of two buffers that overlap.
package func checkApart(_ regions: Span<Region>, readsToo: Bool = false) throws(RecurrentError) {
  for later in 1..<max(regions.count, 1) {
    for earlier in 0..<later where regions[later].overlaps(regions[earlier]) {
      guard readsToo || regions[later].isWritten || regions[earlier].isWritten else { continue }
      throw .overlap(name: "\(regions[later].name)", other: "\(regions[earlier].name)")
    }
  }
}
