import CRecurrent
import Recurrent
import RecurrentFiles

/// An error that only a C caller can cause.
enum CallError: Error {
  case argument(String)
  case handle(String)
  /// A handle of the other scalar. If it must fit the call's layer, the message says so; otherwise it names the
  /// function that takes the handle.
  case numbers(String, HandleKind, was: Numbers, expected: Numbers, ofLayer: Bool)
}

/// Runs a call and stores the message of an error that it throws.
///
/// - Parameter function: the name of the C function, for messages.
func status(_ function: StaticString = #function, of call: () throws -> Void) -> recurrent_status {
  do {
    try call()
    return RECURRENT_OK
  } catch {
    let (status, message) = describe(error, function)
    set_last_message(message)
    return status
  }
}

private func describe(_ error: any Error, _ function: StaticString) -> (recurrent_status, String) {
  switch error {
  case CallError.argument(let text): (RECURRENT_INVALID_ARGUMENT, text)
  case CallError.handle(let text): (RECURRENT_INVALID_HANDLE, text)
  case CallError.numbers(let name, let kind, let was, let expected, let ofLayer):
    (
      RECURRENT_INVALID_HANDLE,
      "\(name) holds \(was), expected a recurrent_\(kind) of \(expected)"
        + (ofLayer ? ", as layer is" : ": use \(twin(of: "\(function)"))")
    )
  case RecurrentError.size(let name, let was, let expected):
    (RECURRENT_INVALID_ARGUMENT, "\(RecurrentError.size(name: snakeCase(name), was: was, expected: expected))")
  case RecurrentError.product(let names, let values, let most):
    (
      RECURRENT_INVALID_ARGUMENT,
      "\(RecurrentError.product(names: names.map(snakeCase), values: values, most: most))"
    )
  case RecurrentError.count(let name, let was, let expected, let shape):
    (
      RECURRENT_INVALID_ARGUMENT,
      "\(RecurrentError.count(name: snakeCase(name), was: was, expected: expected, shape: shape))"
    )
  case let error as RecurrentError:
    switch error {
    case .name: (RECURRENT_UNKNOWN_NAME, "\(error)")
    case .instructionSet: (RECURRENT_UNSUPPORTED, "\(error)")
    default: (RECURRENT_INVALID_ARGUMENT, "\(error)")
    }
  case let error as FileError: (RECURRENT_FILE_ERROR, "\(error)")
  default: (RECURRENT_INVALID_ARGUMENT, "\(error)")
  }
}

/// The C name of an argument, from its Swift name: `batchSize` is `batch_size`, and the gradient of a state is named
/// like a state.
private func snakeCase(_ name: String) -> String {
  if name == "dState.dh" { return "d_state.h" }
  if name == "dState.dc" { return "d_state.c" }
  return name.reduce(into: "") { $0 += $1.isUppercase ? "_\($1.lowercased())" : "\($1)" }
}

/// The name of the same function for the other scalar, from Swift's name of a function.
private func twin(of function: String) -> String {
  let name = function.prefix { $0 != "(" }
  return name.hasSuffix("_f64") ? String(name.dropLast(4)) : "\(name)_f64"
}
