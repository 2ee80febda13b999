import Foundation
import Recurrent

/// Every cell in plain double precision, one number at a time: the specification that the kernels are held to. It was
/// written from the equations and is itself held to PyTorch's goldens and to finite differences.
struct ReferenceCell {
  let cell: Cell
  let inputSize: Int
  let hiddenSize: Int
  var weightIH: [Double]
  var weightHH: [Double]
  var biasIH: [Double]
  var biasHH: [Double]

  struct Gradients {
    var dx: [Double], dh0: [Double], dc0: [Double]
    var weightIH: [Double], weightHH: [Double], biasIH: [Double], biasHH: [Double]
  }
  struct Run {
    var y: [Double], hn: [Double], cn: [Double]
    /// Per step and sequence: the activated gates in the parameters' order, c, and U h' + b_hn of n.
    var gates: [[Double]], c: [[Double]], u: [[Double]]
  }

  var gates: Int { cell.gates }

  private func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

  /// Row `row` of W x + b_ih, for x of one sequence and step.
  private func input(_ row: Int, _ x: ArraySlice<Double>) -> Double {
    var sum = biasIH.isEmpty ? 0 : biasIH[row]
    for k in 0..<inputSize { sum += weightIH[row * inputSize + k] * x[x.startIndex + k] }
    return sum
  }
  /// Row `row` of U h + b_hh.
  private func hidden(_ row: Int, _ h: [Double]) -> Double {
    var sum = biasHH.isEmpty ? 0 : biasHH[row]
    for k in 0..<hiddenSize { sum += weightHH[row * hiddenSize + k] * h[k] }
    return sum
  }

  func forward(_ x: [Double], steps: Int, batch: Int, h0: [Double], c0: [Double]) -> Run {
    let size = hiddenSize
    var run = Run(y: [], hn: h0, cn: c0, gates: [], c: [], u: [])
    for t in 0..<steps {
      for n in 0..<batch {
        let rows = n * size..<(n + 1) * size
        let first = (t * batch + n) * inputSize
        let xt = x[first..<first + inputSize], h = Array(run.hn[rows])
        var c = run.cn.isEmpty ? [] : Array(run.cn[rows])
        var gate = [Double](repeating: 0, count: gates * size), u = [Double](repeating: 0, count: size)
        var new = [Double](repeating: 0, count: size)
        switch cell {
        case .rnn(let nonlinearity):
          let relu = nonlinearity == .relu
          for j in 0..<size {
            let a = input(j, xt) + hidden(j, h)
            new[j] = relu ? max(a, 0) : tanh(a)
            gate[j] = new[j]
          }
        case .lstm(let cellOutput):
          let linear = cellOutput == .linear
          for j in 0..<size {
            let a = (0..<4).map { input($0 * size + j, xt) + hidden($0 * size + j, h) }
            let (i, f, g, o) = (sigmoid(a[0]), sigmoid(a[1]), tanh(a[2]), sigmoid(a[3]))
            c[j] = f * c[j] + i * g
            new[j] = linear ? o * c[j] : o * tanh(c[j])
            for (k, value) in [i, f, g, o].enumerated() { gate[k * size + j] = value }
          }
        case .gru(let reset, let update):
          let before = reset == .beforeProduct, takesNew = update == .takesNew
          for j in 0..<size {
            gate[j] = sigmoid(input(j, xt) + hidden(j, h))
            gate[size + j] = sigmoid(input(size + j, xt) + hidden(size + j, h))
          }
          let rh = (0..<size).map { gate[$0] * h[$0] }
          for j in 0..<size {
            let row = 2 * size + j
            u[j] = hidden(row, h)
            let candidate = tanh(input(row, xt) + (before ? hidden(row, rh) : gate[j] * u[j])), z = gate[size + j]
            gate[row] = candidate
            new[j] = takesNew ? z * candidate + (1 - z) * h[j] : (1 - z) * candidate + z * h[j]
          }
        }
        run.gates.append(gate)
        run.c.append(c)
        run.u.append(u)
        run.hn.replaceSubrange(rows, with: new)
        if !c.isEmpty { run.cn.replaceSubrange(rows, with: c) }
      }
      run.y += run.hn
    }
    return run
  }

  /// Gradients of Σ dy·y + dhn·hn + dcn·cn.
  func backward(
    _ run: Run, x: [Double], steps: Int, batch: Int, h0: [Double], c0: [Double], dy: [Double], dhn: [Double],
    dcn: [Double]
  ) -> Gradients {
    let size = hiddenSize
    var result = Gradients(
      dx: Array(repeating: 0, count: x.count), dh0: dhn, dc0: dcn,
      weightIH: weightIH.map { _ in 0 }, weightHH: weightHH.map { _ in 0 }, biasIH: biasIH.map { _ in 0 },
      biasHH: biasHH.map { _ in 0 })
    for t in (0..<steps).reversed() {
      for n in 0..<batch {
        let at = t * batch + n, gate = run.gates[at]
        let previous = (0..<size).map { t == 0 ? h0[n * size + $0] : run.y[((t - 1) * batch + n) * size + $0] }
        let dh = (0..<size).map { result.dh0[n * size + $0] + dy[at * size + $0] }
        var dPrevious = [Double](repeating: 0, count: size)
        // Gradients of the pre-activations, on W's side and on U's, and what U is multiplied with.
        var dW = [Double](repeating: 0, count: gates * size), dU = dW
        var operand = [[Double]](repeating: previous, count: gates)
        switch cell {
        case .rnn(let nonlinearity):
          let relu = nonlinearity == .relu
          for j in 0..<size { dW[j] = dh[j] * (relu ? (gate[j] > 0 ? 1 : 0) : 1 - gate[j] * gate[j]) }
          dU = dW
        case .lstm(let cellOutput):
          let linear = cellOutput == .linear
          for j in 0..<size {
            let (i, f, g, o) = (gate[j], gate[size + j], gate[2 * size + j], gate[3 * size + j])
            let c = run.c[at][j], before = t == 0 ? c0[n * size + j] : run.c[at - batch][j]
            let squashed = linear ? c : tanh(c)
            let dc = result.dc0[n * size + j] + dh[j] * o * (linear ? 1 : 1 - squashed * squashed)
            dW[j] = dc * g * i * (1 - i)
            dW[size + j] = dc * before * f * (1 - f)
            dW[2 * size + j] = dc * i * (1 - g * g)
            dW[3 * size + j] = dh[j] * squashed * o * (1 - o)
            result.dc0[n * size + j] = dc * f
          }
          dU = dW
        case .gru(let reset, let update):
          let before = reset == .beforeProduct, takesNew = update == .takesNew
          var dr = [Double](repeating: 0, count: size)
          for j in 0..<size {
            let (z, candidate) = (gate[size + j], gate[2 * size + j])
            let new = takesNew ? z : 1 - z
            dW[2 * size + j] = dh[j] * new * (1 - candidate * candidate)
            dW[size + j] = dh[j] * (takesNew ? candidate - previous[j] : previous[j] - candidate) * z * (1 - z)
            dPrevious[j] = dh[j] * (1 - new)
          }
          if before {
            for j in 0..<size {
              var drh = 0.0
              for k in 0..<size { drh += weightHH[(2 * size + k) * size + j] * dW[2 * size + k] }
              dr[j] = drh * previous[j]
              dPrevious[j] += drh * gate[j]
            }
            operand[2] = (0..<size).map { gate[$0] * previous[$0] }
          } else {
            for j in 0..<size { dr[j] = dW[2 * size + j] * run.u[at][j] }
          }
          for j in 0..<size { dW[j] = dr[j] * gate[j] * (1 - gate[j]) }
          dU = dW
          if !before { for j in 0..<size { dU[2 * size + j] = dW[2 * size + j] * gate[j] } }
        }
        for row in 0..<gates * size {
          for k in 0..<inputSize {
            result.weightIH[row * inputSize + k] += dW[row] * x[at * inputSize + k]
            result.dx[at * inputSize + k] += dW[row] * weightIH[row * inputSize + k]
          }
          let direct = !(cell.resetsBeforeProduct && row >= 2 * size)  // n's product is counted through drh above
          for k in 0..<size {
            result.weightHH[row * size + k] += dU[row] * operand[row / size][k]
            if direct { dPrevious[k] += dU[row] * weightHH[row * size + k] }
          }
          if !biasIH.isEmpty {
            result.biasIH[row] += dW[row]
            result.biasHH[row] += dU[row]
          }
        }
        for j in 0..<size { result.dh0[n * size + j] = dPrevious[j] }
      }
    }
    return result
  }
}

extension Cell {
  var resetsBeforeProduct: Bool { if case .gru(.beforeProduct, _) = self { true } else { false } }

  /// Every cell with every variant.
  static let all: [Cell] = [
    .rnn(), .rnn(nonlinearity: .relu), .lstm(), .lstm(cellOutput: .linear),
    .gru(), .gru(update: .takesNew),
    .gru(reset: .beforeProduct), .gru(reset: .beforeProduct, update: .takesNew),
  ]
}
