import Recurrent
import RecurrentTraining

extension Case {
  /// A whole beam search of width 5 by a decoder with general attention: T symbols for each of N sources, whose
  /// memories have 30 steps of H values. There are 100 symbols, and no sequence ends before T. Nil for other modes.
  /// peers.py has the same search.
  func beamSearch() throws -> (() throws -> Void)? {
    guard mode == .beam, let cell else { return nil }
    let symbols = 100, end = 1
    let layer = try Layer<Float>(
      cell, inputSize: inputs, hiddenSize: hidden, initialization: Initialization(seed: 1))
    var decoder = try RecurrentDecoder(
      Embedding(symbols: symbols, size: inputs, seed: 1), layer,
      attention: .general(GeneralAttention(querySize: hidden, keySize: hidden, seed: 2)), memorySize: hidden, seed: 3)
    decoder.head.bias[end] = -1e4
    var random = SeededGenerator(seed: 2)
    let memory = try Sequences<Float>(
      (0..<30 * batch * hidden).map { _ in Float.random(in: -1...1, using: &random) }, steps: 30, batchSize: batch,
      size: hidden)
    let initial = try layer.zeroState(batchSize: batch)
    let search = SequenceDecoder(start: 0, end: end, longest: steps)
    return { [decoder] in
      let readings = try search.beam(DecoderStream(decoder, initial: initial, memory: memory, beams: 5))
      precondition(readings.allSatisfy { $0.count == 5 && $0[0].symbols.count == steps })
    }
  }
}
