/// The place of h and c [L·D,N,H], or of their gradients, in the caller's memory. c is empty if the layer has none.
package struct StatePlace<Scalar: RecurrentScalar> {
  package let h: UnsafeMutableBufferPointer<Scalar>
  package let c: UnsafeMutableBufferPointer<Scalar>

  /// Nil if the layer has no c.
  var cStart: UnsafeMutablePointer<Scalar>? { c.isEmpty ? nil : c.baseAddress }

  package init(h: UnsafeMutableBufferPointer<Scalar>, c: UnsafeMutableBufferPointer<Scalar>) {
    self.h = h
    self.c = c
  }
}

extension Layer {
  /// Calls `body` with the memory of the arrays.
  func withPlace<Failure: Error>(
    _ dState: inout StateGradient<Scalar>, _ body: (StatePlace<Scalar>) throws(Failure) -> Void
  ) throws(Failure) {
    try dState.dh.withUnsafeMutableBufferPointer { dh throws(Failure) in
      try dState.dc.withUnsafeMutableBufferPointer { dc throws(Failure) in try body(StatePlace(h: dh, c: dc)) }
    }
  }

  /// Calls `body` with the memory of the arrays.
  func withPlace<Failure: Error>(
    _ state: inout State<Scalar>, _ body: (StatePlace<Scalar>) throws(Failure) -> Void
  ) throws(Failure) {
    try state.h.withUnsafeMutableBufferPointer { h throws(Failure) in
      try state.c.withUnsafeMutableBufferPointer { c throws(Failure) in try body(StatePlace(h: h, c: c)) }
    }
  }
}
