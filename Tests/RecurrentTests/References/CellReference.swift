import Foundation
import Recurrent

/// The equations of one cell in plain double precision: the specification of the kernels. They are written from the
/// papers' equations, and are themselves compared with PyTorch's goldens and with finite differences.
///
/// To add a cell, add a file with its equations and a line in `cellReferences`; every suite then tests it.
protocol CellReference: Sendable {
  /// Every variant of the cell, with its printed name.
  static var variants: [(cell: Cell, name: String)] { get }
  /// G, as the parameters count the gates.
  static var gates: Int { get }
  /// Whether the state has c.
  static var hasCellState: Bool { get }

  /// The equations of one variant.
  init(_ cell: Cell)
  /// Computes h, and what backward needs, for one step of one sequence.
  func forward(_ step: inout ReferenceStep, _ weights: ReferenceWeights)
  /// Computes the gradients of that step's sums and of the state before it.
  ///
  /// - Parameters:
  ///   - dh: [H], the gradient of the step's h.
  ///   - dc: [H], the gradient of the step's c from the steps after it; empty for cells without c.
  func backward(
    _ step: ReferenceStep, dh: [Double], dc: [Double], _ weights: ReferenceWeights
  ) -> ReferenceStepGradients
}

/// All cells, one on each line.
let cellReferences: [any CellReference.Type] = [
  RNNReference.self,
  LSTMReference.self,
  GRUReference.self,
  IndRNNReference.self,
]

extension Cell {
  /// The type with the equations of this cell.
  var reference: any CellReference.Type {
    cellReferences.first { $0.variants.contains { $0.cell == self } }!
  }
}

/// One step of one sequence in forward: what the equations read and what they compute.
struct ReferenceStep {
  let x: [Double]  // [C]
  let previousH: [Double]  // [H]
  let previousC: [Double]  // [H], empty for cells without c
  var h: [Double] = []  // [H]
  var c: [Double] = []  // [H]
  /// [H] each: what backward needs beside the state, in an order of the cell's own.
  var kept: [[Double]] = []

  var units: Range<Int> { previousH.indices }
}

/// The gradients of one step of one sequence.
struct ReferenceStepGradients {
  /// [G][H]: the gradients of the sums that contain W x.
  var input: [[Double]]
  /// [G][H]: the gradients of the sums that contain U h'.
  var recurrent: [[Double]]
  /// What U multiplies for a gate, if it is not h'. The cell then adds that product's part of dh' itself.
  var operands: [Int: [Double]] = [:]
  /// [H]: the part of dh' that does not pass through U h'.
  var previousH: [Double]
  /// [H], empty for cells without c.
  var previousC: [Double]

  init(gates: Int, _ step: ReferenceStep) {
    let zeros = step.previousH.map { _ in 0.0 }
    input = Array(repeating: zeros, count: gates)
    recurrent = input
    previousH = zeros
    previousC = step.previousC.map { _ in 0 }
  }
}

/// The parameters of one cell, in PyTorch's shapes and order of gates.
struct ReferenceWeights {
  let inputs: Int  // C
  let hidden: Int  // H
  var weightIH: [Double]  // [G·H,C]
  var weightHH: [Double]  // [G·H,H]
  var biasIH: [Double]  // [G·H], empty without biases
  var biasHH: [Double]
  /// How the operands of products with W are rounded: x, and in backward also the gradients of those products. The same
  /// of products with U. Nil if nothing is rounded.
  var roundX: (([Double]) -> [Double])?
  var roundH: (([Double]) -> [Double])?

  /// W x + b_ih of a gate, [H].
  func input(_ gate: Int, _ x: [Double]) -> [Double] { product(weightIH, biasIH, gate, roundX?(x) ?? x) }

  /// U h + b_hh of a gate, [H].
  func recurrent(_ gate: Int, _ h: [Double]) -> [Double] { product(weightHH, biasHH, gate, roundH?(h) ?? h) }

  /// W x + b_ih + U h + b_hh of a gate, [H].
  func sum(_ gate: Int, _ x: [Double], _ h: [Double]) -> [Double] {
    zip(input(gate, x), recurrent(gate, h)).map { $0 + $1 }
  }

  /// Uᵀ d of a gate, [H].
  func recurrentTransposed(_ gate: Int, _ d: [Double]) -> [Double] {
    let d = roundH?(d) ?? d
    var result = [Double](repeating: 0, count: hidden)
    for j in 0..<hidden {
      let row = (gate * hidden + j) * hidden
      for k in 0..<hidden { result[k] += weightHH[row + k] * d[j] }
    }
    return result
  }

  private func product(_ matrix: [Double], _ bias: [Double], _ gate: Int, _ operand: [Double]) -> [Double] {
    (gate * hidden..<(gate + 1) * hidden).map { row in
      var sum = bias.isEmpty ? 0 : bias[row]
      for k in operand.indices { sum += matrix[row * operand.count + k] * operand[k] }
      return sum
    }
  }
}

func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
