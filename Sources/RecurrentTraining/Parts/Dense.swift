import Recurrent

/// y = x·Wᵀ + b, on the products of the recurrent layers.
public struct Dense: Sendable {
  /// The number of values in a row of x.
  public let inputSize: Int
  /// The number of values in a row of y.
  public let outputSize: Int
  /// [outputSize, inputSize]
  public var weight: [Float]
  /// [outputSize]
  public var bias: [Float]
  private let linear: Linear

  /// Uniform in ±1/√inputSize, as PyTorch draws it.
  ///
  /// - Throws: `RecurrentError` if a size is not positive or the processor lacks the instruction set.
  public init(
    inputSize: Int, outputSize: Int, seed: UInt64, instructionSet: InstructionSet? = nil
  ) throws(RecurrentError) {
    let count = try checkedCount(("outputSize", outputSize), ("inputSize", inputSize))
    self.inputSize = inputSize
    self.outputSize = outputSize
    linear = try Linear(inputSize: inputSize, outputSize: outputSize, instructionSet)
    var random = SeededGenerator(seed: seed)
    let bound = 1 / Float(inputSize).squareRoot()
    weight = (0..<count).map { _ in Float.random(in: -bound...bound, using: &random) }
    bias = (0..<outputSize).map { _ in Float.random(in: -bound...bound, using: &random) }
  }

  /// y of some rows.
  ///
  /// - Parameters:
  ///   - x: [rows, inputSize]
  ///   - y: [rows, outputSize], overwritten.
  ///   - scratch: grows at its first use.
  /// - Throws: `RecurrentError.count` if a count is wrong.
  public func forward(
    _ x: Span<Float>, rows: Int, into y: inout MutableSpan<Float>, scratch: Scratch<Float>
  ) throws(RecurrentError) {
    try x.withUnsafeBufferPointer { x throws(RecurrentError) in
      try y.withUnsafeMutableBufferPointer { y throws(RecurrentError) in
        try forward(x, rows: rows, into: y, scratch: scratch)
      }
    }
  }

  func forward(
    _ x: UnsafeBufferPointer<Float>, rows: Int, into y: UnsafeMutableBufferPointer<Float>, scratch: Scratch<Float>
  ) throws(RecurrentError) {
    try check(rows, x.count, y.count)
    weight.withUnsafeBufferPointer { weight in
      bias.withUnsafeBufferPointer { bias in
        linear.forward(
          x.baseAddress!, rows: rows, weight: weight.baseAddress!, bias: bias.baseAddress!, into: y.baseAddress!,
          scratch: scratch)
      }
    }
  }

  /// The gradients through `forward`.
  ///
  /// - Parameters:
  ///   - x: [rows, inputSize], the same as in the call of `forward`.
  ///   - dy: [rows, outputSize]
  ///   - dx: [rows, inputSize], overwritten.
  ///   - gradients: those of weight and bias, one after the other; added to.
  ///   - scratch: grows at its first use.
  /// - Throws: `RecurrentError.count` if a count is wrong.
  public func backward(
    x: Span<Float>, dy: Span<Float>, rows: Int, dx: inout MutableSpan<Float>, into gradients: inout MutableSpan<Float>,
    scratch: Scratch<Float>
  ) throws(RecurrentError) {
    try x.withUnsafeBufferPointer { x throws(RecurrentError) in
      try dy.withUnsafeBufferPointer { dy throws(RecurrentError) in
        try dx.withUnsafeMutableBufferPointer { dx throws(RecurrentError) in
          try gradients.withUnsafeMutableBufferPointer { gradients throws(RecurrentError) in
            try backward(x: x, dy: dy, rows: rows, dx: dx, into: gradients, scratch: scratch)
          }
        }
      }
    }
  }

  func backward(
    x: UnsafeBufferPointer<Float>, dy: UnsafeBufferPointer<Float>, rows: Int, dx: UnsafeMutableBufferPointer<Float>,
    into gradients: UnsafeMutableBufferPointer<Float>, scratch: Scratch<Float>
  ) throws(RecurrentError) {
    try check(rows, x.count, dy.count)
    try checkCount("dx", dx.count, is: x.count, "\(rows)·\(inputSize)")
    try checkCount("gradients", gradients.count, is: outputSize * (inputSize + 1), "\(outputSize)·(\(inputSize) + 1)")
    let dWeight = gradients.baseAddress!
    weight.withUnsafeBufferPointer { weight in
      linear.backward(
        x: x.baseAddress!, dy: dy.baseAddress!, rows: rows, weight: weight.baseAddress!, dx: dx.baseAddress!,
        dWeight: dWeight, dBias: dWeight + outputSize * inputSize, scratch: scratch)
    }
  }

  private func check(_ rows: Int, _ x: Int, _ y: Int) throws(RecurrentError) {
    _ = try checkedCount(("rows", rows), ("outputSize", outputSize), ("inputSize", inputSize))
    try checkCount("weight", weight.count, is: outputSize * inputSize, "\(outputSize)·\(inputSize)")
    try checkCount("bias", bias.count, is: outputSize, "\(outputSize)")
    try checkCount("x", x, is: rows * inputSize, "\(rows)·\(inputSize)")
    try checkCount("y", y, is: rows * outputSize, "\(rows)·\(outputSize)")
  }
}

extension Dense: Module, Composite {
  /// weight [outputSize, inputSize] and bias [outputSize], as in PyTorch's `Linear`.
  public static let parts: [Part<Dense>] = [
    Part("weight", \.weight) { [$0.outputSize, $0.inputSize] }, Part("bias", \.bias) { [$0.outputSize] },
  ]

  /// y [T,N,outputSize] of x [T,N,inputSize], each row by itself.
  ///
  /// - Throws: `RecurrentError` if x has another size.
  public func forward(
    _ x: Sequences<Float>, _ workspace: Workspace
  ) throws(RecurrentError) -> (Sequences<Float>, Sequences<Float>) {
    try workspace.naming(self) { () throws(RecurrentError) in
      let y = try linear.rows(
        of: x, "input", ("weight", weight[...]), bias: ("bias", bias[...]), workspace.scratch)
      return (y, x)
    }
  }

  public func backward(
    _ dy: Sequences<Float>, _ x: Sequences<Float>, into gradients: inout Gradients<Dense>, _ workspace: Workspace
  ) throws(RecurrentError) -> Sequences<Float> {
    try inPart(gradients.name) { () throws(RecurrentError) in
      try checkCount(
        "gradients", gradients.list.count, is: outputSize * (inputSize + 1), "\(outputSize)·(\(inputSize) + 1)")
      return try gradients.withMutableValues { gradients throws(RecurrentError) in
        let dWeight = gradients.baseAddress!
        return try linear.rowGradients(
          of: x, dy, ("weight", weight[...]), into: dWeight, bias: dWeight + outputSize * inputSize, workspace.scratch)
      }
    }
  }
}

extension Sequences where Scalar == Float {
  /// Zeros with the same steps, sequences and lengths.
  func sameShape(size: Int) throws(RecurrentError) -> Sequences {
    try Sequences(steps: steps, batchSize: batchSize, size: size, lengths: lengths)
  }
}
