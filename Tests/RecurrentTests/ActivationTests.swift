import CExact
import Foundation
import Recurrent
import Testing

/// Measures the errors of σ and tanh on floats of every magnitude; `recurrent-bench --accuracy` checks every float.
@Suite struct ActivationTests {
  private func exact(_ activation: Activation, _ x: Float) -> Double {
    activation == .sigmoid ? 1 / (1 + exp(-Double(x))) : tanh(Double(x))
  }

  @Test(arguments: Activation.allCases, Processor.available)
  func isWithinTwoULP(activation: Activation, set: InstructionSet) throws {
    // Takes every 9973rd float, and every single one where the errors are largest.
    var inputs = stride(from: UInt64(0), to: 1 << 32, by: 9973).map { Float(bitPattern: UInt32($0)) }
    for start: Float in [0.1, 0.5, 0.69, 1.0, 8.1, -1.1, -3.44, -87.3, -103] {
      inputs += (0..<5000).map { Float(bitPattern: start.bitPattern + $0) }
    }
    var values = inputs
    try values.withUnsafeMutableBufferPointer { try activation.apply(to: $0, instructionSet: set) }
    var worst = (error: 0.0, at: Float(0))
    for (x, value) in zip(inputs, values) {
      let y = exact(activation, x)
      if y.isNaN {
        #expect(value.isNaN, "\(activation)(\(x)) on \(set)")
        continue
      }
      let error = abs(Double(value) - y) / Double(max(Float(y).ulp, .leastNonzeroMagnitude))
      if !(error <= worst.error) { worst = (error, x) }
    }
    #expect(worst.error <= 2, "\(activation) on \(set): \(worst.error) ULP at \(worst.at)")
    #expect(worst.error > 0.5, "a largest error of \(worst.error) is not plausible")
  }

  /// Doubles of every exponent, many of them where the activations change. Also the neighbors of every boundary at
  /// which the code takes another path: the odd multiples of ln 2 / 2, at which n changes, and the numbers at which |x|
  /// is clamped.
  private func doubles(_ activation: Activation) -> [Double] {
    var random = SeededGenerator(seed: 5)
    var inputs = (0..<100_000).map { _ in Double(bitPattern: .random(in: 0...UInt64.max, using: &random)) }
    inputs += (0..<100_000).map { _ in
      .random(in: -1...1, using: &random) * exp2(.random(in: -30...10, using: &random))
    }
    inputs += (0..<100_000).map { _ in .random(in: -1...1, using: &random) }
    let isSigmoid = activation == .sigmoid, ln2 = 0.693_147_180_559_945_3, unit = isSigmoid ? ln2 / 2 : ln2 / 4
    let limits = isSigmoid ? [745.2, 745.13, 708.396] : [19.1, 19.0615]
    for place in (0..<(isSigmoid ? 1076 : 57)).map({ Double(2 * $0 + 1) * unit }) + limits {
      for neighbor in -8...8 {
        let x = Double(bitPattern: UInt64(Int64(place.bitPattern) + Int64(neighbor)))
        inputs += [x, -x]
      }
    }
    for x: Double in [0, .leastNonzeroMagnitude, .leastNormalMagnitude, .ulpOfOne, 1, .greatestFiniteMagnitude] {
      inputs += [x, -x]
    }
    return inputs.filter(\.isFinite)
  }

  @Test(arguments: Activation.allCases)
  func isWithinTwoULPInDouble(activation: Activation) throws {
    let inputs = doubles(activation)
    let expected = inputs.map { activation == .sigmoid ? exact_sigmoid($0) : exact_tanh($0) }
    for set in Processor.available {
      var values = inputs
      try values.withUnsafeMutableBufferPointer { try activation.apply(to: $0, instructionSet: set) }
      var worst = (error: 0.0, at: 0.0)
      for (x, (value, truth)) in zip(inputs, zip(values, expected)) {
        let error = exact_ulps(truth, value)
        if !(error <= worst.error) { worst = (error, x) }
        if activation == .tanh, value.sign != x.sign { worst = (.infinity, x) }
      }
      #expect(worst.error <= 2, "\(activation) on \(set): \(worst.error) ULP at \(worst.at)")
      #expect(worst.error > 0.5, "a largest error of \(worst.error) is not plausible")
    }
  }

  /// Compares the true values with mpmath's: 53 bits, and the rest below them.
  @Test(arguments: [
    (Activation.sigmoid, 1.0, 0x1.764d4f5d5a2bdp-1, -0x1.35dae23bc734ap-56, 0),
    (.sigmoid, -2, 0x1.e84152bac31afp-1, -0x1.58632be293c42p-55, -3),
    (.sigmoid, -745, 0x1.247ae63a725b9p0, -0x1.2437acffaa17fp-55, -1075),
    (.tanh, 0.5, 0x1.d9353d7568af3p-2, 0x1.944a3b887196cp-56, 0),
    (.tanh, -3, -0x1.fd77d111a0bp-1, 0x1.df50f574f4805p-57, 0),
  ])
  func trueValues(activation: Activation, x: Double, high: Double, low: Double, exponent: Int) {
    let truth = activation == .sigmoid ? exact_sigmoid(x) : exact_tanh(x)
    #expect(truth.high == high && abs(truth.low - low) < 0x1p-100 && Int(truth.exponent) == exponent)
  }

  @Test(arguments: Processor.available)
  func specialValuesInDouble(set: InstructionSet) throws {
    var sigmoids: [Double] = [
      0, -0.0, .infinity, -.infinity, .nan, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, -745, -745.2,
    ]
    var tanhs = sigmoids
    try sigmoids.withUnsafeMutableBufferPointer { try Activation.sigmoid.apply(to: $0, instructionSet: set) }
    try tanhs.withUnsafeMutableBufferPointer { try Activation.tanh.apply(to: $0, instructionSet: set) }
    #expect(Array(sigmoids[0..<4]) == [0.5, 0.5, 1, 0])
    #expect(sigmoids[4].isNaN && sigmoids[5] == 1 && sigmoids[6] == 0)
    #expect(sigmoids[7] == .leastNonzeroMagnitude && sigmoids[8] == 0)
    #expect(Array(tanhs[0..<4]) == [0, 0, 1, -1])
    #expect(tanhs[0].sign == .plus && tanhs[1].sign == .minus && tanhs[4].isNaN)
    #expect(tanhs[5] == 1 && tanhs[6] == -1 && tanhs[7] == -1)
  }

  @Test(arguments: Processor.available)
  func specialValues(set: InstructionSet) throws {
    var sigmoids: [Float] = [0, -0.0, .infinity, -.infinity, .nan, .greatestFiniteMagnitude, -.greatestFiniteMagnitude]
    var tanhs = sigmoids
    try sigmoids.withUnsafeMutableBufferPointer { try Activation.sigmoid.apply(to: $0, instructionSet: set) }
    try tanhs.withUnsafeMutableBufferPointer { try Activation.tanh.apply(to: $0, instructionSet: set) }
    #expect(Array(sigmoids[0..<4]) == [0.5, 0.5, 1, 0])
    #expect(sigmoids[4].isNaN && sigmoids[5] == 1 && sigmoids[6] == 0)
    #expect(Array(tanhs[0..<4]) == [0, 0, 1, -1])
    #expect(tanhs[0].sign == .plus && tanhs[1].sign == .minus && tanhs[4].isNaN)
    #expect(tanhs[5] == 1 && tanhs[6] == -1)
  }
}
