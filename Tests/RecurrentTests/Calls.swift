import Foundation
import Recurrent
import Testing

/// Values in memory of their own, if asked with a guard page before or behind them.
final class Memory<Scalar> {
  /// Where the page that must not be touched is.
  enum Guard { case before, behind }
  let values: UnsafeMutableBufferPointer<Scalar>
  /// The mapped pages; nil without a guard.
  private let pages: UnsafeMutableRawBufferPointer?

  init(_ source: [Scalar], _ side: Guard? = nil) {
    let count = source.count
    if let side {
      let page = sysconf(Int32(_SC_PAGESIZE)), size = count * MemoryLayout<Scalar>.stride
      let inside = (size + page - 1) / page * page
      let address = mmap(nil, inside + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
      mprotect(address + page, inside, PROT_READ | PROT_WRITE)
      let start = side == .before ? address + page : address + page + inside - size
      values = UnsafeMutableBufferPointer(start: start.bindMemory(to: Scalar.self, capacity: count), count: count)
      pages = UnsafeMutableRawBufferPointer(start: address, count: inside + 2 * page)
    } else {
      values = .allocate(capacity: count)
      pages = nil
    }
    _ = values.initialize(from: source)
  }

  deinit { if let pages { munmap(pages.baseAddress!, pages.count) } else { values.deallocate() } }

  var array: [Scalar] { Array(values) }
  subscript(range: Range<Int>) -> UnsafeMutableBufferPointer<Scalar> {
    UnsafeMutableBufferPointer(rebasing: values[range])
  }
}

/// The calls of a problem on the caller's memory; they can run again and again.
final class Calls<Scalar: RecurrentScalar> {
  let problem: Problem<Scalar>
  let layer: Layer<Scalar>
  let record: Record<Scalar>
  let scratch: Scratch<Scalar>
  let stream: RecurrentStream<Scalar>?
  var options: CallOptions
  /// Placed as the problem says. The gaps of x and dy hold NaN; y and dx hold 7 before the first call.
  let x: Memory<Scalar>, dy: Memory<Scalar>, y: Memory<Scalar>, dx: Memory<Scalar>
  /// The stream's x [T,N,C] and y [T,N,H].
  let frames: Memory<Scalar>, streamed: Memory<Scalar>
  var state: State<Scalar>, dState: StateGradient<Scalar>, gradients: Parameters<Scalar>

  /// - Parameter side: the side on which every buffer has a page that must not be touched.
  init(
    _ instance: Problem<Scalar>.Instance, scratch: Scratch<Scalar>? = nil, record: Record<Scalar> = Record(),
    guarding side: Memory<Scalar>.Guard? = nil
  ) throws {
    let problem = instance.problem
    (self.problem, layer, self.record, options) = (problem, instance.layer, record, problem.options)
    if let scratch { self.scratch = scratch } else { self.scratch = try problem.scratch() }
    stream = problem.direction == .forward ? try layer.stream(batchSize: problem.batch) : nil
    x = Memory(problem.placed(instance.x.values, problem.xPlacing, size: problem.inputs), side)
    dy = Memory(problem.placed(instance.dy.values, problem.yPlacing, size: problem.outputSize), side)
    y = Memory(problem.buffer(problem.yPlacing, size: problem.outputSize, of: 7), side)
    dx = Memory(problem.buffer(problem.xPlacing, size: problem.inputs, of: 7), side)
    frames = Memory(instance.frames, side)
    streamed = Memory([Scalar](repeating: 7, count: problem.steps * problem.batch * problem.hidden), side)
    (state, dState, gradients) = (instance.initial, instance.dFinal, layer.zeroGradients())
  }

  func forward() throws {
    try layer.forward(
      UnsafeBufferPointer(x.values), steps: problem.steps, batchSize: problem.batch, state: &state, into: y.values,
      options: options, scratch: scratch)
  }

  func keepRecord() throws {
    try layer.record(
      UnsafeBufferPointer(x.values), steps: problem.steps, batchSize: problem.batch, state: &state, into: record,
      options: options, scratch: scratch)
  }

  func backward() throws {
    try layer.backward(
      consuming: record, x: UnsafeBufferPointer(x.values), dy: UnsafeBufferPointer(dy.values), dState: &dState,
      dx: dx.values, into: &gradients, scratch: scratch)
  }

  /// Runs `record` and `backward`; does nothing for a layer with weights in 8 bits, which cannot be trained.
  func train() throws {
    guard problem.weights != .int8 else { return }
    try keepRecord()
    try backward()
  }

  /// Steps the stream with its first frame, if the layer can have a stream.
  func stepStream() throws {
    try stream?.process(
      UnsafeBufferPointer(frames[0..<problem.batch * problem.inputs]), steps: 1,
      into: streamed[0..<problem.batch * problem.hidden])
  }

  func processStream() throws {
    try stream?.process(UnsafeBufferPointer(frames.values), steps: problem.steps, into: streamed.values)
  }
}

// MARK: - Results

extension Problem {
  /// The results of a problem's calls: the buffers as the calls leave them, with their gaps.
  struct Results {
    /// y and the final h and c of `forward`, then those of `record`.
    var forward: [(name: String, values: [Scalar])] = []
    /// dx, dh0 and dc0.
    var inputGradients: [(name: String, values: [Scalar])] = []
    /// One after the other, in the parameters' order.
    var parameterGradients: [Scalar] = []

    var all: [(name: String, values: [Scalar])] {
      forward + inputGradients + [("the parameters' gradients", parameterGradients)]
    }
  }
}

extension Problem.Instance {
  /// Runs forward on the caller's memory.
  func forwardResults(scratch: Scratch<Scalar>? = nil) throws -> Problem.Results {
    let calls = try Calls(self, scratch: scratch)
    try calls.forward()
    var results = Problem.Results()
    results.forward = [("y", calls.y.array), ("h", calls.state.h), ("c", calls.state.c)]
    return results
  }

  /// Runs forward, record and backward on the caller's memory.
  ///
  /// - Parameter adds: whether the parameters' gradients are added to random numbers instead of zeros.
  func results(
    scratch: Scratch<Scalar>? = nil, record: Record<Scalar> = Record(), adds: Bool = false
  ) throws -> Problem.Results {
    let calls = try Calls(self, scratch: scratch, record: record)
    var results = Problem.Results()
    try calls.forward()
    results.forward = [("y", calls.y.array), ("h", calls.state.h), ("c", calls.state.c)]
    calls.state = initial
    try calls.keepRecord()
    results.forward += [
      ("recorded y", record.withY { Array($0) }), ("recorded h", calls.state.h), ("recorded c", calls.state.c),
    ]
    if adds {
      var random = random
      calls.gradients.withMutableValues { _ = $0.update(from: random.numbers($0.count)) }
    }
    try calls.backward()
    results.inputGradients = [("dx", calls.dx.array), ("dh0", calls.dState.dh), ("dc0", calls.dState.dc)]
    results.parameterGradients = calls.gradients.values
    return results
  }
}

/// Expects all tensors of two runs to have the same bits.
func expectSame<Scalar>(
  _ ours: Problem<Scalar>.Results, _ expected: Problem<Scalar>.Results, _ what: @autoclosure () -> String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  for (ours, expected) in zip(ours.all, expected.all) {
    expectSameBits(ours.values, expected.values, "\(ours.name) of \(what())", sourceLocation: sourceLocation)
  }
}
