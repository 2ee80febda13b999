import CRecurrent
import Recurrent

// MARK: - Records

/// A record for layers of either scalar. Each scalar has memory of its own, which starts empty.
final class RecordObject: HandleObject {
  static let kind = HandleKind.record
  static let numbers: Numbers? = nil
  let floats = Record<Float>()
  let doubles = Record<Double>()
  /// The scalar of the last call that filled the record.
  @exclusivity(unchecked) var filled: Numbers?
}

@c @implementation
public func recurrent_record_create(_ record: UnsafeMutablePointer<OpaquePointer?>?) -> recurrent_status {
  status { try resultPlace(record, "record").pointee = makeHandle(RecordObject()) }
}

@c @implementation
public func recurrent_record_destroy(_ record: OpaquePointer?) -> recurrent_status {
  status { try destroyHandle(record, "record", .record) }
}

@inline(__always)
private func recordForward<Scalar: CScalar>(
  _ layer: OpaquePointer?, _ call: UnsafePointer<recurrent_call>?, _ x: UnsafePointer<Scalar>?, _ x_count: Int,
  _ state: UnsafePointer<Scalar.State>?, _ y: UnsafeMutablePointer<Scalar>?, _ y_count: Int,
  _ record: OpaquePointer?, _ scratch: OpaquePointer?
) throws {
  let layer = try (object(layer, "layer") as LayerObject<Scalar>).layer, call = try Call(call)
  let record: RecordObject = try object(record, "record")
  let x = try buffer(x, x_count, "x"), y = try optionalBuffer(y, y_count, "y")
  let state = try statePlace(state, of: layer), scratch = Scalar.scratch(try scratchObject(scratch))
  try layer.runRecord(x, call.steps, call.batchSize, state, y, Scalar.record(record), call.options, scratch) {
    () throws(RecurrentError) in try call.checkApart(x, y, state)
  }
  record.filled = Scalar.numbers
}

@c @implementation
public func recurrent_record_forward(
  _ layer: OpaquePointer?, _ call: UnsafePointer<recurrent_call>?, _ x: UnsafePointer<Float>?, _ x_count: Int,
  _ state: UnsafePointer<recurrent_state>?, _ y: UnsafeMutablePointer<Float>?, _ y_count: Int,
  _ record: OpaquePointer?, _ scratch: OpaquePointer?
) -> recurrent_status {
  status { try recordForward(layer, call, x, x_count, state, y, y_count, record, scratch) }
}

@c @implementation
public func recurrent_record_forward_f64(
  _ layer: OpaquePointer?, _ call: UnsafePointer<recurrent_call>?, _ x: UnsafePointer<Double>?, _ x_count: Int,
  _ state: UnsafePointer<recurrent_state_f64>?, _ y: UnsafeMutablePointer<Double>?, _ y_count: Int,
  _ record: OpaquePointer?, _ scratch: OpaquePointer?
) -> recurrent_status {
  status { try recordForward(layer, call, x, x_count, state, y, y_count, record, scratch) }
}

// MARK: - Gradients

final class GradientsObject<Scalar: CScalar>: HandleObject, AnyGradients {
  static var kind: HandleKind { .gradients }
  static var numbers: Numbers? { Scalar.numbers }
  @exclusivity(unchecked) var gradients: Parameters<Scalar>
  init(_ gradients: Parameters<Scalar>) { self.gradients = gradients }

  func setToZero() { gradients.withMutableValues { $0.update(repeating: 0) } }
}

/// The part of a gradient object that does not depend on the scalar.
private protocol AnyGradients: AnyObject {
  func setToZero()
}

private func anyGradients(_ handle: OpaquePointer?) throws -> any AnyGradients {
  if try numbers(handle, "gradients", .gradients) == .doubles {
    return try object(handle, "gradients") as GradientsObject<Double>
  }
  return try object(handle, "gradients") as GradientsObject<Float>
}

@c @implementation
public func recurrent_gradients_create(
  _ layer: OpaquePointer?, _ gradients: UnsafeMutablePointer<OpaquePointer?>?
) -> recurrent_status {
  status {
    let place = try resultPlace(gradients, "gradients")
    place.pointee = nil
    place.pointee = try anyLayer(layer).makeGradients()
  }
}

@c @implementation
public func recurrent_gradients_destroy(_ gradients: OpaquePointer?) -> recurrent_status {
  status { try destroyHandle(gradients, "gradients", .gradients) }
}

@c @implementation
public func recurrent_gradients_zero(_ gradients: OpaquePointer?) -> recurrent_status {
  status { try anyGradients(gradients).setToZero() }
}

@inline(__always)
private func getGradients<Scalar: CScalar>(
  _ name: String?, _ gradients: OpaquePointer?, _ values: UnsafeMutablePointer<Scalar>?, _ count: Int
) throws {
  try copy(name, of: (object(gradients, "gradients") as GradientsObject<Scalar>).gradients, to: values, count)
}

@c @implementation
public func recurrent_gradients_get(
  _ gradients: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ values: UnsafeMutablePointer<Float>?, _ count: Int
) -> recurrent_status {
  status { try getGradients(try text(name, "name"), gradients, values, count) }
}

@c @implementation
public func recurrent_gradients_get_f64(
  _ gradients: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ values: UnsafeMutablePointer<Double>?, _ count: Int
) -> recurrent_status {
  status { try getGradients(try text(name, "name"), gradients, values, count) }
}

@c @implementation
public func recurrent_gradients_get_values(
  _ gradients: OpaquePointer?, _ values: UnsafeMutablePointer<Float>?, _ count: Int
) -> recurrent_status {
  status { try getGradients(nil, gradients, values, count) }
}

@c @implementation
public func recurrent_gradients_get_values_f64(
  _ gradients: OpaquePointer?, _ values: UnsafeMutablePointer<Double>?, _ count: Int
) -> recurrent_status {
  status { try getGradients(nil, gradients, values, count) }
}

// MARK: - Backward

@inline(__always)
private func backward<Scalar: CScalar>(
  _ layer: OpaquePointer?, _ record: OpaquePointer?, _ x: UnsafePointer<Scalar>?, _ x_count: Int,
  _ dy: UnsafePointer<Scalar>?, _ dy_count: Int, _ d_state: UnsafePointer<Scalar.State>?,
  _ dx: UnsafeMutablePointer<Scalar>?, _ dx_count: Int, _ gradients: OpaquePointer?, _ scratch: OpaquePointer?
) throws {
  let layer = try (object(layer, "layer") as LayerObject<Scalar>).layer
  let gradients: GradientsObject<Scalar> = try object(gradients, "gradients", ofLayer: true)
  let record: RecordObject = try object(record, "record"), scratch = Scalar.scratch(try scratchObject(scratch))
  if let filled = record.filled, filled != Scalar.numbers {
    throw CallError.numbers("record", .record, was: filled, expected: Scalar.numbers, ofLayer: true)
  }
  let x = try buffer(x, x_count, "x"), dy = try optionalBuffer(dy, dy_count, "dy")
  let dx = try optionalBuffer(dx, dx_count, "dx"), dState = try statePlace(d_state, of: layer, "d_state")
  try gradients.gradients.check(against: layer.shape, "gradients")
  try gradients.gradients.withMutableValues { gradients throws(RecurrentError) in
    try layer.runBackward(Scalar.record(record), x, dy, dState, dx, gradients, scratch) { () throws(RecurrentError) in
      let regions: [5 of Region] = [
        Region("x", read: UnsafeRawBufferPointer(x)), Region("dy", read: dy.map { UnsafeRawBufferPointer($0) }),
        Region("dx", written: dx.map { UnsafeRawBufferPointer($0) }),
        Region("d_state.h", written: UnsafeRawBufferPointer(dState.h)),
        Region("d_state.c", written: UnsafeRawBufferPointer(dState.c)),
      ]
      try checkApart(regions.span, readsToo: true)
    }
  }
}

@c @implementation
public func recurrent_backward(
  _ layer: OpaquePointer?, _ record: OpaquePointer?, _ x: UnsafePointer<Float>?, _ x_count: Int,
  _ dy: UnsafePointer<Float>?, _ dy_count: Int, _ d_state: UnsafePointer<recurrent_state>?,
  _ dx: UnsafeMutablePointer<Float>?, _ dx_count: Int, _ gradients: OpaquePointer?, _ scratch: OpaquePointer?
) -> recurrent_status {
  status { try backward(layer, record, x, x_count, dy, dy_count, d_state, dx, dx_count, gradients, scratch) }
}

@c @implementation
public func recurrent_backward_f64(
  _ layer: OpaquePointer?, _ record: OpaquePointer?, _ x: UnsafePointer<Double>?, _ x_count: Int,
  _ dy: UnsafePointer<Double>?, _ dy_count: Int, _ d_state: UnsafePointer<recurrent_state_f64>?,
  _ dx: UnsafeMutablePointer<Double>?, _ dx_count: Int, _ gradients: OpaquePointer?, _ scratch: OpaquePointer?
) -> recurrent_status {
  status { try backward(layer, record, x, x_count, dy, dy_count, d_state, dx, dx_count, gradients, scratch) }
}
