import Foundation
import Recurrent
import Testing

/// σ and tanh on a spread of all floats; `recurrent-bench --accuracy` checks every one.
@Suite struct ActivationTests {
  private func exact(_ activation: Activation, _ x: Float) -> Double {
    activation == .sigmoid ? 1 / (1 + exp(-Double(x))) : tanh(Double(x))
  }

  @Test(arguments: Activation.allCases, Processor.available)
  func isWithinTwoULP(activation: Activation, set: InstructionSet) throws {
    // Every 9973rd float, and each one in turn where the errors are largest.
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
