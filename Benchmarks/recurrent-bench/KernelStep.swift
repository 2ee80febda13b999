import Recurrent

/// The kernels of one step of one sequence, as a stream runs them but without its checks: what a stream's step is
/// compared with.
final class KernelStep<Scalar: Element> {
  private let stream: RecurrentStream<Scalar>
  private let x: [Scalar]
  private var y: [Scalar]

  init(_ layer: Layer<Scalar>) throws {
    stream = try layer.stream()
    var random = SeededGenerator(seed: 1)
    x = (0..<layer.inputSize).map { _ in Scalar(Float.random(in: -0.1...0.1, using: &random)) }
    y = Array(repeating: 0, count: layer.hiddenSize)
  }

  func run() {
    x.withUnsafeBufferPointer { x in
      y.withUnsafeMutableBufferPointer { y in stream.engine.run(x.baseAddress!, steps: 1, into: y.baseAddress!) }
    }
  }
}
