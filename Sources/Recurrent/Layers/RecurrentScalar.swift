/// The numbers that layers compute with: `Float`.
///
/// Conformances outside the package make no sense; each scalar needs kernels of its own.
public protocol RecurrentScalar: BinaryFloatingPoint, Sendable {
  associatedtype Engine: CellEngine where Engine.Scalar == Self
}

/// The code of one scalar behind every layer, chosen once a call, so that all below it is specialised here and not in
/// the caller's module.
public protocol CellEngine: Sendable {
  associatedtype Scalar: RecurrentScalar
  init(cell: Cell, inputSize: Int, hiddenSize: Int, instructionSet: InstructionSet?) throws(RecurrentError)
  mutating func adopt(_ parameters: Parameters<Scalar>)
  func prepare(_ record: Record<Scalar>, steps: Int, batchSize: Int)
  func forward(_ call: ForwardCall<Scalar>)
  func backward(_ call: BackwardCall<Scalar>)
}

extension Float: RecurrentScalar {
  public typealias Engine = FloatEngine
}

/// The buffers of one forward call; every pointer has been checked.
public struct ForwardCall<Scalar: RecurrentScalar> {
  package var steps: Int
  package var batchSize: Int
  package var x: UnsafePointer<Scalar>  // [T,N,C]
  package var h0: UnsafePointer<Scalar>  // [N,H]
  package var c0: UnsafePointer<Scalar>?  // [N,H], null for zero
  package var y: UnsafeMutablePointer<Scalar>  // [T,N,H]; with a record its own
  package var cn: UnsafeMutablePointer<Scalar>?  // [N,H], overwritten
  package var record: Record<Scalar>?
  package var scratch: Scratch<Scalar>
}

/// The buffers of one backward call; every pointer has been checked. A null gradient means zero where it is read and
/// not wanted where it is written.
public struct BackwardCall<Scalar: RecurrentScalar> {
  package var record: Record<Scalar>
  package var x: UnsafePointer<Scalar>  // [T,N,C]
  package var dy: UnsafePointer<Scalar>?  // [T,N,H]
  package var dhn: UnsafePointer<Scalar>?  // [N,H]
  package var dcn: UnsafePointer<Scalar>?  // [N,H]
  package var weightIH: UnsafePointer<Scalar>  // [G·H,C]
  package var weightHH: UnsafePointer<Scalar>  // [G·H,H]
  package var dx: UnsafeMutablePointer<Scalar>?  // [T,N,C], overwritten
  package var dh0: UnsafeMutablePointer<Scalar>  // [N,H], overwritten
  package var dc0: UnsafeMutablePointer<Scalar>?  // [N,H], overwritten
  package var dWeightIH: UnsafeMutablePointer<Scalar>  // each as its parameter, added to
  package var dWeightHH: UnsafeMutablePointer<Scalar>
  package var dBiasIH: UnsafeMutablePointer<Scalar>?
  package var dBiasHH: UnsafeMutablePointer<Scalar>?
  package var scratch: Scratch<Scalar>
}
