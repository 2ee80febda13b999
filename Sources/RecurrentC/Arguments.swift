import CRecurrent
import Recurrent

// Checks of a C caller's arguments: null pointers, sizes beyond Int, numbers of enumerations. The name of an argument
// is only built for an error.
//
// A C caller's -1 becomes a huge size_t, which arrives here as the Int -1. So messages show the negative number that
// the caller wrote.

/// - Parameter expected: what the pointer should point to.
@inline(__always)
func notNull<Pointer>(
  _ pointer: Pointer?, _ name: @autoclosure () -> String, _ expected: @autoclosure () -> String
) throws -> Pointer {
  guard let pointer else { throw wasNull(name(), expected()) }
  return pointer
}

/// The place where a call stores its result.
@inline(__always)
func resultPlace<Value>(
  _ pointer: UnsafeMutablePointer<Value>?, _ name: @autoclosure () -> String
) throws -> UnsafeMutablePointer<Value> {
  try notNull(pointer, name(), "the address of the result")
}

/// A size that must be at least 1.
func size(_ value: Int, _ name: @autoclosure () -> String) throws -> Int {
  guard value >= 1 else { throw CallError.argument("\(name()) is \(value), expected at least 1") }
  return value
}

/// - Throws: `CallError` if the memory does not start at a multiple of its type's alignment.
@inline(__always)
func checkAlignment<Element>(of pointer: UnsafePointer<Element>, _ name: @autoclosure () -> String) throws {
  guard UInt(bitPattern: pointer) % UInt(MemoryLayout<Element>.alignment) == 0 else {
    throw wrongAlignment(UnsafeRawPointer(pointer), MemoryLayout<Element>.alignment, name())
  }
}

// These errors are built in functions of their own, so that the checks before them are only comparisons.
@inline(never)
private func wasNull(_ name: String, _ expected: String) -> CallError {
  .argument("\(name) is null, expected \(expected)")
}

@inline(never)
private func wrongAlignment(_ pointer: UnsafeRawPointer, _ alignment: Int, _ name: String) -> CallError {
  .argument("\(name) is at \(pointer), expected a multiple of \(alignment) bytes")
}

@inline(never)
private func wrongCount(_ count: Int, most: Int, _ name: String) -> CallError {
  .argument("\(name)_count is \(count), expected 0 to \(most): no memory is larger")
}

/// Values to read.
@inline(__always)
func buffer<Element>(
  _ pointer: UnsafePointer<Element>?, _ count: Int, _ name: @autoclosure () -> String
) throws -> UnsafeBufferPointer<Element> {
  let pointer = try notNull(pointer, name(), "the address of values")
  try checkAlignment(of: pointer, name())
  let most = largestAddressable / MemoryLayout<Element>.stride
  guard count >= 0, count <= most else { throw wrongCount(count, most: most, name()) }
  return UnsafeBufferPointer(start: pointer, count: count)
}

/// Values to write, or to read and write.
@inline(__always)
func buffer<Element>(
  _ pointer: UnsafeMutablePointer<Element>?, _ count: Int, _ name: @autoclosure () -> String
) throws -> UnsafeMutableBufferPointer<Element> {
  UnsafeMutableBufferPointer(mutating: try buffer(UnsafePointer(pointer), count, name()))
}

/// Values to read. The pointer may be null if the count is 0.
func optionalBuffer<Element>(
  _ pointer: UnsafePointer<Element>?, _ count: Int, _ name: @autoclosure () -> String
) throws -> UnsafeBufferPointer<Element>? {
  if pointer != nil { return try buffer(pointer, count, name()) }
  guard count == 0 else {
    throw CallError.argument("\(name()) is null and \(name())_count is \(count), expected 0 then")
  }
  return nil
}

/// Values to write. The pointer may be null if the count is 0.
func optionalBuffer<Element>(
  _ pointer: UnsafeMutablePointer<Element>?, _ count: Int, _ name: @autoclosure () -> String
) throws -> UnsafeMutableBufferPointer<Element>? {
  try optionalBuffer(UnsafePointer(pointer), count, name()).map { UnsafeMutableBufferPointer(mutating: $0) }
}

/// The number of bytes in the user's half of the addresses of x86-64.
private let largestAddressable = 1 << 47

func text(_ pointer: UnsafePointer<CChar>?, _ name: @autoclosure () -> String) throws -> String {
  String(cString: try notNull(pointer, name(), "a text"))
}

/// Writes a result to a pointer, which may be null by mistake.
func store<Value>(_ value: Value, _ pointer: UnsafeMutablePointer<Value>?, _ name: @autoclosure () -> String) throws {
  try resultPlace(pointer, name()).pointee = value
}

/// The value of an enumeration with a given number.
func choice<Value>(_ number: UInt32, _ values: [Value], _ name: @autoclosure () -> String) throws -> Value {
  guard number < values.count else { throw wrongChoice(number, most: values.count - 1, name()) }
  return values[Int(number)]
}

/// The error of a number that no constant of an enumeration has. C's enumerations may hold negative numbers, too.
func wrongChoice(_ number: UInt32, most: Int, _ name: String) -> CallError {
  .argument("\(name) is \(Int32(bitPattern: number)), expected 0 to \(most)")
}
