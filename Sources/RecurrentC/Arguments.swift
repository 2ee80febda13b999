import CRecurrent
import Recurrent

// What C may hand over wrongly: null, a size beyond Int, an enumeration's number, a structure of another version.

func notNull<Pointer>(_ pointer: Pointer?, _ name: String) throws -> Pointer {
  guard let pointer else { throw CallError.argument("\(name) is null") }
  return pointer
}

/// A size from 1 on that can be counted with.
func size(_ value: Int, _ name: @autoclosure () -> String) throws -> Int {
  // C's size_t comes as Int: what is above its half is negative here.
  guard value >= 1 else {
    throw CallError.argument("\(name()) is \(UInt(bitPattern: value)), expected 1 to \(Int.max)")
  }
  return value
}

/// Floats to read.
func floats(_ pointer: UnsafePointer<Float>?, _ count: Int, _ name: String) throws -> UnsafeBufferPointer<Float> {
  UnsafeBufferPointer(try floats(UnsafeMutablePointer(mutating: pointer), count, name))
}

/// Floats to write, or to read and write.
func floats(
  _ pointer: UnsafeMutablePointer<Float>?, _ count: Int, _ name: String
) throws -> UnsafeMutableBufferPointer<Float> {
  let pointer = try notNull(pointer, name)
  guard UInt(bitPattern: pointer) % UInt(MemoryLayout<Float>.alignment) == 0 else {
    throw CallError.argument("\(name) is at \(pointer), expected a multiple of \(MemoryLayout<Float>.alignment) bytes")
  }
  guard (0...largestAddressable).contains(count) else {
    throw CallError.argument(
      "\(name)_count is \(UInt(bitPattern: count)), expected at most \(largestAddressable): no memory is larger")
  }
  return UnsafeMutableBufferPointer(start: pointer, count: count)
}

/// A buffer that may be null, with a count of 0 then.
func optionalFloats(
  _ pointer: UnsafeMutablePointer<Float>?, _ count: Int, _ name: String
) throws -> UnsafeMutableBufferPointer<Float>? {
  if pointer != nil { return try floats(pointer, count, name) }
  guard count == 0 else {
    throw CallError.argument("\(name) is null and \(name)_count \(UInt(bitPattern: count)), expected 0 then")
  }
  return nil
}

/// x86-64's user half of the addresses.
private let largestAddressable = 1 << 45

/// h and c of a state, whose counts follow from layer and batch.
func state(
  _ h: UnsafeMutablePointer<Float>?, _ c: UnsafeMutablePointer<Float>?, of layer: Layer<Float>, batchSize: Int,
  _ hName: String = "h", _ cName: String = "c"
) throws -> StatePlace<Float> {
  // Wraps where it is too large: the call refuses such sizes.
  let count = layer.stateCount &* batchSize &* layer.hiddenSize
  func place(_ pointer: UnsafeMutablePointer<Float>?, _ name: String) throws -> UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(start: try floats(pointer, 0, name).baseAddress, count: max(count, 0))
  }
  let hPlace = try place(h, hName)
  guard layer.cell.hasCellState else {
    guard c == nil else { throw CallError.argument("\(cName) is not null, expected null: this cell has no c") }
    return StatePlace(h: hPlace, c: UnsafeMutableBufferPointer(start: nil, count: 0))
  }
  return StatePlace(h: hPlace, c: try place(c, cName))
}

func text(_ pointer: UnsafePointer<CChar>?, _ name: String) throws -> String {
  String(cString: try notNull(pointer, name))
}

/// Writes a result whose place may be null by mistake.
func store<Value>(_ value: Value, _ place: UnsafeMutablePointer<Value>?, _ name: String) throws {
  try notNull(place, name).pointee = value
}

/// A structure that starts with its own size.
func structure<Structure>(
  _ pointer: UnsafePointer<Structure>?, _ name: String
) throws -> Structure {
  let pointer = try notNull(pointer, name)
  guard UInt(bitPattern: pointer) % UInt(MemoryLayout<Structure>.alignment) == 0 else {
    throw CallError.argument(
      "\(name) is at \(pointer), expected a multiple of \(MemoryLayout<Structure>.alignment) bytes")
  }
  // Its size alone: the rest may be shorter than this version's.
  let was = UnsafeRawPointer(pointer).load(as: Int.self)
  guard was == MemoryLayout<Structure>.size else {
    throw CallError.argument(
      "\(name).size is \(UInt(bitPattern: was)), expected sizeof(\(Structure.self)) = \(MemoryLayout<Structure>.size)")
  }
  return pointer.pointee
}

/// One of an enumeration's values by its number.
func choice<Value>(_ number: UInt32, _ values: [Value], _ name: String) throws -> Value {
  guard number < values.count else {
    throw CallError.argument("\(name) is \(number), expected 0 to \(values.count - 1)")
  }
  return values[Int(number)]
}
