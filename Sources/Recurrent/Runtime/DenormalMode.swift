import CRecurrentKernels

/// Whether the calls of a layer read and write denormal numbers as zero.
struct DenormalMode: BitwiseCopyable {
  let flushes: Bool

  /// Sets the processor's mode for a call. Returns the mode before, for `restore`.
  @inline(__always)
  func set() -> UInt32 { flushes ? flush_to_zero() : 0 }

  @inline(__always)
  func restore(_ mode: UInt32) { if flushes { restore_denormals(mode) } }
}
