import Recurrent

// The forms on arrays, until the models of text are modules.
extension Embedding {
  public func forward(_ indices: [Int], into x: inout [Float]) throws(RecurrentError) {
    try x.withUnsafeMutableBufferPointer { x throws(RecurrentError) in try copyVectors(of: indices, to: x) }
  }

  public func backward(_ indices: [Int], dx: [Float], into gradient: inout [Float]) throws(RecurrentError) {
    try check(indices, dx.count, "dx")
    try checkCount("gradient", gradient.count, is: weight.count, "\(symbols)·\(size)")
    gradient.withUnsafeMutableBufferPointer { gradient in
      dx.withUnsafeBufferPointer { addRows($0, of: indices, size: size, to: gradient) { $0 } }
    }
  }

  public func backward(_ indices: [Int], dx: [Float], into gradient: inout EmbeddingGradient) throws(RecurrentError) {
    try check(indices, dx.count, "dx")
    try gradient.checkShape(symbols: symbols, size: size)
    dx.withUnsafeBufferPointer { gradient.add($0, of: indices) }
  }

  private func check(_ indices: [Int], _ count: Int, _ name: String) throws(RecurrentError) {
    try checkCount("weight", weight.count, is: symbols * size, "\(symbols)·\(size)")
    try checkCount(name, count, is: indices.count * size, "\(indices.count)·\(size)")
    for index in indices where index < 0 || index >= symbols {
      throw .size(name: "symbol", was: index, expected: "0 to \(symbols - 1)")
    }
  }
}

extension Dense {
  public func forward(_ x: [Float], rows: Int, into y: inout [Float], scratch: Scratch<Float>) throws(RecurrentError) {
    try x.withUnsafeBufferPointer { x throws(RecurrentError) in
      try y.withUnsafeMutableBufferPointer { y throws(RecurrentError) in
        try forward(x, rows: rows, into: y, scratch: scratch)
      }
    }
  }

  public func backward(
    x: [Float], dy: [Float], rows: Int, dx: inout [Float], dWeight: inout [Float], dBias: inout [Float],
    scratch: Scratch<Float>
  ) throws(RecurrentError) {
    var gradients = dWeight + dBias
    try x.withUnsafeBufferPointer { x throws(RecurrentError) in
      try dy.withUnsafeBufferPointer { dy throws(RecurrentError) in
        try dx.withUnsafeMutableBufferPointer { dx throws(RecurrentError) in
          try gradients.withUnsafeMutableBufferPointer { gradients throws(RecurrentError) in
            try backward(x: x, dy: dy, rows: rows, dx: dx, into: gradients, scratch: scratch)
          }
        }
      }
    }
    dWeight = Array(gradients[..<dWeight.count])
    dBias = Array(gradients[dWeight.count...])
  }
}
