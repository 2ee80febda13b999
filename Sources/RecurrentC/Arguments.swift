import CRecurrent
import Recurrent

// Checks of what a C caller may get wrong: null, a size beyond Int, an enumeration's number. A name is only built for
// an error.

func notNull<Pointer>(_ pointer: Pointer?, _ name: @autoclosure () -> String) throws -> Pointer {
  guard let pointer else { throw CallError.argument("\(name()) is null") }
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

/// - Throws: `CallError` if the memory does not start at a multiple of its type's alignment.
func checkAlignment<Element>(of pointer: UnsafePointer<Element>, _ name: @autoclosure () -> String) throws {
  let alignment = MemoryLayout<Element>.alignment
  guard UInt(bitPattern: pointer) % UInt(alignment) == 0 else {
    throw CallError.argument("\(name()) is at \(pointer), expected a multiple of \(alignment) bytes")
  }
}

/// Values to read.
func buffer<Element>(
  _ pointer: UnsafePointer<Element>?, _ count: Int, _ name: @autoclosure () -> String
) throws -> UnsafeBufferPointer<Element> {
  let pointer = try notNull(pointer, name())
  try checkAlignment(of: pointer, name())
  let most = largestAddressable / MemoryLayout<Element>.stride
  guard (0...most).contains(count) else {
    throw CallError.argument(
      "\(name())_count is \(UInt(bitPattern: count)), expected at most \(most): no memory is larger")
  }
  return UnsafeBufferPointer(start: pointer, count: count)
}

/// Values to write, or to read and write.
func buffer<Element>(
  _ pointer: UnsafeMutablePointer<Element>?, _ count: Int, _ name: @autoclosure () -> String
) throws -> UnsafeMutableBufferPointer<Element> {
  UnsafeMutableBufferPointer(mutating: try buffer(UnsafePointer(pointer), count, name()))
}

/// Values to read that may be null, with a count of 0 then.
func optionalBuffer<Element>(
  _ pointer: UnsafePointer<Element>?, _ count: Int, _ name: @autoclosure () -> String
) throws -> UnsafeBufferPointer<Element>? {
  if pointer != nil { return try buffer(pointer, count, name()) }
  guard count == 0 else {
    throw CallError.argument("\(name()) is null and \(name())_count is \(UInt(bitPattern: count)), expected 0 then")
  }
  return nil
}

/// Values to write that may be null, with a count of 0 then.
func optionalBuffer<Element>(
  _ pointer: UnsafeMutablePointer<Element>?, _ count: Int, _ name: @autoclosure () -> String
) throws -> UnsafeMutableBufferPointer<Element>? {
  try optionalBuffer(UnsafePointer(pointer), count, name()).map { UnsafeMutableBufferPointer(mutating: $0) }
}

/// The bytes of x86-64's user half of the addresses.
private let largestAddressable = 1 << 47

func text(_ pointer: UnsafePointer<CChar>?, _ name: @autoclosure () -> String) throws -> String {
  String(cString: try notNull(pointer, name()))
}

/// Writes a result whose place may be null by mistake.
func store<Value>(_ value: Value, _ place: UnsafeMutablePointer<Value>?, _ name: @autoclosure () -> String) throws {
  try notNull(place, name()).pointee = value
}

/// One of an enumeration's values by its number.
func choice<Value>(_ number: UInt32, _ values: [Value], _ name: @autoclosure () -> String) throws -> Value {
  guard number < values.count else {
    throw CallError.argument("\(name()) is \(number), expected 0 to \(values.count - 1)")
  }
  return values[Int(number)]
}
