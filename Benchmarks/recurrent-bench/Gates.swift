import CRecurrentKernels
import Recurrent

/// The gate passes alone, on tiles as the products leave them: nanoseconds a unit and row.
struct GateMeasurement: Encodable {
  let name: String
  let instructionSet: String
  let nanosecondsPerUnit: Double

  static func all(seconds: Double, matching: (String) -> Bool) throws -> [GateMeasurement] {
    var results: [GateMeasurement] = []
    for set in Processor.available {
      for (name, slots, pass) in passes where matching("gates/\(name)/\(set.rawValue)") {
        let time = try measure(set, slots: slots, pass, seconds: seconds)
        results.append(GateMeasurement(name: name, instructionSet: set.rawValue, nanosecondsPerUnit: time))
      }
    }
    return results
  }

  private typealias Pass = (instruction_set, UnsafePointer<gate_tile>) -> Void
  private static var passes: [(name: String, slots: Int, pass: Pass)] {
    [
      ("lstm-forward", 4, LSTMGates.forward), ("lstm-backward", 4, LSTMGates.backward),
      ("gru-forward", 4, GRUGates.forward), ("gru-backward", 4, GRUGates.backward),
      ("rnn-forward", 1, RNNGates.forward), ("rnn-backward", 1, RNNGates.backward),
    ]
  }

  /// Eight tiles of one block of units, in place again and again. The gradients that come in are zero: no number decays
  /// to a denormal, which would slow the pass.
  private static func measure(_ set: InstructionSet, slots: Int, _ pass: @escaping Pass, seconds: Double) throws
    -> Double
  {
    let products = try Products(set)
    let width = products.width, rows = 12, tiles = 8
    let slotStride = rows * tiles * width
    var random = SeededGenerator(seed: 3)
    let memory = AlignedBuffer(count: (slots + 7) * slotStride)
    for index in 0..<(slots + 4) * slotStride { memory.start[index] = Float.random(in: 0.1...0.9, using: &random) }
    let samples = try sample(seconds: seconds) { repetitions in
      for _ in 0..<repetitions {
        for index in 0..<tiles {
          let at = index * rows * width
          var tile = gate_tile()
          tile.slots = memory.start + at
          tile.slot_stride = slotStride
          tile.rows = rows
          tile.width = width
          tile.units = width
          (tile.previous_stride, tile.h_stride, tile.dy_stride) = (width, width, width)
          let rest = memory.start + (slots * slotStride + at)
          tile.previous_h = UnsafePointer(rest)
          tile.h = rest + slotStride
          tile.previous_c = rest + 2 * slotStride
          tile.c = rest + 3 * slotStride
          tile.dy = UnsafePointer(rest + 5 * slotStride)
          tile.dh = rest + 4 * slotStride
          tile.dc = rest + 6 * slotStride
          pass(set.kernelSet, &tile)
        }
      }
    }
    return samples.p50 * 1e3 / Double(tiles * rows * width)
  }
}
