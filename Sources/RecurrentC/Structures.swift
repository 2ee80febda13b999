import CRecurrent
import Recurrent

// Structures that start with their own size, so that a program and the library may have different versions.

/// A copy of a program's structure. Fields that an older, smaller structure lacks are zero. Bytes of a newer, larger
/// structure that this version does not know must be zero, so that the library ignores no request.
///
/// - Parameter zero: a structure of zeros.
func structure<Structure: BitwiseCopyable>(
  _ pointer: UnsafePointer<Structure>?, _ zero: Structure, _ name: @autoclosure () -> String
) throws -> Structure {
  let pointer = try notNull(pointer, name(), "the address of a \(Structure.self)")
  try checkAlignment(of: pointer, name())
  // Only the size may be read before it has been checked.
  let size = UnsafeRawPointer(pointer).load(as: Int.self)
  guard (MemoryLayout<Int>.size...largestStructure).contains(size) else {
    throw CallError.argument(
      "\(name()).size is \(size), expected sizeof(\(Structure.self)) = "
        + "\(MemoryLayout<Structure>.size), at least \(MemoryLayout<Int>.size) and at most \(largestStructure)")
  }
  let bytes = UnsafeRawBufferPointer(start: pointer, count: size), known = MemoryLayout<Structure>.size
  if size > known, let byte = bytes[known...].firstIndex(where: { $0 != 0 }) {
    throw CallError.argument(
      "\(name()).size is \(size), and byte \(byte) is \(bytes[byte]), expected zeros from byte \(known) on: this version "
        + "of the library has no fields there")
  }
  var copy = zero
  withUnsafeMutableBytes(of: &copy) { $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.prefix(known))) }
  return copy
}

/// A size that is larger than the structures of any version.
private let largestStructure = 4096

/// h and c of a state, or of its gradient. The call checks their counts, because it knows the batch size.
@inline(__always)
func statePlace<Scalar: CScalar>(
  _ pointer: UnsafePointer<Scalar.State>?, of layer: Layer<Scalar>, _ name: @autoclosure () -> String = "state"
) throws -> StatePlace<Scalar> {
  let state = try structure(pointer, Scalar.State(), name())
  let h = try buffer(state.h, state.h_count, "\(name()).h")
  guard layer.cell.hasCellState else {
    guard try optionalBuffer(state.c, state.c_count, "\(name()).c") == nil else {
      throw CallError.argument("\(name()).c is not null, expected null: this cell has no c")
    }
    return StatePlace(h: h, c: UnsafeMutableBufferPointer(start: nil, count: 0))
  }
  return StatePlace(h: h, c: try buffer(state.c, state.c_count, "\(name()).c"))
}

/// The sizes and the options of a call.
struct Call {
  let steps: Int
  let batchSize: Int
  /// The options. Lengths and resets are in the program's memory.
  let options: BorrowedOptions

  init(_ pointer: UnsafePointer<recurrent_call>?) throws {
    let call = try structure(pointer, recurrent_call(), "call")
    steps = try size(call.steps, "steps")
    batchSize = try size(call.batch_size, "batch_size")
    // C's int64_t has the size and alignment of Int.
    let numbers = UnsafeRawPointer(call.lengths)?.assumingMemoryBound(to: Int.self)
    let lengths = try optionalBuffer(numbers, call.lengths_count, "lengths")
    let resets = try optionalBuffer(call.resets, call.resets_count, "resets")
    // This comes before any of their values is read.
    if lengths != nil || resets != nil {
      if !fitMemory(steps, batchSize) { _ = try checkedCount(("steps", steps), ("batchSize", batchSize)) }
      if let lengths { try checkCount("lengths", lengths.count, is: batchSize, "batch_size") }
      if let resets { try checkCount("resets", resets.count, is: steps * batchSize, "\(steps)·\(batchSize)") }
    }
    var options = BorrowedOptions(
      lengths: lengths, resets: resets,
      xLayout: try layout(call.x_layout, step: call.x_step, sequence: call.x_sequence, "x"),
      yLayout: try layout(call.y_layout, step: call.y_step, sequence: call.y_sequence, "y"), dropout: .off)
    let seed = DropoutSeed(
      call.dropout_seed, firstSequence: Int(truncatingIfNeeded: call.first_sequence),
      firstStep: Int(truncatingIfNeeded: call.first_step))
    switch call.dropout_mode {
    case RECURRENT_DROPOUT_SEEDED: options.dropout = .seeded(seed)
    case RECURRENT_DROPOUT_OFF: options.dropout = .off
    default: throw wrongChoice(call.dropout_mode.rawValue, most: 1, "dropout_mode")
    }
    self.options = options
  }

  /// - Throws: `RecurrentError` if two buffers of the call share memory.
  func checkApart<Scalar: CScalar>(
    _ x: UnsafeBufferPointer<Scalar>, _ y: UnsafeMutableBufferPointer<Scalar>?, _ state: StatePlace<Scalar>
  ) throws(RecurrentError) {
    let regions: [6 of Region] = [
      Region("x", read: UnsafeRawBufferPointer(x)),
      Region("lengths", read: options.lengths.map { UnsafeRawBufferPointer($0) }),
      Region("resets", read: options.resets.map { UnsafeRawBufferPointer($0) }),
      Region("y", written: y.map { UnsafeRawBufferPointer($0) }),
      Region("state.h", written: UnsafeRawBufferPointer(state.h)),
      Region("state.c", written: UnsafeRawBufferPointer(state.c)),
    ]
    try Recurrent.checkApart(regions.span, readsToo: true)
  }
}

private func layout(_ layout: recurrent_layout, step: Int, sequence: Int, _ name: String) throws -> Layout {
  switch layout {
  case RECURRENT_TIME_MAJOR: return .timeMajor
  case RECURRENT_BATCH_MAJOR: return .batchMajor
  case RECURRENT_STRIDED:
    return .strided(
      step: try size(step, "\(name)_step"), sequence: try size(sequence, "\(name)_sequence"))
  default: throw wrongChoice(layout.rawValue, most: 2, "\(name)_layout")
  }
}
