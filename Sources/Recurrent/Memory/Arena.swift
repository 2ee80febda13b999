import CRecurrentKernels

/// Divides one buffer into pieces, each aligned and with slack after it. Without a buffer, it only counts the scalars.
package struct Arena<Scalar: RecurrentScalar> {
  private var next: UnsafeMutablePointer<Scalar>?
  package private(set) var count = 0
  /// If guard pages are on, every piece is a buffer of its own.
  package private(set) var guarded: [AlignedBuffer<Scalar>] = []

  package init(_ buffer: AlignedBuffer<Scalar>?) { next = buffer?.start }

  @inline(__always)
  package mutating func take(_ scalars: Int) -> UnsafeMutablePointer<Scalar> {
    let whole = (scalars + Int(PRODUCT_SLACK) + 15) / 16 * 16
    count += whole
    guard let piece = next else { return Arena.nowhere }
    if GuardPages.areOn {
      guarded.append(AlignedBuffer(count: scalars))
      return guarded.last!.start
    }
    next = piece + whole
    return piece
  }

  /// The address of all pieces while the arena only counts. It is never dereferenced.
  private static var nowhere: UnsafeMutablePointer<Scalar> { UnsafeMutablePointer(bitPattern: 64)! }
}
