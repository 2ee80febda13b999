import CTestSupport
import Foundation
import Recurrent
import Testing

/// On one thread, calls on the caller's memory allocate nothing once scratch and record have grown, and make no system
/// call.
extension ProcessMemory {
  @Suite(.serialized) struct RealTimeTests {
    /// Everything of a case, ready to run again and again.
    private final class Calls {
      let layer: Layer<Float>
      let options: CallOptions
      let steps: Int, batch: Int
      let x: UnsafeMutableBufferPointer<Float>, y: UnsafeMutableBufferPointer<Float>
      let dx: UnsafeMutableBufferPointer<Float>, dy: UnsafeMutableBufferPointer<Float>
      var state: State<Float>, dState: StateGradient<Float>, gradients: Parameters<Float>
      let record = Record<Float>(), scratch = Scratch<Float>()
      let stream: RecurrentStream<Float>?
      var isPlain = false

      init(
        _ cell: Cell, _ direction: Direction, levels: Int, options: CallOptions, steps: Int, batch: Int, inputs: Int,
        hidden: Int
      ) throws {
        layer = try Layer(
          cell, inputSize: inputs, hiddenSize: hidden, layerCount: levels, direction: direction, dropout: 0.5,
          flushesDenormals: true)
        (self.options, self.steps, self.batch) = (options, steps, batch)
        func buffer(_ size: Int) -> UnsafeMutableBufferPointer<Float> {
          let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: steps * batch * size)
          buffer.initialize(repeating: 0.25)
          return buffer
        }
        (x, dx) = (buffer(inputs), buffer(inputs))
        (y, dy) = (buffer(layer.outputSize), buffer(layer.outputSize))
        state = try layer.zeroState(batchSize: batch)
        dState = try layer.zeroStateGradient(batchSize: batch)
        gradients = layer.zeroGradients()
        stream = direction == .forward ? try layer.stream(batchSize: batch) : nil
      }

      deinit { for buffer in [x, y, dx, dy] { buffer.deallocate() } }

      func forward() throws {
        try layer.forward(
          UnsafeBufferPointer(x), steps: steps, batchSize: batch, state: &state, into: y, options: options,
          scratch: scratch)
      }

      func train() throws {
        try layer.record(
          UnsafeBufferPointer(x), steps: steps, batchSize: batch, state: &state, into: record, options: options,
          scratch: scratch)
        try layer.backward(
          consuming: record, x: UnsafeBufferPointer(x), dy: UnsafeBufferPointer(dy), dState: &dState, dx: dx,
          into: &gradients, scratch: scratch)
      }

      func stepStream() throws {
        guard let stream else { return }
        try stream.process(
          UnsafeBufferPointer(rebasing: x[0..<batch * layer.inputSize]), steps: 1,
          into: UnsafeMutableBufferPointer(rebasing: y[0..<batch * layer.hiddenSize]))
      }

      func processStream() throws {
        try stream?.process(UnsafeBufferPointer(x), steps: steps, into: y)
      }
    }

    private static func cases() throws -> [(name: String, calls: Calls)] {
      try Cell.all.flatMap { cell in
        try [
          (Direction.forward, 1, CallOptions(), 40, 1, 16, 16),
          (.forward, 2, CallOptions(dropout: .off), 5, 9, 140, 150),
          (.forward, 1, CallOptions(), 5000, 1, 2, 8),
          (.bidirectional, 2, CallOptions(lengths: [5, 2, 0, 4], dropout: .seed(1)), 5, 4, 7, 33),
          (
            .bidirectionalSum, 3, CallOptions(xLayout: .batchMajor, yLayout: .batchMajor, dropout: .seed(2)), 5, 4, 7,
            33
          ),
        ].map { direction, levels, options, steps, batch, inputs, hidden in
          (
            "\(cell), \(direction), \(levels) levels, N \(batch), H \(hidden)",
            try Calls(
              cell, direction, levels: levels, options: options, steps: steps, batch: batch, inputs: inputs,
              hidden: hidden)
          )
        }
      }
    }

    @Test(.enabled(if: counts_allocations())) func nothingIsAllocated() throws {
      let before = allocations_of_this_thread()
      let array = [Int](unsafeUninitializedCapacity: 1000) { $1 = 0 }
      #expect(allocations_of_this_thread() > before && array.isEmpty, "allocations are counted")
      for (name, calls) in try RealTimeTests.cases() {
        for (call, body) in [
          ("forward", calls.forward), ("record and backward", calls.train), ("a stream's step", calls.stepStream),
          ("a stream's chunk", calls.processStream),
        ] {
          for _ in 0..<2 { try body() }  // memory grows
          let before = allocations_of_this_thread()
          for _ in 0..<10 { try body() }
          let count = allocations_of_this_thread() - before
          #expect(count == 0, "\(count) allocations in ten calls of \(call), \(name)")
        }
      }
    }

    @Test func noSystemIsCalled() throws {
      // A call that the mode forbids must be noticed.
      let noticed = run_without_system_calls({ _ in getppid() == 0 ? 1 : 0 }, nil)
      guard noticed >= 0 else { return }
      #expect(noticed == SIGKILL)
      // So must one that fails.
      #expect(run_without_system_calls({ _ in 3 }, nil) == FAILED_CHILD + 3)
      for (name, calls) in try RealTimeTests.cases() {
        // Twice, so that memory has grown and the dynamic linker has bound every function.
        for _ in 0..<2 {
          try calls.stepStream()
          try calls.processStream()
          try calls.forward()
          try calls.train()
        }
        let end = run_without_system_calls(
          { context in
            let calls = Unmanaged<Calls>.fromOpaque(context!).takeUnretainedValue()
            do {
              for _ in 0..<3 {
                try calls.stepStream()
                try calls.processStream()
                try calls.forward()
                try calls.train()
              }
              return 0
            } catch { return 1 }
          }, Unmanaged.passUnretained(calls).toOpaque())
        #expect(end == 0, "\(end < FAILED_CHILD ? "killed by signal \(end)" : "a call threw"): \(name)")
      }
    }
  }
}
