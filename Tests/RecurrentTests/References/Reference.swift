import Recurrent

/// One level that runs forward in double precision: a cell's equations over all steps and sequences.
struct Reference {
  var weights: ReferenceWeights
  private let cell: any CellReference
  private let gates: Int

  init(_ cell: Cell, _ weights: ReferenceWeights) {
    self.weights = weights
    self.cell = cell.reference.init(cell)
    gates = cell.reference.gates
  }

  struct Run {
    /// [T,N].
    fileprivate(set) var steps: [ReferenceStep] = []
    fileprivate(set) var y: [Double] = []  // [T,N,H]
    fileprivate(set) var hn: [Double]  // [N,H]
    fileprivate(set) var cn: [Double]
  }
  struct Gradients {
    var dx: [Double], dh0: [Double], dc0: [Double]
    var weightIH: [Double], weightHH: [Double], biasIH: [Double], biasHH: [Double]
  }

  /// Runs all steps: x is [T,N,C], h0 and c0 are [N,H].
  func forward(_ x: [Double], steps: Int, batch: Int, h0: [Double], c0: [Double]) -> Run {
    let inputs = weights.inputs
    var run = Run(hn: h0, cn: c0)
    for t in 0..<steps {
      for n in 0..<batch {
        let units = n * weights.hidden..<(n + 1) * weights.hidden, first = (t * batch + n) * inputs
        var step = ReferenceStep(
          x: Array(x[first..<first + inputs]), previousH: Array(run.hn[units]),
          previousC: c0.isEmpty ? [] : Array(run.cn[units]))
        cell.forward(&step, weights)
        run.hn.replaceSubrange(units, with: step.h)
        if !c0.isEmpty { run.cn.replaceSubrange(units, with: step.c) }
        run.steps.append(step)
      }
      run.y += run.hn
    }
    return run
  }

  /// Computes the gradients of Σ dy·y + dhn·hn + dcn·cn.
  func backward(
    _ run: Run, steps: Int, batch: Int, dy: [Double], dhn: [Double], dcn: [Double]
  ) -> Gradients {
    let inputs = weights.inputs, hidden = weights.hidden
    var result = Gradients(
      dx: Array(repeating: 0, count: steps * batch * inputs), dh0: dhn, dc0: dcn,
      weightIH: weights.weightIH.map { _ in 0 }, weightHH: weights.weightHH.map { _ in 0 },
      biasIH: weights.biasIH.map { _ in 0 }, biasHH: weights.biasHH.map { _ in 0 })
    for t in (0..<steps).reversed() {
      for n in 0..<batch {
        let at = t * batch + n, units = n * hidden..<(n + 1) * hidden, step = run.steps[at]
        let dh = zip(result.dh0[units], dy[at * hidden..<(at + 1) * hidden]).map { $0 + $1 }
        let gradients = cell.backward(step, dh: dh, dc: dcn.isEmpty ? [] : Array(result.dc0[units]), weights)
        var previousH = gradients.previousH
        func roundX(_ values: [Double]) -> [Double] { weights.roundX?(values) ?? values }
        func roundH(_ values: [Double]) -> [Double] { weights.roundH?(values) ?? values }
        let x = roundX(step.x)
        for gate in 0..<gates {
          let ownOperand = gradients.operands[gate], operand = roundH(ownOperand ?? step.previousH)
          let input = roundX(gradients.input[gate]), recurrent = roundH(gradients.recurrent[gate])
          for j in 0..<hidden {
            let row = gate * hidden + j
            for k in 0..<inputs {
              result.weightIH[row * inputs + k] += input[j] * x[k]
              result.dx[at * inputs + k] += input[j] * weights.weightIH[row * inputs + k]
            }
            for k in 0..<hidden {
              result.weightHH[row * hidden + k] += recurrent[j] * operand[k]
              if ownOperand == nil { previousH[k] += recurrent[j] * weights.weightHH[row * hidden + k] }
            }
            if !weights.biasIH.isEmpty {
              result.biasIH[row] += gradients.input[gate][j]
              result.biasHH[row] += gradients.recurrent[gate][j]
            }
          }
        }
        result.dh0.replaceSubrange(units, with: previousH)
        if !dcn.isEmpty { result.dc0.replaceSubrange(units, with: gradients.previousC) }
      }
    }
    return result
  }
}
