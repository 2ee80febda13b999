import Recurrent
import Testing

/// - Parameter message: the whole description of the `RecurrentError` that `body` must throw.
func expectError<Result>(
  _ message: String, sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Result
) {
  let error = #expect(throws: RecurrentError.self, sourceLocation: sourceLocation) { try body() }
  #expect(error?.description == message, sourceLocation: sourceLocation)
}
