import Recurrent

/// The kernels of one step of one sequence, as a stream runs them but without its checks: what a stream's step is compared
/// with.
final class KernelStep {
  private let stream: RecurrentStream<Float>
  private let kernels: StackStream<Float>
  private let x: [Float]
  private var y: [Float]

  init(_ layer: Layer<Float>) throws {
    stream = try layer.stream()
    guard let kernels = stream.engine as? StackStream<Float> else {
      fatalError("a stream of floats runs on StackStream")
    }
    self.kernels = kernels
    var random = SeededGenerator(seed: 1)
    x = (0..<layer.inputSize).map { _ in Float.random(in: -0.1...0.1, using: &random) }
    y = Array(repeating: 0, count: layer.hiddenSize)
  }

  func run() {
    x.withUnsafeBufferPointer { x in
      y.withUnsafeMutableBufferPointer { y in _ = kernels.runStep(x.baseAddress!, into: y.baseAddress!) }
    }
  }
}
