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

/// The sizes and options of a call.
private struct Call {
  let steps: Int
  let batchSize: Int
  let options: CallOptions

  init(_ pointer: UnsafePointer<recurrent_call>?) throws {
    let call = try structure(pointer, "call")
    let steps = try size(call.steps, "call.steps"), batchSize = try size(call.batch_size, "call.batch_size")
    var options = CallOptions(
      xLayout: try layout(call.x_layout, step: call.x_step, sequence: call.x_sequence, "x"),
      yLayout: try layout(call.y_layout, step: call.y_step, sequence: call.y_sequence, "y"))
    if call.lengths != nil || call.resets != nil {
      let count = try checkedCount(("steps", steps), ("batchSize", batchSize))
      options.lengths = call.lengths.map { UnsafeBufferPointer(start: $0, count: batchSize).map { Int($0) } }
      options.resets = call.resets.map { UnsafeBufferPointer(start: $0, count: count).map { $0 != 0 } }
    }
    options.dropout =
      call.drops == 0
      ? .off
      : .seeded(
        DropoutSeed(
          call.dropout_seed, firstSequence: Int(truncatingIfNeeded: call.first_sequence),
          firstStep: Int(truncatingIfNeeded: call.first_step)))
    self.steps = steps
    self.batchSize = batchSize
    self.options = options
  }
}

private func layout(_ layout: recurrent_layout, step: Int, sequence: Int, _ name: String) throws -> Layout {
  switch layout {
  case RECURRENT_TIME_MAJOR: return .timeMajor
  case RECURRENT_BATCH_MAJOR: return .batchMajor
  case RECURRENT_STRIDED:
    return .strided(
      step: try size(step, "call.\(name)_step"), sequence: try size(sequence, "call.\(name)_sequence"))
  default: throw CallError.argument("call.\(name)_layout is \(layout.rawValue), expected 0 to 2")
  }
}

@c @implementation
public func recurrent_forward(
  _ layer: OpaquePointer?, _ call: UnsafePointer<recurrent_call>?, _ x: UnsafePointer<Float>?, _ x_count: Int,
  _ h: UnsafeMutablePointer<Float>?, _ c: UnsafeMutablePointer<Float>?, _ y: UnsafeMutablePointer<Float>?,
  _ y_count: Int, _ scratch: OpaquePointer?
) -> recurrent_status {
  status {
    let layer = try layerObject(layer).layer, call = try Call(call)
    try layer.runForward(
      try floats(x, x_count, "x"), call.steps, call.batchSize,
      try state(h, c, of: layer, batchSize: call.batchSize), try floats(y, y_count, "y"), call.options,
      try scratchObject(scratch).scratch)
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
  _ h: UnsafeMutablePointer<Float>?, _ c: UnsafeMutablePointer<Float>?, _ y: UnsafeMutablePointer<Float>?,
  _ y_count: Int, _ record: OpaquePointer?, _ scratch: OpaquePointer?
) -> recurrent_status {
  status {
    let layer = try layerObject(layer).layer, call = try Call(call)
    let record: RecordObject = try object(record, "record")
    try layer.runRecord(
      try floats(x, x_count, "x"), call.steps, call.batchSize,
      try state(h, c, of: layer, batchSize: call.batchSize), try optionalFloats(y, y_count, "y"), record.record,
      call.options, try scratchObject(scratch).scratch)
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
  _ dy: UnsafePointer<Float>?, _ dy_count: Int, _ dh: UnsafeMutablePointer<Float>?, _ dc: UnsafeMutablePointer<Float>?,
  _ dx: UnsafeMutablePointer<Float>?, _ dx_count: Int, _ gradients: OpaquePointer?, _ scratch: OpaquePointer?
) -> recurrent_status {
  status {
    let layer = try layerObject(layer).layer, gradients = try gradientsObject(gradients)
    let record: RecordObject = try object(record, "record")
    try layer.runBackward(
      record.record, try floats(x, x_count, "x"),
      try optionalFloats(UnsafeMutablePointer(mutating: dy), dy_count, "dy").map { UnsafeBufferPointer($0) },
      try state(dh, dc, of: layer, batchSize: record.record.batchSize, "dh", "dc"),
      try optionalFloats(dx, dx_count, "dx"), &gradients.gradients, try scratchObject(scratch).scratch)
  }
}
