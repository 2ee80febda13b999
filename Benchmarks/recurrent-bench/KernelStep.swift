import CRecurrentKernels
import Recurrent

/// The kernels of one step of one sequence, called directly: what a stream's step is compared with. h goes back and forth
/// between two places, so that a step waits for the one before as in a stream.
final class KernelStep {
  private struct Block: BitwiseCopyable {
    var input: product
    var hidden: product
    var gates: gate_tile
    let slots: UnsafeMutablePointer<Float>
    let bias: UnsafePointer<Float>
  }
  private let products: Products
  private let cell: Cell
  private let slotStride: Int
  /// Of even steps, then of odd ones.
  private let blocks: UnsafeMutableBufferPointer<Block>
  @exclusivity(unchecked) private var isOdd = false
  private let memory: AlignedBuffer

  init(_ cell: Cell, inputs: Int, hidden: Int) throws {
    self.cell = cell
    products = try Products(nil, units: hidden)
    let width = products.width, count = products.panels(hidden)
    slotStride = width + 384
    let ofWeights = cell.gates * (inputs + hidden) * width
    let ofBlock = ofWeights + 5 * slotStride + 4 * width + 64
    memory = AlignedBuffer(count: count * ofBlock + 4 * (inputs + hidden + 64))
    var random = SeededGenerator(seed: 1)
    for index in 0..<memory.count { memory.start[index] = Float.random(in: -0.1...0.1, using: &random) }
    let x = memory.start, h = x + (inputs + 63) / 16 * 16, new = h + (hidden + 63) / 16 * 16
    let first = new + (hidden + 63) / 16 * 16
    blocks = .allocate(capacity: 2 * count)
    for index in 0..<2 * count {
      let block = index % count, (h, new) = index < count ? (h, new) : (new, h)
      let weights = first + block * ofBlock, slots = weights + ofWeights
      func operands(_ rows: UnsafePointer<Float>, _ weights: UnsafePointer<Float>, _ k: Int, _ slot: Int) -> product {
        product(
          rows: rows, row_count: 1, row_stride: 1, panels: weights, panel_count: cell.gates, panel_stride: k * width,
          k: k, c: slots + slot * slotStride, c_panel_stride: slotStride, c_row_stride: width, add: true, next: nil,
          next_count: 0)
      }
      var tile = gate_tile()
      tile.slots = UnsafeMutableRawPointer(slots)
      tile.slot_stride = slotStride
      tile.rows = 1
      tile.width = width
      tile.units = min(width, hidden - block * width)
      tile.previous_h = UnsafeRawPointer(h + block * width)
      tile.h = UnsafeMutableRawPointer(new + block * width)
      (tile.previous_stride, tile.h_stride) = (hidden, hidden)
      tile.c = UnsafeMutableRawPointer(slots + 4 * slotStride)
      blocks.initializeElement(
        at: index,
        to: Block(
          input: operands(x, weights, inputs, 0),
          hidden: operands(h, weights + cell.gates * inputs * width, hidden, cell.firstHiddenSlot), gates: tile,
          slots: slots, bias: UnsafePointer(slots + 5 * slotStride)))
    }
  }

  deinit { blocks.deallocate() }

  func run() {
    let count = blocks.count / 2, first = blocks.baseAddress! + (isOdd ? count : 0)
    isOdd.toggle()
    for block in 0..<count {
      let place = first + block
      fill_rows(products.kernels, place.pointee.slots, slotStride, cell.biasedSlots, place.pointee.bias, 1)
      product_run_own(products.kernels, &place.pointee.input)
      product_run_own(products.kernels, &place.pointee.hidden)
      switch cell {
      case .rnn(let activation): RNNGates.pass(activation, .float, products.set).forward(&place.pointee.gates)
      case .lstm(let output): LSTMGates.pass(output, .float, products.set).forward(&place.pointee.gates)
      case .gru(_, let update): GRUGates.pass(update: update, .float, products.set).forward(&place.pointee.gates)
      }
    }
  }
}
