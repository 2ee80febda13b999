import Recurrent
import Testing

/// The library divides its work to fit the caches of the machine. No such division changes a bit.
@Suite struct CacheTests {
  @Test(arguments: Cell.all, Kernels.all)
  func anyCacheGivesTheSame(cell: Cell, kernels: Kernels) throws {
    try anyCacheGivesTheSame(kernels.scalar, cell, kernels.set)
  }

  @specialized(where Scalar == Float)
  private func anyCacheGivesTheSame<Scalar: RecurrentScalar>(_: Scalar.Type, _ cell: Cell, _ set: InstructionSet) throws
  {
    for (steps, batch, inputs, hidden) in [(31, 9, 40, 33), (6, 64, 140, 20), (9, 50, 7, 130)] {
      let problem = Problem<Scalar>(cell, steps: steps, batch: batch, inputs: inputs, hidden: hidden, set: set)
      let instance = try problem.instance(), expected = try instance.results()
      let streamed = try streamed(instance)
      // Their chunks have 72 rows, 240 rows, and numbers between these.
      for bytes in [0, 1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 30] {
        var other = instance
        other.layer = try instance.layer.cut(forSecondCache: bytes)
        let name = "\(problem), cut for a second cache of \(bytes) bytes"
        expectSame(try other.results(), expected, name)
        expectSameBits(try self.streamed(other), streamed, "a stream's y of \(name)")
      }
    }
  }

  private func streamed<Scalar>(_ instance: Problem<Scalar>.Instance) throws -> [Scalar] {
    let calls = try Calls(instance)
    try calls.processStream()
    return calls.streamed.array
  }

  @Test func chunksAreWholeTilesThatTakeHalfTheCacheOrAreTheLargest() {
    for rowBytes in [1, 64, 2048, 4096, 8192, 1 << 20] {
      for tileRows in [4, 6, 12, 14] {
        for secondCache in [0, 1 << 18, 1 << 20, 5 << 18, 1 << 21, 1 << 30] {
          let rows = Blocking.chunkRows(rowBytes: rowBytes, tileRows: tileRows, secondCache: secondCache)
          #expect(rows % tileRows == 0 && rows <= Blocking.mostChunkRows)
          // If even the fewest rows fill most of the cache, the most rows read the weights least often.
          guard Blocking.leastChunkRows * rowBytes <= secondCache / 4 * 3 else {
            #expect(rows > Blocking.mostChunkRows - tileRows)
            continue
          }
          #expect(rows > Blocking.leastChunkRows - tileRows)
          #expect(rows <= Blocking.leastChunkRows || rows * rowBytes <= secondCache / 2)
          // One more full tile would not fit.
          let more = rows + tileRows
          #expect(more > Blocking.mostChunkRows || more * rowBytes > secondCache / 2)
        }
      }
    }
  }

  @Test func theSecondCacheIsOne() {
    #expect((1 << 17...1 << 23).contains(Processor.secondCache))
    for (text, bytes) in [("1280K\n", 1280 << 10), ("2M", 2 << 20), ("48", 0), ("", 0), ("K", 0), ("big", 0)] {
      #expect(Processor.bytes(ofCacheSize: text) == bytes, "'\(text)'")
    }
  }
}
