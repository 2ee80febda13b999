import CRecurrent
import Recurrent

final class StreamObject: HandleObject {
  static let kind = HandleKind.stream
  let stream: RecurrentStream<Float>
  init(_ stream: RecurrentStream<Float>) { self.stream = stream }
}

private func streamObject(_ handle: OpaquePointer?) throws -> RecurrentStream<Float> {
  (try object(handle, "stream") as StreamObject).stream
}

@c @implementation
public func recurrent_stream_create(
  _ layer: OpaquePointer?, _ batch_size: Int, _ stream: UnsafeMutablePointer<OpaquePointer?>?
) -> recurrent_status {
  status {
    let place = try notNull(stream, "stream")
    place.pointee = nil
    let layer = try layerObject(layer).layer, batchSize = try size(batch_size, "batch_size")
    place.pointee = makeHandle(StreamObject(try layer.stream(batchSize: batchSize)))
  }
}

@c @implementation
public func recurrent_stream_fork(
  _ stream: OpaquePointer?, _ fork: UnsafeMutablePointer<OpaquePointer?>?
) -> recurrent_status {
  status {
    let place = try notNull(fork, "fork")
    place.pointee = nil
    place.pointee = makeHandle(StreamObject(try streamObject(stream).fork()))
  }
}

@c @implementation
public func recurrent_stream_destroy(_ stream: OpaquePointer?) -> recurrent_status {
  status { try destroyHandle(stream, "stream", StreamObject.self) }
}

@c @implementation
public func recurrent_stream_step(
  _ stream: OpaquePointer?, _ x: UnsafePointer<Float>?, _ x_count: Int, _ y: UnsafeMutablePointer<Float>?,
  _ y_count: Int
) -> recurrent_status {
  status {
    try streamObject(stream).process(try buffer(x, x_count, "x"), steps: 1, into: try buffer(y, y_count, "y"))
  }
}

@c @implementation
public func recurrent_stream_process(
  _ stream: OpaquePointer?, _ steps: Int, _ x: UnsafePointer<Float>?, _ x_count: Int,
  _ y: UnsafeMutablePointer<Float>?, _ y_count: Int
) -> recurrent_status {
  status {
    guard steps >= 0 else {
      throw CallError.argument("steps is \(UInt(bitPattern: steps)), expected at most \(Int.max)")
    }
    try streamObject(stream).process(try buffer(x, x_count, "x"), steps: steps, into: try buffer(y, y_count, "y"))
  }
}

// MARK: - State

@c @implementation
public func recurrent_stream_get_state(
  _ stream: OpaquePointer?, _ state: UnsafePointer<recurrent_state>?
) -> recurrent_status {
  status {
    let stream = try streamObject(stream)
    try stream.readState(into: try statePlace(state, of: stream.layer))
  }
}

@c @implementation
public func recurrent_stream_set_state(
  _ stream: OpaquePointer?, _ state: UnsafePointer<recurrent_state>?
) -> recurrent_status {
  status {
    let stream = try streamObject(stream)
    try stream.writeState(from: try statePlace(state, of: stream.layer))
  }
}

@c @implementation
public func recurrent_stream_reset(_ stream: OpaquePointer?) -> recurrent_status {
  status { try streamObject(stream).reset() }
}

/// C's number, as it was there.
private func checked(_ slot: Int) throws -> Int {
  guard slot >= 0 else {
    throw CallError.argument("slot is \(UInt(bitPattern: slot)), expected less than the stream's batch size")
  }
  return slot
}

@c @implementation
public func recurrent_stream_reset_slot(_ stream: OpaquePointer?, _ slot: Int) -> recurrent_status {
  status { try streamObject(stream).reset(try checked(slot)) }
}

@c @implementation
public func recurrent_stream_join(_ stream: OpaquePointer?, _ slot: Int) -> recurrent_status {
  status { try streamObject(stream).join(try checked(slot)) }
}

@c @implementation
public func recurrent_stream_leave(_ stream: OpaquePointer?, _ slot: Int) -> recurrent_status {
  status { try streamObject(stream).leave(try checked(slot)) }
}

@c @implementation
public func recurrent_stream_is_active(
  _ stream: OpaquePointer?, _ slot: Int, _ is_active: UnsafeMutablePointer<Int32>?
) -> recurrent_status {
  status {
    let stream = try streamObject(stream)
    guard (0..<stream.batchSize).contains(slot) else {
      throw CallError.argument("slot is \(UInt(bitPattern: slot)), expected 0 to \(stream.batchSize - 1)")
    }
    try store(stream.isActive(slot) ? 1 : 0, is_active, "is_active")
  }
}
