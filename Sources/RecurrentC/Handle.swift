import CRecurrent
import Recurrent

/// What C holds a handle of.
protocol HandleObject: AnyObject {
  static var kind: HandleKind { get }
}

/// The tag of a handle: numbers that memory hardly holds by accident.
enum HandleKind: UInt64 {
  case layer = 0x7265_6375_7272_6c01
  case scratch
  case record
  case gradients
  case stream
}

/// What a handle points to. The tag tells handles apart; that of a destroyed one is gone.
private struct Handle {
  var tag: UInt64
  let object: Unmanaged<AnyObject>
}

/// Hands an object to C, which owns it from then on.
func makeHandle<Object: HandleObject>(_ object: Object) -> OpaquePointer {
  let handle = UnsafeMutablePointer<Handle>.allocate(capacity: 1)
  handle.initialize(to: Handle(tag: Object.kind.rawValue, object: .passRetained(object)))
  return OpaquePointer(handle)
}

/// - Throws: `CallError` where the handle is null, or its tag is not that of the object's kind.
func object<Object: HandleObject>(_ handle: OpaquePointer?, _ name: String) throws -> Object {
  // The tag has told its type.
  unsafeDowncast(try checked(handle, name, Object.self).pointee.object.takeUnretainedValue(), to: Object.self)
}

/// Takes an object back from C; null is ignored.
func destroyHandle<Object: HandleObject>(_ handle: OpaquePointer?, _ name: String, _: Object.Type) throws {
  guard handle != nil else { return }
  let handle = try checked(handle, name, Object.self)
  let object = handle.pointee.object
  handle.pointee.tag = 0
  handle.deallocate()
  object.release()
}

private func checked<Object: HandleObject>(
  _ handle: OpaquePointer?, _ name: String, _: Object.Type
) throws -> UnsafeMutablePointer<Handle> {
  let pointer = UnsafeMutablePointer<Handle>(try notNull(handle, name))
  guard Int(bitPattern: pointer) % MemoryLayout<Handle>.alignment == 0 else {
    throw CallError.handle("\(name) is no handle, expected a recurrent_\(Object.kind)")
  }
  guard pointer.pointee.tag == Object.kind.rawValue else {
    let was = HandleKind(rawValue: pointer.pointee.tag).map { "a recurrent_\($0)" } ?? "no handle or a destroyed one"
    throw CallError.handle("\(name) is \(was), expected a recurrent_\(Object.kind)")
  }
  return pointer
}
