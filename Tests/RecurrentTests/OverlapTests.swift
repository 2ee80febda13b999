import Recurrent
import Testing

/// No two buffers of a call may overlap if the call writes one of them.
@Suite struct OverlapTests {
  @Test func overlappingBuffersAreErrors() throws {
    let layer = try RNN<Float>(inputSize: 4, hiddenSize: 4)
    var memory = [Float](repeating: 0.5, count: 20)
    try memory.withUnsafeMutableBufferPointer { memory in
      var state = try layer.zeroState(batchSize: 2), dState = try layer.zeroStateGradient(batchSize: 2)
      var gradients = layer.zeroGradients()
      let x = UnsafeBufferPointer(rebasing: memory[0..<16])
      let y = UnsafeMutableBufferPointer(rebasing: memory[4..<20])
      let record = Record<Float>()
      #expect(throws: RecurrentError.overlap(name: "y", other: "x")) {
        try layer.forward(x, steps: 2, batchSize: 2, state: &state, into: y, scratch: Scratch())
      }
      try layer.record(x, steps: 2, batchSize: 2, state: &state, into: record, scratch: Scratch())
      #expect(throws: RecurrentError.overlap(name: "dx", other: "x")) {
        try layer.backward(
          consuming: record, x: x, dy: nil, dState: &dState, dx: y, into: &gradients, scratch: Scratch())
      }
      // One array may be both x and dy, because both are only read.
      try layer.backward(
        consuming: record, x: x, dy: x, dState: &dState, dx: nil, into: &gradients, scratch: Scratch())
    }
  }

  @Test func everyPairOfBuffersIsCompared() throws {
    let memory = UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: 4096), count: 64)
    func part(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[range]) }
    let names: [StaticString] = ["a", "b", "c"]
    for first in 0..<3 {
      for second in 0..<first {
        // Two of the buffers share a byte; each other one ends where the next starts.
        var regions = names.indices.map { Region(names[$0], written: part($0 * 16..<$0 * 16 + 16)) }
        regions[first] = Region(names[first], written: part(second * 16 + 15..<second * 16 + 16))
        #expect(throws: RecurrentError.overlap(name: "\(names[first])", other: "\(names[second])")) {
          try checkApart(regions.span)
        }
      }
    }
    let read = [Region("a", read: part(0..<8)), Region("b", read: part(4..<12))]
    try checkApart(read.span)
    #expect(throws: RecurrentError.overlap(name: "b", other: "a")) { try checkApart(read.span, readsToo: true) }
    let empty = [Region("a", written: part(0..<8)), Region("b", written: part(4..<4)), Region("c", written: nil)]
    try checkApart(empty.span)
    try checkApart([Region]().span)
  }
}
