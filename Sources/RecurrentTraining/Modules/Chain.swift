import Recurrent

/// Modules one after the other, each of which reads what the one before computes:
///
///     var model = try chain {
///       Link("embedding", try Embedding(symbols: 1000, size: 32, seed: 1))
///       Link("encoder", try GRU<Float>(inputSize: 32, hiddenSize: 64, direction: .bidirectional))
///       Link("last", LastOutput())
///       Link("head", try Dense(inputSize: 128, outputSize: 1, seed: 2))
///     }
public func chain<M: Module>(@ChainBuilder _ links: () throws -> M) rethrows -> M { try links() }

/// A module of a chain, with its name in checkpoints.
public struct Link<M: Module> {
  let name: String
  let module: M

  /// - Parameter name: unique in the chain, not empty.
  public init(_ name: String, _ module: M) {
    self.name = name
    self.module = module
  }
}

/// Two modules, one after the other. A chain of more is a chain of chains.
public struct Chain<First: Module, Second: Module>: Module where First.Output == Second.Input {
  /// The module that reads the chain's input.
  public var first: First
  /// The module that computes the chain's output.
  public var second: Second
  /// The names of both in checkpoints; an inner chain has an empty one, because its parts have names.
  private let names: (first: String, second: String)

  fileprivate init(_ first: Link<First>, _ second: Link<Second>) {
    self.first = first.module
    self.second = second.module
    names = (first.name, second.name)
  }

  public var parameterShapes: [ParameterShape] {
    first.parameterShapes.map { $0.named(after: names.first) }
      + second.parameterShapes.map { $0.named(after: names.second) }
  }

  public func placedParts() throws(RecurrentError) -> [PlacedPart] {
    let firstList = try ParameterList(first)
    return [
      PlacedPart(name: names.first, path: \Self.first, list: firstList, offset: 0),
      PlacedPart(name: names.second, path: \Self.second, list: try ParameterList(second), offset: firstList.count),
    ]
  }

  public func readParameters(_ body: (UnsafeBufferPointer<Float>) -> Void) {
    first.readParameters(body)
    second.readParameters(body)
  }

  public mutating func updateParameters(_ body: (UnsafeMutableBufferPointer<Float>) -> Void) {
    first.updateParameters(body)
    second.updateParameters(body)
  }

  public func forward(
    _ input: First.Input, _ workspace: Workspace
  ) throws(RecurrentError) -> (Second.Output, (First.Trace, Second.Trace)) {
    let (middle, trace) = try first.forward(input, workspace)
    let (output, secondTrace) = try second.forward(middle, workspace)
    return (output, (trace, secondTrace))
  }

  public func backward(
    _ gradient: Second.Output.Gradient, _ trace: (First.Trace, Second.Trace), into gradients: inout Gradients<Self>,
    _ workspace: Workspace
  ) throws(RecurrentError) -> First.Input.Gradient {
    let middle = try second.backward(gradient, trace.1, into: &gradients.second, workspace)
    return try first.backward(middle, trace.0, into: &gradients.first, workspace)
  }
}

/// Makes a chain of the links that stand in the braces of `chain`.
@resultBuilder
public enum ChainBuilder {
  /// The first link.
  public static func buildPartialBlock<M: Module>(first: Link<M>) -> Link<M> { first }
  /// The links so far, and the next one, which reads what they compute.
  public static func buildPartialBlock<A: Module, B: Module>(
    accumulated: Link<A>, next: Link<B>
  ) -> Link<Chain<A, B>> where A.Output == B.Input { Link("", Chain(accumulated, next)) }
  /// The whole chain.
  public static func buildFinalResult<M: Module>(_ link: Link<M>) -> M { link.module }
}
