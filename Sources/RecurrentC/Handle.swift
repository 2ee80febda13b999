import CRecurrent
import Recurrent

/// An object to which C holds a handle.
protocol HandleObject: AnyObject {
  static var kind: HandleKind { get }
  /// The object's scalar; nil if the object serves layers of either scalar.
  static var numbers: Numbers? { get }
}

/// The tag of a handle: a number that other memory is unlikely to hold by accident.
enum HandleKind: UInt64 {
  case layer = 0x7265_6375_7272_6c01
  case scratch
  case record
  case gradients
  case stream
}

/// The scalar that an object computes with.
enum Numbers {
  case floats
  case doubles
}

/// The memory that a handle points to. The tag tells the kinds of handles apart. A destroyed handle has no tag.
private struct Handle {
  var tag: UInt64
  let numbers: Numbers?
  let object: Unmanaged<AnyObject>
}

/// Passes an object to C, which owns it from then on.
func makeHandle<Object: HandleObject>(_ object: Object) -> OpaquePointer {
  let handle = UnsafeMutablePointer<Handle>.allocate(capacity: 1)
  handle.initialize(
    to: Handle(tag: Object.kind.rawValue, numbers: Object.numbers, object: .passRetained(object)))
  return OpaquePointer(handle)
}

/// - Parameter ofLayer: whether the object must fit a layer that has been checked before it.
/// - Throws: `CallError` if the handle is null, if its tag is not that of the object's kind, or if the object has the
///   other scalar.
func object<Object: HandleObject>(
  _ handle: OpaquePointer?, _ name: String, ofLayer: Bool = false
) throws -> Object {
  try reference(handle, name, ofLayer: ofLayer).takeUnretainedValue()
}

@inline(__always)
private func reference<Object: HandleObject>(
  _ handle: OpaquePointer?, _ name: String, ofLayer: Bool = false
) throws -> Unmanaged<Object> {
  let handle = try checked(handle, name, Object.kind)
  if let numbers = handle.pointee.numbers, let expected = Object.numbers, numbers != expected {
    throw CallError.numbers(name, Object.kind, was: numbers, expected: expected, ofLayer: ofLayer)
  }
  // The tag and the scalar have shown that the object has this type.
  return Unmanaged.fromOpaque(handle.pointee.object.toOpaque())
}

/// Calls `body` with an object. Its references are not counted, because the handle keeps it: a small step would wait
/// for the locked instructions that count.
///
/// - Throws: as `object` does.
@inline(__always)
func withObject<Object: HandleObject>(
  _ handle: OpaquePointer?, _ name: String, _ body: (Object) throws -> Void
) throws {
  try reference(handle, name)._withUnsafeGuaranteedRef(body)
}

/// The scalar of an object, for calls that take objects of either scalar.
func numbers(_ handle: OpaquePointer?, _ name: String, _ kind: HandleKind) throws -> Numbers? {
  try checked(handle, name, kind).pointee.numbers
}

/// Takes an object back from C. A null handle is ignored.
func destroyHandle(_ handle: OpaquePointer?, _ name: String, _ kind: HandleKind) throws {
  guard handle != nil else { return }
  let handle = try checked(handle, name, kind)
  let object = handle.pointee.object
  handle.pointee.tag = 0
  handle.deallocate()
  object.release()
}

@inline(__always)
private func checked(
  _ handle: OpaquePointer?, _ name: String, _ kind: HandleKind
) throws -> UnsafeMutablePointer<Handle> {
  let pointer = UnsafeMutablePointer<Handle>(try notNull(handle, name, "a recurrent_\(kind)"))
  guard Int(bitPattern: pointer) % MemoryLayout<Handle>.alignment == 0, pointer.pointee.tag == kind.rawValue else {
    throw wrongHandle(pointer, name, kind)
  }
  return pointer
}

/// The error of a pointer that is not a handle of the kind.
@inline(never)
private func wrongHandle(_ pointer: UnsafeMutablePointer<Handle>, _ name: String, _ kind: HandleKind) -> CallError {
  guard Int(bitPattern: pointer) % MemoryLayout<Handle>.alignment == 0 else {
    return .handle("\(name) is no handle, expected a recurrent_\(kind)")
  }
  let was = HandleKind(rawValue: pointer.pointee.tag).map { "a recurrent_\($0)" } ?? "no handle or a destroyed one"
  return .handle("\(name) is \(was), expected a recurrent_\(kind)")
}
