import CRecurrentKernels
import Recurrent

/// Measures only the gate passes, on tiles of 12 rows, in nanoseconds for each unit and row.
struct GateMeasurement: Encodable {
  let name: String
  let instructionSet: String
  let nanosecondsPerUnit: Double

  static func all(seconds: Double, matching: (String) -> Bool) throws -> [GateMeasurement] {
    var results: [GateMeasurement] = []
    for set in Processor.setsOfFloats {
      for entry in GatePasses.all(.f32, set.floatSet) + GatePasses.all(.f64, set.floatSet) {
        for (direction, pass) in [("forward", entry.pass.forward), ("backward", entry.pass.backward)] {
          let name = "\(entry.name)-\(direction)" + (entry.scalar == .f64 ? "-double" : "")
          guard matching("gates/\(name)/\(set.rawValue)") else { continue }
          let time =
            switch entry.scalar {
            case .f32: try measure(Float.self, set, slots: entry.slots, pass, seconds: seconds)
            case .f64: try measure(Double.self, set, slots: entry.slots, pass, seconds: seconds)
            }
          results.append(GateMeasurement(name: name, instructionSet: set.rawValue, nanosecondsPerUnit: time))
        }
      }
    }
    return results
  }

  /// Eight tiles of one block of units, in place again and again. The gradients that come in are zero: no number decays
  /// to a denormal, which would slow the pass.
  private static func measure<E: BinaryFloatingPoint>(
    _ scalar: E.Type, _ set: InstructionSet, slots: Int, _ pass: GateFunction, seconds: Double
  ) throws -> Double where E.RawSignificand: FixedWidthInteger {
    // Panels of as many bytes as the float products', so that tiles of both scalars are equally large.
    let width = try Products<Float>(set).width * MemoryLayout<Float>.stride / MemoryLayout<E>.stride, rows = 12,
      tiles = 8
    let slotStride = rows * tiles * width
    var random = SeededGenerator(seed: 3)
    let count = (slots + 8) * slotStride + 2 * width
    let memory = UnsafeMutableRawPointer.allocate(byteCount: count * MemoryLayout<E>.stride, alignment: 64)
    defer { memory.deallocate() }
    let start = memory.bindMemory(to: E.self, capacity: count)
    start.initialize(repeating: 0, count: count)
    for index in 0..<(slots + 4) * slotStride { start[index] = E.random(in: 0.1...0.9, using: &random) }
    let samples = try sample(seconds: seconds) { repetitions in
      for _ in 0..<repetitions {
        for index in 0..<tiles {
          let at = index * rows * width
          var tile = gate_tile()
          tile.slots = UnsafeMutableRawPointer(start + at)
          tile.slot_stride = slotStride
          tile.rows = rows
          tile.width = width
          tile.units = width
          (tile.previous_stride, tile.h_stride, tile.dy_stride) = (width, width, width)
          let rest = start + (slots * slotStride + at)
          tile.previous_h = UnsafeRawPointer(rest)
          tile.h = UnsafeMutableRawPointer(rest + slotStride)
          tile.previous_c = UnsafeMutableRawPointer(rest + 2 * slotStride)
          tile.c = UnsafeMutableRawPointer(rest + 3 * slotStride)
          tile.dy = UnsafeRawPointer(rest + 5 * slotStride)
          tile.dh = UnsafeMutableRawPointer(rest + 4 * slotStride)
          tile.dc = UnsafeMutableRawPointer(rest + 6 * slotStride)
          tile.d_operand = UnsafeMutableRawPointer(rest + 7 * slotStride)
          tile.vectors = UnsafeRawPointer(start + (slots + 8) * slotStride)
          tile.vector_gradients = UnsafeMutableRawPointer(start + ((slots + 8) * slotStride + width))
          pass(&tile)
        }
      }
    }
    return samples.p50 * 1e3 / Double(tiles * rows * width)
  }
}
