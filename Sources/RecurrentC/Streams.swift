import CRecurrent
import Recurrent

extension RecurrentStream: HandleObject, AnyStream where Scalar: CScalar {
  static var kind: HandleKind { .stream }
  static var numbers: Numbers? { Scalar.numbers }

  func makeFork() -> OpaquePointer { makeHandle(fork()) }
}

/// The part of a stream that does not depend on the scalar.
private protocol AnyStream: AnyObject {
  func makeFork() -> OpaquePointer
  func reset()
  func reset(_ slot: Int) throws(RecurrentError)
  func join(_ slot: Int) throws(RecurrentError)
  func leave(_ slot: Int) throws(RecurrentError)
  func isActive(_ slot: Int) -> Bool
  func check(_ slot: Int) throws(RecurrentError)
}

private func anyStream(_ handle: OpaquePointer?) throws -> any AnyStream {
  if try numbers(handle, "stream", .stream) == .doubles {
    return try object(handle, "stream") as RecurrentStream<Double>
  }
  return try object(handle, "stream") as RecurrentStream<Float>
}

@c @implementation
public func recurrent_stream_create(
  _ layer: OpaquePointer?, _ batch_size: Int, _ stream: UnsafeMutablePointer<OpaquePointer?>?
) -> recurrent_status {
  status {
    let place = try resultPlace(stream, "stream")
    place.pointee = nil
    let layer = try anyLayer(layer)
    place.pointee = try layer.makeStream(batchSize: try size(batch_size, "batch_size"))
  }
}

@c @implementation
public func recurrent_stream_fork(
  _ stream: OpaquePointer?, _ fork: UnsafeMutablePointer<OpaquePointer?>?
) -> recurrent_status {
  status {
    let place = try resultPlace(fork, "fork")
    place.pointee = nil
    place.pointee = try anyStream(stream).makeFork()
  }
}

@c @implementation
public func recurrent_stream_destroy(_ stream: OpaquePointer?) -> recurrent_status {
  status { try destroyHandle(stream, "stream", .stream) }
}

// MARK: - Steps

@inline(__always)
private func process<Scalar: CScalar>(
  _ stream: OpaquePointer?, _ steps: Int, _ x: UnsafePointer<Scalar>?, _ x_count: Int,
  _ y: UnsafeMutablePointer<Scalar>?, _ y_count: Int
) throws {
  try withObject(stream, "stream") { (stream: RecurrentStream<Scalar>) in
    guard steps == 0 else {
      return try stream.process(try buffer(x, x_count, "x"), steps: steps, into: try buffer(y, y_count, "y"))
    }
    // No steps have no values, so x and y may be null.
    let x = try optionalBuffer(x, x_count, "x"), y = try optionalBuffer(y, y_count, "y")
    try stream.process(
      x ?? UnsafeBufferPointer(start: nil, count: 0), steps: 0,
      into: y ?? UnsafeMutableBufferPointer(start: nil, count: 0))
  }
}

@c @implementation
public func recurrent_stream_step(
  _ stream: OpaquePointer?, _ x: UnsafePointer<Float>?, _ x_count: Int, _ y: UnsafeMutablePointer<Float>?,
  _ y_count: Int
) -> recurrent_status {
  status { try process(stream, 1, x, x_count, y, y_count) }
}

@c @implementation
public func recurrent_stream_step_f64(
  _ stream: OpaquePointer?, _ x: UnsafePointer<Double>?, _ x_count: Int, _ y: UnsafeMutablePointer<Double>?,
  _ y_count: Int
) -> recurrent_status {
  status { try process(stream, 1, x, x_count, y, y_count) }
}

@c @implementation
public func recurrent_stream_process(
  _ stream: OpaquePointer?, _ steps: Int, _ x: UnsafePointer<Float>?, _ x_count: Int,
  _ y: UnsafeMutablePointer<Float>?, _ y_count: Int
) -> recurrent_status {
  status { try process(stream, steps, x, x_count, y, y_count) }
}

@c @implementation
public func recurrent_stream_process_f64(
  _ stream: OpaquePointer?, _ steps: Int, _ x: UnsafePointer<Double>?, _ x_count: Int,
  _ y: UnsafeMutablePointer<Double>?, _ y_count: Int
) -> recurrent_status {
  status { try process(stream, steps, x, x_count, y, y_count) }
}

// MARK: - State

@inline(__always)
private func getState<Scalar: CScalar>(
  _ stream: OpaquePointer?, _ state: UnsafePointer<Scalar.State>?, of _: Scalar.Type
) throws {
  let stream: RecurrentStream<Scalar> = try object(stream, "stream")
  try stream.readState(into: try statePlace(state, of: stream.layer))
}

@inline(__always)
private func setState<Scalar: CScalar>(
  _ stream: OpaquePointer?, _ state: UnsafePointer<Scalar.State>?, of _: Scalar.Type
) throws {
  let stream: RecurrentStream<Scalar> = try object(stream, "stream")
  try stream.writeState(from: try statePlace(state, of: stream.layer))
}

@c @implementation
public func recurrent_stream_get_state(
  _ stream: OpaquePointer?, _ state: UnsafePointer<recurrent_state>?
) -> recurrent_status {
  status { try getState(stream, state, of: Float.self) }
}

@c @implementation
public func recurrent_stream_get_state_f64(
  _ stream: OpaquePointer?, _ state: UnsafePointer<recurrent_state_f64>?
) -> recurrent_status {
  status { try getState(stream, state, of: Double.self) }
}

@c @implementation
public func recurrent_stream_set_state(
  _ stream: OpaquePointer?, _ state: UnsafePointer<recurrent_state>?
) -> recurrent_status {
  status { try setState(stream, state, of: Float.self) }
}

@c @implementation
public func recurrent_stream_set_state_f64(
  _ stream: OpaquePointer?, _ state: UnsafePointer<recurrent_state_f64>?
) -> recurrent_status {
  status { try setState(stream, state, of: Double.self) }
}

@c @implementation
public func recurrent_stream_reset(_ stream: OpaquePointer?) -> recurrent_status {
  status { try anyStream(stream).reset() }
}

@c @implementation
public func recurrent_stream_reset_slot(_ stream: OpaquePointer?, _ slot: Int) -> recurrent_status {
  status { try anyStream(stream).reset(slot) }
}

@c @implementation
public func recurrent_stream_join(_ stream: OpaquePointer?, _ slot: Int) -> recurrent_status {
  status { try anyStream(stream).join(slot) }
}

@c @implementation
public func recurrent_stream_leave(_ stream: OpaquePointer?, _ slot: Int) -> recurrent_status {
  status { try anyStream(stream).leave(slot) }
}

@c @implementation
public func recurrent_stream_is_active(
  _ stream: OpaquePointer?, _ slot: Int, _ is_active: UnsafeMutablePointer<Int32>?
) -> recurrent_status {
  status {
    let stream = try anyStream(stream)
    try stream.check(slot)
    try store(stream.isActive(slot) ? 1 : 0, is_active, "is_active")
  }
}
