/// The code behind a layer for one scalar. A layer gets it once, when it is made. Each call enters it through one of
/// these functions, which are specialized for every scalar.
package protocol LayerEngine<Scalar>: AnyObject, Sendable {
  associatedtype Scalar: RecurrentScalar
  /// A new engine for other parameters of the same shape.
  func copy() -> any LayerEngine<Scalar>
  /// Packs the parameters. Nothing else may use the engine at the same time.
  func adopt(_ parameters: Parameters<Scalar>)
  /// Allocates the memory of a record that a call needs.
  func prepare(_ record: Record<Scalar>, steps: Int, batchSize: Int, options: BorrowedOptions)
  /// Runs a call of `forward`, or a call of `record` if it has a record.
  func forward(_ call: ForwardCall<Scalar>)
  /// Runs a call of `backward`.
  func backward(_ call: BackwardCall<Scalar>)
  /// A stream of `batchSize` sequences that start from zero, with the parameters that the engine has now.
  func makeStream(batchSize: Int) -> any StreamEngine<Scalar>
}

/// The state of a stream and the code that runs it for one scalar. The caller of these functions has checked every
/// pointer.
@usableFromInline
package protocol StreamEngine<Scalar>: StreamSteps {
  associatedtype Scalar: RecurrentScalar
  /// Another stream with the same state.
  func copy() -> any StreamEngine<Scalar>
  /// Copies h and c to [L,N,H]; `c` is nil if the cell has none.
  func readState(h: UnsafeMutablePointer<Scalar>, c: UnsafeMutablePointer<Scalar>?)
  /// Takes h and c from [L,N,H]; `c` is nil if the cell has none.
  func writeState(h: UnsafePointer<Scalar>, c: UnsafePointer<Scalar>?)
  /// Each seat's sequence goes on from the state of the seat `sources[seat]`, which must have a sequence.
  func reorder(from sources: UnsafeBufferPointer<Int>)
  /// Every sequence starts again from zero.
  func reset()
  /// One sequence starts again from zero.
  func reset(seat: Int)
  /// A new sequence takes a seat and starts from zero.
  func join(seat: Int)
  /// A sequence gives up its seat.
  func leave(seat: Int)
  /// Whether a seat has a sequence.
  func isTaken(seat: Int) -> Bool
}

/// What the engine of a layer depends on.
package struct EngineOptions: Sendable {
  package let shape: LayerShape
  package let instructionSet: InstructionSet
  package let weights: WeightFormat
  package let dropout: Float
  package let flushesDenormals: Bool
  /// The size in bytes of the second cache that the work is cut for.
  package let secondCache: Int

  /// The engine for a scalar.
  ///
  /// - Throws: `RecurrentError` if the package has no kernels for the scalar or the processor lacks the instruction
  ///   set.
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

/// The buffers of one forward call. Every pointer has been checked.
package struct ForwardCall<Scalar: RecurrentScalar> {
  package let steps: Int
  package let batchSize: Int
  package let x: UnsafePointer<Scalar>
  package let xDistances: Distances
  package let h: UnsafeMutablePointer<Scalar>  // [L·D,N,H], read and overwritten
  package let c: UnsafeMutablePointer<Scalar>?  // the same; nil if the cell has no c
  package let y: UnsafeMutablePointer<Scalar>?  // may be nil if there is a record, because the record keeps y
  package let yDistances: Distances
  package let options: BorrowedOptions
  package let record: Record<Scalar>?
  package let scratch: Scratch<Scalar>
}

/// The buffers of one backward call. Every pointer has been checked. A gradient that is nil counts as zero if backward
/// reads it, and is not computed if backward would write it.
package struct BackwardCall<Scalar: RecurrentScalar> {
  package let record: Record<Scalar>
  package let x: UnsafePointer<Scalar>
  package let xDistances: Distances  // also those of dx
  package let dy: UnsafePointer<Scalar>?
  package let yDistances: Distances
  // [L·D,N,H]: the gradient of the final state, which is read; then that of the initial state, which overwrites it
  package let dh: UnsafeMutablePointer<Scalar>
  package let dc: UnsafeMutablePointer<Scalar>?
  package let dx: UnsafeMutablePointer<Scalar>?
  package let parameters: UnsafePointer<Scalar>
  package let gradients: UnsafeMutablePointer<Scalar>  // added to
  package let scratch: Scratch<Scalar>
}
