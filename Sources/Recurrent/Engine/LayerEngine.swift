/// The code of one scalar behind a layer. A layer reaches it once, when it is made; each call enters it through one of
/// these functions, which are specialized for every scalar.
package protocol LayerEngine<Scalar>: AnyObject, Sendable {
  associatedtype Scalar: RecurrentScalar
  /// Another one, for other parameters.
  func copy() -> any LayerEngine<Scalar>
  /// Packs the parameters; nobody else may use the engine meanwhile.
  func adopt(_ parameters: Parameters<Scalar>)
  /// Makes room in a record for a call.
  func prepare(_ record: Record<Scalar>, steps: Int, batchSize: Int, options: BorrowedOptions)
  /// Runs a call of `forward`, or of `record` if it has a record.
  func forward(_ call: ForwardCall<Scalar>)
  /// Runs a call of `backward`.
  func backward(_ call: BackwardCall<Scalar>)
  /// The state of `batchSize` sequences that start from zero, with the parameters that the engine has now.
  func makeStream(batchSize: Int) -> any StreamEngine<Scalar>
}

/// The state of a stream and its kernels; every pointer has been checked.
package protocol StreamEngine<Scalar>: AnyObject {
  associatedtype Scalar: RecurrentScalar
  /// Another one with the same state.
  func copy() -> any StreamEngine<Scalar>
  /// Runs `steps` steps from x [T,N,C] to y [T,N,H].
  func process(_ x: UnsafePointer<Scalar>, steps: Int, into y: UnsafeMutablePointer<Scalar>)
  /// Copies h and c to [L,N,H]; `c` is nil if the cell has none.
  func readState(h: UnsafeMutablePointer<Scalar>, c: UnsafeMutablePointer<Scalar>?)
  /// Takes h and c from [L,N,H]; `c` is nil if the cell has none.
  func writeState(h: UnsafePointer<Scalar>, c: UnsafePointer<Scalar>?)
  /// Every sequence starts again from zero.
  func reset()
  /// One sequence starts again from zero.
  func reset(seat: Int)
  /// A new sequence takes a seat, from zero.
  func join(seat: Int)
  /// A sequence gives up its seat.
  func leave(seat: Int)
  /// Whether a seat has a sequence.
  func isTaken(seat: Int) -> Bool
}

/// What an engine is made for.
package struct EngineOptions: Sendable {
  package let shape: LayerShape
  package let instructionSet: InstructionSet
  package let dropout: Float
  package let flushesDenormals: Bool
  /// The bytes of the second cache that the work is cut for.
  package let secondCache: Int

  /// The engine for a scalar.
  ///
  /// - Throws: `RecurrentError` if the package has no kernels for the scalar or the processor lacks the instruction set.
  package func makeEngine<Scalar: RecurrentScalar>(
    _ scalar: Scalar.Type
  ) throws(RecurrentError) -> any LayerEngine<Scalar> {
    guard let element = scalar as? any Element.Type else {
      throw .value(name: "Scalar", was: "\(scalar)", expected: "Float or Double")
    }
    func make<E: Element>(_: E.Type) throws(RecurrentError) -> any LayerEngine<Scalar> {
      try Stack<E>(self) as! any LayerEngine<Scalar>
    }
    return try make(element)
  }
}

/// The buffers of one forward call; every pointer has been checked.
package struct ForwardCall<Scalar: RecurrentScalar> {
  package let steps: Int
  package let batchSize: Int
  package let x: UnsafePointer<Scalar>
  package let xDistances: Distances
  package let h: UnsafeMutablePointer<Scalar>  // [L·D,N,H], read and overwritten
  package let c: UnsafeMutablePointer<Scalar>?  // the same, of an LSTM
  package let y: UnsafeMutablePointer<Scalar>?  // may be nil with a record, which keeps y
  package let yDistances: Distances
  package let options: BorrowedOptions
  package let record: Record<Scalar>?
  package let scratch: Scratch<Scalar>
}

/// The buffers of one backward call; every pointer has been checked. A null gradient means zero if it is read and
/// not wanted where it is written.
package struct BackwardCall<Scalar: RecurrentScalar> {
  package let record: Record<Scalar>
  package let x: UnsafePointer<Scalar>
  package let xDistances: Distances  // of dx too
  package let dy: UnsafePointer<Scalar>?
  package let yDistances: Distances
  package let dh: UnsafeMutablePointer<Scalar>  // [L·D,N,H]: of the final state, read, and of the initial, overwritten
  package let dc: UnsafeMutablePointer<Scalar>?
  package let dx: UnsafeMutablePointer<Scalar>?
  package let parameters: UnsafePointer<Scalar>
  package let gradients: UnsafeMutablePointer<Scalar>  // added to
  package let scratch: Scratch<Scalar>
}
