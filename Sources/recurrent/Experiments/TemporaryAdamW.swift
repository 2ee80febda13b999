import Recurrent
import RecurrentTraining
import Foundation
struct TAdamW {
  var learningRate: Float = 1e-3
  var weightDecay: Float = 0
  var m: [Float] = [], v: [Float] = [], t = 0
  mutating func update<M: Parameterized>(_ model: inout M, _ g: Gradients<M>, clip: Double = .infinity) {
    let gv = g.values
    if m.isEmpty { m = Array(repeating: 0, count: gv.count); v = m }
    t += 1
    let norm = g.totalNorm
    let scale = norm > clip ? Float(clip / norm) : 1
    let c1 = learningRate / Float(1 - pow(0.9, Double(t))), c2 = Float(1 / (1 - pow(0.999, Double(t))))
    let keep = 1 - learningRate * weightDecay
    var start = 0
    m.withUnsafeMutableBufferPointer { m in v.withUnsafeMutableBufferPointer { v in gv.withUnsafeBufferPointer { gv in
      model.updateParameters { p in
        for i in 0..<p.count {
          let k = start &+ i
          let g = gv[k] * scale
          let mm = 0.9 * m[k] + 0.1 * g
          let vv = 0.999 * v[k] + 0.001 * g * g
          m[k] = mm; v[k] = vv
          p[i] = p[i] * keep - c1 * mm / ((vv * c2).squareRoot() + 1e-8)
        }
        start += p.count
      }
    }}}
  }
}
