/// The numbers that layers compute with: `Float`.
///
/// Conformances outside the package make no sense; each scalar needs kernels of its own.
public protocol RecurrentScalar: BinaryFloatingPoint, Sendable {
  /// The code behind layers of this scalar.
  associatedtype Engine: LayerEngine where Engine.Scalar == Self
}

/// The code of one scalar behind every layer, chosen once a call, so that all below it is specialised here and not in
/// the caller's module.
public protocol LayerEngine: AnyObject, Sendable {
  /// What it computes with.
  associatedtype Scalar: RecurrentScalar
  /// The code behind streams of this scalar.
  associatedtype Stream: StreamEngine where Stream.Engine == Self
  /// Makes the parts of a layer, without parameters yet.
  init(_ options: EngineOptions) throws(RecurrentError)
  /// Another one for other parameters.
  init(like other: Self)
  /// Packs the parameters; nobody else may use the engine meanwhile.
  func adopt(_ parameters: Parameters<Scalar>)
  /// Makes room in a record for a call.
  func prepare(_ record: Record<Scalar>, steps: Int, batchSize: Int, options: BorrowedOptions)
  /// Runs a call of `forward`, or of `record` where it has a record.
  func forward(_ call: ForwardCall<Scalar>)
  /// Runs a call of `backward`.
  func backward(_ call: BackwardCall<Scalar>)
}

/// The state of a stream and its kernels; every pointer has been checked.
public protocol StreamEngine: AnyObject {
  /// The code behind layers of the same scalar.
  associatedtype Engine: LayerEngine
  /// What it computes with.
  typealias Scalar = Engine.Scalar
  /// A stream of `batchSize` sequences that start from zero, with the parameters that the engine has now.
  init(_ engine: Engine, batchSize: Int)
  /// Another one with the same state.
  init(like other: Self)
  /// Runs `steps` steps from x [T,N,C] to y [T,N,H].
  func process(_ x: UnsafePointer<Scalar>, steps: Int, into y: UnsafeMutablePointer<Scalar>)
  /// Copies h and c to [L,N,H]; `c` is nil if the cell has none.
  func readState(h: UnsafeMutablePointer<Scalar>, c: UnsafeMutablePointer<Scalar>?)
  /// Takes h and c from [L,N,H]; `c` is nil if the cell has none.
  func writeState(h: UnsafePointer<Scalar>, c: UnsafePointer<Scalar>?)
  /// Every sequence starts again from zero.
  func reset()
  /// One sequence starts again from zero.
  func reset(slot: Int)
  /// A new sequence takes a slot, from zero.
  func join(slot: Int)
  /// A sequence gives up its slot.
  func leave(slot: Int)
  /// Whether a slot has a sequence.
  func isActive(slot: Int) -> Bool
}

/// What an engine is made for.
public struct EngineOptions: Sendable {
  package let shape: LayerShape
  package let instructionSet: InstructionSet
  package let dropout: Float
  package let flushesDenormals: Bool
}

extension Float: RecurrentScalar {
  /// The code behind layers of floats.
  public typealias Engine = FloatStack
}

/// The buffers of one forward call; every pointer has been checked.
public struct ForwardCall<Scalar: RecurrentScalar> {
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
public struct BackwardCall<Scalar: RecurrentScalar> {
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
