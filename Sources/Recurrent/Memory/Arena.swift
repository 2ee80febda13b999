import CRecurrentKernels

/// Hands out parts of one buffer, each aligned and with slack behind it. Without a buffer it only counts.
package struct Arena<Scalar: RecurrentScalar> {
  private var next: UnsafeMutablePointer<Scalar>?
  package private(set) var count = 0
  /// While pages are guarded, every part is a buffer of its own.
  package private(set) var guarded: [AlignedBuffer<Scalar>] = []

  package init(_ buffer: AlignedBuffer<Scalar>?) { next = buffer?.start }

  @inline(__always)
  package mutating func take(_ scalars: Int) -> UnsafeMutablePointer<Scalar> {
    let whole = (scalars + Int(PRODUCT_SLACK) + 15) / 16 * 16
    count += whole
    guard let part = next else { return Arena.nowhere }
    if GuardPages.areOn {
      guarded.append(AlignedBuffer(count: scalars))
      return guarded.last!.start
    }
    next = part + whole
    return part
  }

  /// What counting hands out; never dereferenced.
  private static var nowhere: UnsafeMutablePointer<Scalar> { UnsafeMutablePointer(bitPattern: 64)! }
}
