import Recurrent

/// The 64-bit FNV-1a hash of numbers' bits, as the machine stores them.
struct Digest: Equatable, CustomStringConvertible {
  private(set) var hash: UInt64 = 0xcbf2_9ce4_8422_2325

  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
  }

  mutating func add<Scalar: RecurrentScalar>(_ values: [Scalar]) { values.withUnsafeBytes { add($0) } }

  /// 16 hexadecimal digits.
  var description: String {
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

/// Hashes of all results of a problem's calls.
struct ProblemDigest: Equatable {
  /// Of y, h and c: those of `forward`, of `record` if the layer can be trained, and of a stream if the layer runs
  /// forward only.
  private var forward = Digest()
  /// Of dx, dh0 and dc0; of nothing if the weights are in 8 bits, because such a layer cannot be trained.
  private var inputGradients = Digest()
  private var parameterGradients = Digest()

  /// The parameters' gradients are added to random numbers for every fourth seed, and to zeros for the others.
  init<Scalar>(_ instance: Problem<Scalar>.Instance, scratch: Scratch<Scalar>) throws {
    let results =
      instance.problem.weights != .int8
      ? try instance.results(scratch: scratch, adds: instance.problem.seed % 4 == 0)
      : try instance.forwardResults(scratch: scratch)
    for (_, values) in results.forward { forward.add(values) }
    if instance.problem.direction == .forward { for values in try instance.streamed() { forward.add(values) } }
    for (_, values) in results.inputGradients { inputGradients.add(values) }
    parameterGradients.add(results.parameterGradients)
  }

  var words: [String] { ["\(forward)", "\(inputGradients)", "\(parameterGradients)"] }
}

extension Problem.Instance {
  /// Every y of a stream, then the final states of the stream and of its fork. The stream processes all of x at once,
  /// then single steps and pieces. Meanwhile a seat is empty for a while, the stream is forked, and a seat starts
  /// again.
  fileprivate func streamed() throws -> [[Scalar]] {
    let batch = problem.batch, row = batch * problem.inputs, stream = try layer.stream(batchSize: batch)
    var results: [[Scalar]] = [], next = 0
    func process(_ stream: RecurrentStream<Scalar>, _ count: Int) throws {
      var x: [Scalar] = []
      for step in next..<next + count { x += frames[step % problem.steps * row..<(step % problem.steps + 1) * row] }
      next += count
      var y = [Scalar](repeating: 7, count: count * batch * problem.hidden)
      var span = y.mutableSpan
      try stream.process(x.span, steps: count, into: &span)
      results.append(y)
    }
    try stream.setState(initial)
    try process(stream, problem.steps)
    try process(stream, 1)
    try stream.leave(batch / 2)
    try process(stream, 1)
    let fork = stream.fork()
    try stream.join(batch / 2)
    try process(stream, 2)
    try stream.reset(0)
    try process(stream, 1)
    try process(fork, 1)
    for stream in [stream, fork] { results += [stream.state.h, stream.state.c] }
    return results
  }
}
