import CRecurrent
import Recurrent
import RecurrentFiles

/// What only this face can be told wrongly.
enum CallError: Error {
  case argument(String)
  case handle(String)
}

/// Runs a call, and keeps the message of what it throws.
func status(of call: () throws -> Void) -> recurrent_status {
  do {
    try call()
    return RECURRENT_OK
  } catch {
    let (status, message) = describe(error)
    set_last_message(message)
    return status
  }
}

private func describe(_ error: any Error) -> (recurrent_status, String) {
  switch error {
  case CallError.argument(let text): (RECURRENT_INVALID_ARGUMENT, text)
  case CallError.handle(let text): (RECURRENT_INVALID_HANDLE, text)
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

/// Swift's name of an argument as C has it: `batchSize` is `batch_size`, and the gradient of a state is a state too.
private func snakeCase(_ name: String) -> String {
  if name == "dState.dh" { return "d_state.h" }
  if name == "dState.dc" { return "d_state.c" }
  return name.reduce(into: "") { $0 += $1.isUppercase ? "_\($1.lowercased())" : "\($1)" }
}
