import CRecurrent
import Recurrent

final class ScratchObject: HandleObject {
  static let kind = HandleKind.scratch
  let scratch: Scratch<Float>
  let threadCount: Int

  init(threadCount: Int) throws {
    self.threadCount = threadCount
    scratch = Scratch(threads: threadCount == 1 ? nil : try Threads(count: threadCount))
  }
}

final class RecordObject: HandleObject {
  static let kind = HandleKind.record
  let record = Record<Float>()
}

final class GradientsObject: HandleObject {
  static let kind = HandleKind.gradients
  @exclusivity(unchecked) var gradients: Parameters<Float>
  init(_ gradients: Parameters<Float>) { self.gradients = gradients }
}

// MARK: - Scratch

@c @implementation
public func recurrent_scratch_create(
  _ thread_count: Int, _ scratch: UnsafeMutablePointer<OpaquePointer?>?
) -> recurrent_status {
  status {
    let place = try notNull(scratch, "scratch")
    place.pointee = nil
    guard (1...1024).contains(thread_count) else {
      throw CallError.argument("thread_count is \(UInt(bitPattern: thread_count)), expected 1 to 1024")
    }
    place.pointee = makeHandle(try ScratchObject(threadCount: thread_count))
  }
}

@c @implementation
public func recurrent_scratch_destroy(_ scratch: OpaquePointer?) -> recurrent_status {
  status { try destroyHandle(scratch, "scratch", ScratchObject.self) }
}

@c @implementation
public func recurrent_scratch_byte_count(
  _ scratch: OpaquePointer?, _ byte_count: UnsafeMutablePointer<Int>?
) -> recurrent_status {
  status { try store(try scratchObject(scratch).scratch.byteCount, byte_count, "byte_count") }
}

@c @implementation
public func recurrent_scratch_thread_count(
  _ scratch: OpaquePointer?, _ thread_count: UnsafeMutablePointer<Int>?
) -> recurrent_status {
  status { try store(try scratchObject(scratch).threadCount, thread_count, "thread_count") }
}

private func scratchObject(_ handle: OpaquePointer?) throws -> ScratchObject { try object(handle, "scratch") }

// MARK: - Sequences

@c @implementation
public func recurrent_forward(
  _ layer: OpaquePointer?, _ call: UnsafePointer<recurrent_call>?, _ x: UnsafePointer<Float>?, _ x_count: Int,
  _ state: UnsafePointer<recurrent_state>?, _ y: UnsafeMutablePointer<Float>?, _ y_count: Int,
  _ scratch: OpaquePointer?
) -> recurrent_status {
  status {
    let layer = try layerObject(layer).layer, call = try Call(call)
    let x = try buffer(x, x_count, "x"), y = try buffer(y, y_count, "y"), state = try statePlace(state, of: layer)
    let scratch = try scratchObject(scratch).scratch
    try layer.runForward(x, call.steps, call.batchSize, state, y, call.options, scratch) {
      () throws(RecurrentError) in try call.checkApart(x, y, state)
    }
  }
}

// MARK: - Training

@c @implementation
public func recurrent_record_create(_ record: UnsafeMutablePointer<OpaquePointer?>?) -> recurrent_status {
  status { try notNull(record, "record").pointee = makeHandle(RecordObject()) }
}

@c @implementation
public func recurrent_record_destroy(_ record: OpaquePointer?) -> recurrent_status {
  status { try destroyHandle(record, "record", RecordObject.self) }
}

@c @implementation
public func recurrent_record_forward(
  _ layer: OpaquePointer?, _ call: UnsafePointer<recurrent_call>?, _ x: UnsafePointer<Float>?, _ x_count: Int,
  _ state: UnsafePointer<recurrent_state>?, _ y: UnsafeMutablePointer<Float>?, _ y_count: Int,
  _ record: OpaquePointer?, _ scratch: OpaquePointer?
) -> recurrent_status {
  status {
    let layer = try layerObject(layer).layer, call = try Call(call)
    let record: RecordObject = try object(record, "record")
    let x = try buffer(x, x_count, "x"), y = try optionalBuffer(y, y_count, "y")
    let state = try statePlace(state, of: layer), scratch = try scratchObject(scratch).scratch
    try layer.runRecord(x, call.steps, call.batchSize, state, y, record.record, call.options, scratch) {
      () throws(RecurrentError) in try call.checkApart(x, y, state)
    }
  }
}

@c @implementation
public func recurrent_gradients_create(
  _ layer: OpaquePointer?, _ gradients: UnsafeMutablePointer<OpaquePointer?>?
) -> recurrent_status {
  status {
    let place = try notNull(gradients, "gradients")
    place.pointee = nil
    place.pointee = makeHandle(GradientsObject(try layerObject(layer).layer.zeroGradients()))
  }
}

@c @implementation
public func recurrent_gradients_destroy(_ gradients: OpaquePointer?) -> recurrent_status {
  status { try destroyHandle(gradients, "gradients", GradientsObject.self) }
}

private func gradientsObject(_ handle: OpaquePointer?) throws -> GradientsObject { try object(handle, "gradients") }

@c @implementation
public func recurrent_gradients_zero(_ gradients: OpaquePointer?) -> recurrent_status {
  status { try gradientsObject(gradients).gradients.withMutableValues { $0.update(repeating: 0) } }
}

@c @implementation
public func recurrent_gradients_get(
  _ gradients: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ values: UnsafeMutablePointer<Float>?, _ count: Int
) -> recurrent_status {
  status { try copy(try text(name, "name"), of: try gradientsObject(gradients).gradients, to: values, count) }
}

@c @implementation
public func recurrent_gradients_get_values(
  _ gradients: OpaquePointer?, _ values: UnsafeMutablePointer<Float>?, _ count: Int
) -> recurrent_status {
  status { try copy(nil, of: try gradientsObject(gradients).gradients, to: values, count) }
}

@c @implementation
public func recurrent_backward(
  _ layer: OpaquePointer?, _ record: OpaquePointer?, _ x: UnsafePointer<Float>?, _ x_count: Int,
  _ dy: UnsafePointer<Float>?, _ dy_count: Int, _ d_state: UnsafePointer<recurrent_state>?,
  _ dx: UnsafeMutablePointer<Float>?, _ dx_count: Int, _ gradients: OpaquePointer?, _ scratch: OpaquePointer?
) -> recurrent_status {
  status {
    let layer = try layerObject(layer).layer, gradients = try gradientsObject(gradients)
    let record: RecordObject = try object(record, "record"), scratch = try scratchObject(scratch).scratch
    let x = try buffer(x, x_count, "x"), dy = try optionalBuffer(dy, dy_count, "dy")
    let dx = try optionalBuffer(dx, dx_count, "dx"), dState = try statePlace(d_state, of: layer, "d_state")
    try layer.runBackward(record.record, x, dy, dState, dx, &gradients.gradients, scratch) {
      () throws(RecurrentError) in
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
