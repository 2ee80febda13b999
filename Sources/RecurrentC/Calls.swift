import CRecurrent
import Recurrent

/// A scratch for layers of either scalar. Each scalar has memory of its own, which starts empty; both use the same
/// threads.
final class ScratchObject: HandleObject {
  static let kind = HandleKind.scratch
  static let numbers: Numbers? = nil
  let floats: Scratch<Float>
  let doubles: Scratch<Double>
  let threadCount: Int

  init(threadCount: Int) throws {
    self.threadCount = threadCount
    let threads = threadCount == 1 ? nil : try Threads(count: threadCount)
    floats = Scratch(threads: threads)
    doubles = Scratch(threads: threads)
  }
}

// MARK: - Scratch

@c @implementation
public func recurrent_scratch_create(
  _ thread_count: Int, _ scratch: UnsafeMutablePointer<OpaquePointer?>?
) -> recurrent_status {
  status {
    let place = try resultPlace(scratch, "scratch")
    place.pointee = nil
    guard (1...1024).contains(thread_count) else {
      throw CallError.argument("thread_count is \(thread_count), expected 1 to 1024")
    }
    place.pointee = makeHandle(try ScratchObject(threadCount: thread_count))
  }
}

@c @implementation
public func recurrent_scratch_destroy(_ scratch: OpaquePointer?) -> recurrent_status {
  status { try destroyHandle(scratch, "scratch", .scratch) }
}

@c @implementation
public func recurrent_scratch_byte_count(
  _ scratch: OpaquePointer?, _ byte_count: UnsafeMutablePointer<Int>?
) -> recurrent_status {
  status {
    let scratch = try scratchObject(scratch)
    try store(scratch.floats.byteCount + scratch.doubles.byteCount, byte_count, "byte_count")
  }
}

@c @implementation
public func recurrent_scratch_thread_count(
  _ scratch: OpaquePointer?, _ thread_count: UnsafeMutablePointer<Int>?
) -> recurrent_status {
  status { try store(try scratchObject(scratch).threadCount, thread_count, "thread_count") }
}

func scratchObject(_ handle: OpaquePointer?) throws -> ScratchObject { try object(handle, "scratch") }

// MARK: - Sequences

@inline(__always)
private func forward<Scalar: CScalar>(
  _ layer: OpaquePointer?, _ call: UnsafePointer<recurrent_call>?, _ x: UnsafePointer<Scalar>?, _ x_count: Int,
  _ state: UnsafePointer<Scalar.State>?, _ y: UnsafeMutablePointer<Scalar>?, _ y_count: Int, _ scratch: OpaquePointer?
) throws {
  let layer = try (object(layer, "layer") as LayerObject<Scalar>).layer, call = try Call(call)
  let x = try buffer(x, x_count, "x"), y = try buffer(y, y_count, "y"), state = try statePlace(state, of: layer)
  let scratch = Scalar.scratch(try scratchObject(scratch))
  try layer.runForward(x, call.steps, call.batchSize, state, y, call.options, scratch) {
    () throws(RecurrentError) in try call.checkApart(x, y, state)
  }
}

@c @implementation
public func recurrent_forward(
  _ layer: OpaquePointer?, _ call: UnsafePointer<recurrent_call>?, _ x: UnsafePointer<Float>?, _ x_count: Int,
  _ state: UnsafePointer<recurrent_state>?, _ y: UnsafeMutablePointer<Float>?, _ y_count: Int,
  _ scratch: OpaquePointer?
) -> recurrent_status {
  status { try forward(layer, call, x, x_count, state, y, y_count, scratch) }
}

@c @implementation
public func recurrent_forward_f64(
  _ layer: OpaquePointer?, _ call: UnsafePointer<recurrent_call>?, _ x: UnsafePointer<Double>?, _ x_count: Int,
  _ state: UnsafePointer<recurrent_state_f64>?, _ y: UnsafeMutablePointer<Double>?, _ y_count: Int,
  _ scratch: OpaquePointer?
) -> recurrent_status {
  status { try forward(layer, call, x, x_count, state, y, y_count, scratch) }
}
