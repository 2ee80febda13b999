import CRecurrentKernels
import Recurrent
import Testing

/// Compares every gate pass of the table in double precision with the one in single precision, which the goldens check.
@Suite struct GatePassTests {
  struct Shape: CustomStringConvertible {
    let rows: Int
    let width: Int
    let units: Int
    var description: String { "\(rows) rows of \(units) of \(width) units" }
  }
  static let shapes = [
    Shape(rows: 1, width: 16, units: 1), Shape(rows: 3, width: 16, units: 5), Shape(rows: 2, width: 16, units: 16),
    Shape(rows: 5, width: 32, units: 7), Shape(rows: 3, width: 32, units: 17), Shape(rows: 12, width: 32, units: 24),
    Shape(rows: 4, width: 32, units: 31), Shape(rows: 1, width: 32, units: 32),
  ]

  /// Everything that a gate tile points to, in one array of random numbers.
  private struct Memory {
    let shape: Shape
    let slots: Int
    var stride: Int { shape.width + 3 }
    var panel: Int { shape.rows * shape.width }
    var matrix: Int { shape.rows * stride }
    /// The panels are the slots, c, c', dh, dc and d_operand. The matrices, which have rows, are h', h and dy. The
    /// vectors, which have one number for each unit, are the parameters and their gradients.
    var panels: Int { slots + 5 }
    var vectors: Int { panels * panel + 3 * matrix }
    var count: Int { vectors + 2 * shape.width }

    func tile<E>(_ start: UnsafeMutablePointer<E>) -> gate_tile {
      func panelPlace(_ index: Int) -> UnsafeMutableRawPointer { UnsafeMutableRawPointer(start + index * panel) }
      func matrixPlace(_ index: Int) -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(start + panels * panel + index * matrix)
      }
      var tile = gate_tile()
      tile.slots = panelPlace(0)
      tile.slot_stride = panel
      (tile.rows, tile.width, tile.units) = (shape.rows, shape.width, shape.units)
      (tile.c, tile.previous_c) = (panelPlace(slots), panelPlace(slots + 1))
      (tile.dh, tile.dc, tile.d_operand) = (panelPlace(slots + 2), panelPlace(slots + 3), panelPlace(slots + 4))
      (tile.previous_h, tile.h, tile.dy) = (
        UnsafeRawPointer(matrixPlace(0)), matrixPlace(1), UnsafeRawPointer(matrixPlace(2))
      )
      (tile.previous_stride, tile.h_stride, tile.dy_stride) = (stride, stride, stride)
      tile.vectors = UnsafeRawPointer(start + vectors)
      tile.vector_gradients = UnsafeMutableRawPointer(start + vectors + shape.width)
      return tile
    }

    /// Whether a number belongs to a unit that exists. Panels may hold anything behind those.
    func isUnit(_ index: Int) -> Bool {
      if index < panels * panel { return index % shape.width < shape.units }
      if index < vectors { return (index - panels * panel) % stride < shape.units }
      return (index - vectors) % shape.width < shape.units
    }
    func isInMatrix(_ index: Int) -> Bool { index >= panels * panel && index < vectors }
  }

  private func run<E: BinaryFloatingPoint>(
    _ pass: GateFunction, _ memory: Memory, _ inputs: [Float], withDy: Bool, as scalar: E.Type
  ) -> [Double] {
    var values = inputs.map { E($0) }
    values.withUnsafeMutableBufferPointer {
      var tile = memory.tile($0.baseAddress!)
      if !withDy { tile.dy = nil }
      pass(&tile)
    }
    return values.map { Double($0) }
  }

  @Test(arguments: Processor.available, shapes)
  func agreesInBothScalars(set: InstructionSet, shape: Shape) {
    var random = SeededGenerator(seed: 11)
    for (float, double) in zip(GatePasses.all(.f32, set.floatSet), GatePasses.all(.f64, set.floatSet)) {
      let memory = Memory(shape: shape, slots: float.slots)
      let inputs = (0..<memory.count).map { _ in Float.random(in: -0.9...0.9, using: &random) }
      for (direction, single, twice) in [
        ("forward", float.pass.forward, double.pass.forward), ("backward", float.pass.backward, double.pass.backward),
      ] {
        for withDy in [true, false] {
          let a = run(single, memory, inputs, withDy: withDy, as: Float.self)
          let b = run(twice, memory, inputs, withDy: withDy, as: Double.self)
          let what = "\(float.name) \(direction) on \(set), \(shape)"
          let far = (0..<memory.count).first { memory.isUnit($0) && !(abs(a[$0] - b[$0]) <= 4e-6) }
          #expect(far == nil, "\(what): \(far.map { "\(a[$0]) and \(b[$0]) at \($0)" } ?? "")")
          let touched = (0..<memory.count).first {
            !memory.isUnit($0) && memory.isInMatrix($0) && (a[$0] != Double(inputs[$0]) || b[$0] != a[$0])
          }
          #expect(touched == nil, "\(what): wrote behind the units")
          #expect(a != inputs.map { Double($0) }, "\(what): did nothing")
        }
      }
    }
  }

  /// The gradient of a vector parameter is one chain for each unit: every row is added once, in ascending order.
  @Test(arguments: Processor.available, shapes)
  func vectorGradientsAddRowAfterRow(set: InstructionSet, shape: Shape) {
    func check<E: BinaryFloatingPoint>(_ pass: GateFunction, _ scalar: E.Type) {
      var random = SeededGenerator(seed: 12)
      let memory = Memory(shape: shape, slots: 1)
      // The slot holds h = 1/2, so that ReLU leaves d = dh. The gradient then adds dh·h', fused or not.
      var inputs = (0..<memory.count).map { _ in Float.random(in: -0.9...0.9, using: &random) }
      for index in 0..<memory.panel { inputs[index] = 0.5 }
      var values = inputs.map { E($0) }
      values.withUnsafeMutableBufferPointer {
        var tile = memory.tile($0.baseAddress!)
        tile.dy = nil
        pass(&tile)
      }
      for unit in 0..<shape.units {
        let at = memory.vectors + shape.width + unit
        var sum = E(inputs[at])
        for row in 0..<shape.rows {
          let dh = E(inputs[3 * memory.panel + row * shape.width + unit])
          let previousH = E(inputs[memory.panels * memory.panel + row * memory.stride + unit])
          sum = set == .portable ? sum + dh * previousH : sum.addingProduct(dh, previousH)
        }
        #expect(values[at] == sum, "\(E.self) on \(set), \(shape): unit \(unit)")
      }
    }
    check(IndRNNGates.pass(.relu, .f32, set.floatSet).backward, Float.self)
    check(IndRNNGates.pass(.relu, .f64, set.floatSet).backward, Double.self)
  }

  /// A gate tile of several blocks gives the bits of one tile for each block.
  @Test(arguments: Processor.available, [1, 2, 3])
  func blocksTogetherAsAlone(set: InstructionSet, rows: Int) {
    let width = 16, blocks = 3, units = 2 * width + 5, panel = rows * width, stride = units + 3
    func check<E: BinaryFloatingPoint>(_ entry: GatePasses.Entry, _ scalar: E.Type) {
      // After the slots of each block comes its c'. Then come c, dh, dc and d_operand, three matrices, and two vectors.
      let slotBlock = (entry.slots + 1) * panel, states = blocks * slotBlock, matrices = states + 4 * blocks * panel
      let vectors = matrices + 3 * rows * stride
      var random = SeededGenerator(seed: 13)
      let inputs = (0..<vectors + 2 * blocks * width).map { _ in E(Float.random(in: -0.9...0.9, using: &random)) }
      func tile(_ start: UnsafeMutablePointer<E>, _ block: Int, units: Int) -> gate_tile {
        func place(_ index: Int) -> UnsafeMutableRawPointer { UnsafeMutableRawPointer(start + index) }
        func state(_ index: Int) -> UnsafeMutableRawPointer { place(states + (index * blocks + block) * panel) }
        func matrix(_ index: Int) -> UnsafeMutableRawPointer { place(matrices + index * rows * stride + block * width) }
        var tile = gate_tile()
        tile.slots = place(block * slotBlock)
        tile.previous_c = place(block * slotBlock + entry.slots * panel)
        (tile.slot_stride, tile.slot_block_stride, tile.state_block_stride) = (panel, slotBlock, panel)
        (tile.rows, tile.width, tile.units) = (rows, width, units)
        (tile.c, tile.dh, tile.dc, tile.d_operand) = (state(0), state(1), state(2), state(3))
        (tile.previous_h, tile.h, tile.dy) = (UnsafeRawPointer(matrix(0)), matrix(1), UnsafeRawPointer(matrix(2)))
        (tile.previous_stride, tile.h_stride, tile.dy_stride) = (stride, stride, stride)
        tile.vectors = UnsafeRawPointer(place(vectors + block * width))
        tile.vector_gradients = place(vectors + (blocks + block) * width)
        return tile
      }
      for (direction, pass) in [("forward", entry.pass.forward), ("backward", entry.pass.backward)] {
        var together = inputs, alone = inputs
        together.withUnsafeMutableBufferPointer {
          var tile = tile($0.baseAddress!, 0, units: units)
          pass(&tile)
        }
        alone.withUnsafeMutableBufferPointer {
          for block in 0..<blocks {
            var tile = tile($0.baseAddress!, block, units: min(width, units - block * width))
            pass(&tile)
          }
        }
        #expect(together == alone, "\(entry.name) \(direction) on \(set), \(rows) rows")
        #expect(together != inputs, "\(entry.name) \(direction) on \(set), \(rows) rows: did nothing")
      }
    }
    for entry in GatePasses.all(.f32, set.floatSet) { check(entry, Float.self) }
    for entry in GatePasses.all(.f64, set.floatSet) { check(entry, Double.self) }
  }
}
