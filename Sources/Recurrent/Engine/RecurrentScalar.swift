/// The numbers that layers compute with: `Float`.
///
/// Conformances outside the package make no sense; each scalar needs kernels of its own.
public protocol RecurrentScalar: BinaryFloatingPoint, Sendable {
  associatedtype Engine: LayerEngine where Engine.Scalar == Self
}

/// The code of one scalar behind every layer, chosen once a call, so that all below it is specialised here and not in
/// the caller's module.
public protocol LayerEngine: Sendable {
  associatedtype Scalar: RecurrentScalar
  /// Makes the parts of a layer, without parameters yet.
  init(_ options: EngineOptions) throws(RecurrentError)
  mutating func adopt(_ parameters: Parameters<Scalar>)
  func prepare(_ record: Record<Scalar>, steps: Int, batchSize: Int, options: CallOptions)
  func forward(_ call: ForwardCall<Scalar>)
  func backward(_ call: BackwardCall<Scalar>)
}

/// What an engine is made for.
public struct EngineOptions: Sendable {
  package let shape: LayerShape
  package let instructionSet: InstructionSet
  package let dropout: Float
  package let flushesDenormals: Bool
}

extension Float: RecurrentScalar {
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
  package let y: UnsafeMutablePointer<Scalar>?  // nil with a record: it keeps y
  package let yDistances: Distances
  package let options: CallOptions
  package let record: Record<Scalar>?
  package let scratch: Scratch<Scalar>
}

/// The buffers of one backward call; every pointer has been checked. A null gradient means zero where it is read and
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
