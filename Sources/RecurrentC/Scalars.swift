import CRecurrent
import Recurrent

// Every function that takes or returns scalars exists for floats and, with a name that ends in `_f64`, for doubles.
// Both call one generic function. It is always inlined, so that each of the two is compiled for its scalar.

/// A scalar that the C functions support.
protocol CScalar: RecurrentScalar {
  /// The C structure of a state.
  associatedtype State: CState, BitwiseCopyable where State.Scalar == Self
  static var numbers: Numbers { get }
  static func scratch(_ object: ScratchObject) -> Scratch<Self>
  static func record(_ object: RecordObject) -> Record<Self>
}

extension Float: CScalar {
  typealias State = recurrent_state
  static var numbers: Numbers { .floats }
  static func scratch(_ object: ScratchObject) -> Scratch<Float> { object.floats }
  static func record(_ object: RecordObject) -> Record<Float> { object.floats }
}

extension Double: CScalar {
  typealias State = recurrent_state_f64
  static var numbers: Numbers { .doubles }
  static func scratch(_ object: ScratchObject) -> Scratch<Double> { object.doubles }
  static func record(_ object: RecordObject) -> Record<Double> { object.doubles }
}

/// A state in C: two pointers with their counts.
protocol CState {
  associatedtype Scalar
  /// Zeros.
  init()
  var h: UnsafeMutablePointer<Scalar>! { get }
  var h_count: Int { get }
  var c: UnsafeMutablePointer<Scalar>! { get }
  var c_count: Int { get }
}

extension recurrent_state: CState {}
extension recurrent_state_f64: CState {}
