import Synchronization

/// Panels that are filled when they are first used, and again after `empty`. Any thread may be the first.
package final class LazyPanels<Scalar: RecurrentScalar>: @unchecked Sendable {
  private let isFilled = Atomic(false)
  private let filling = Mutex(())
  private var buffer: AlignedBuffer<Scalar>?

  package func start(
    count: Int, fill: (UnsafeMutablePointer<Scalar>) -> Void
  ) -> UnsafePointer<Scalar> {
    if !isFilled.load(ordering: .acquiring) {
      filling.withLock { _ in
        guard !isFilled.load(ordering: .relaxed) else { return }
        let buffer = self.buffer ?? AlignedBuffer(count: count)
        fill(buffer.start)
        self.buffer = buffer
        isFilled.store(true, ordering: .releasing)
      }
    }
    return UnsafePointer(buffer!.start)
  }

  /// Marks the panels as empty. Nothing else may use them at the same time.
  package func empty() { isFilled.store(false, ordering: .relaxed) }
}
