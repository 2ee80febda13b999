import CRecurrentKernels
import Recurrent
import Testing

/// The kernels of the optimizers, on every instruction set.
@Suite struct UpdateKernelTests {
  private static let kinds = [
    update_sgd, update_momentum, update_nesterov, update_rms, update_rms_momentum, update_rms_centered,
    update_rms_centered_momentum, update_adam,
  ]
  private static let usedStates = [[], [0], [0], [0], [0, 1], [0, 2], [0, 1, 2], [0, 1]]

  private static func rule(_ kind: update_kind, adjusts: Bool) -> update_rule {
    update_rule(
      kind: kind, rate: 0.1, momentum: 0.75, beta1: 0.9, beta2: 0.99, correction: 2, epsilon: 1e-3,
      limit: adjusts ? 0.3 : .infinity, l1: adjusts ? 0.05 : 0, l2: adjusts ? 0.25 : 0, keep: adjusts ? 0.875 : 1)
  }

  /// Values, three states and what follows them; the gradient.
  private struct Arrays {
    var all: [[Float]]
    var gradient: [Float]

    init(_ count: Int, _ random: inout SeededGenerator) {
      func draw(_ range: ClosedRange<Float>) -> [Float] {
        (0..<count + 40).map { _ in Float.random(in: range, using: &random) }
      }
      // The mean of the gradients is small, so that the variance is positive.
      all = [draw(-1...1), draw(0.1...1), draw(0.1...1), draw(-0.1...0.1)]
      gradient = Array(draw(-1...1)[..<count])
    }

    mutating func update(
      _ rule: update_rule, _ set: InstructionSet, rows: [Int]? = nil, size: Int, count: Int,
      isLazy: Bool = false, states: [Int]
    ) {
      var rule = rule
      var pointers = all.map { array in
        let pointer = UnsafeMutablePointer<Float>.allocate(capacity: array.count)
        pointer.initialize(from: array, count: array.count)
        return pointer
      }
      defer { for pointer in pointers { pointer.deallocate() } }
      gradient.withUnsafeBufferPointer { gradient in
        (rows ?? []).withUnsafeBufferPointer { [hasRows = rows != nil] rows in
          let state = (0..<3).map { states.contains($0) ? pointers[$0 + 1] : nil }
          var update = parameter_update(
            values: pointers[0], state: (state[0], state[1], state[2]), gradient: gradient.baseAddress,
            rows: rows.baseAddress, row_count: rows.count, size: size, count: count, has_rows: hasRows,
            is_lazy: isLazy, scale: 0.5)
          update_parameters(set.floatSet, &rule, &update)
        }
      }
      all = zip(pointers, all).map { Array(UnsafeBufferPointer(start: $0, count: $1.count)) }
      pointers.reserveCapacity(4)
    }
  }

  /// The formulas of training.h, in double precision.
  private static func reference(_ n: update_rule, _ w: Double, _ s: [Double], _ gradient: Double) -> (Double, [Double])
  {
    var (w, s, g) = (w, s, 0.5 * gradient)
    let (rate, momentum, beta1, beta2) = (Double(n.rate), Double(n.momentum), Double(n.beta1), Double(n.beta2))
    g = min(max(g, -Double(n.limit)), Double(n.limit)) + Double(n.l2) * w + Double(n.l1) * (w < 0 ? -1 : 1)
    w *= Double(n.keep)
    switch n.kind {
    case update_sgd: w -= rate * g
    case update_momentum, update_nesterov:
      s[0] = momentum * s[0] + g
      w -= rate * (n.kind == update_momentum ? s[0] : g + momentum * s[0])
    case update_adam:
      s[0] = beta1 * s[0] + (1 - beta1) * g
      s[1] = beta2 * s[1] + (1 - beta2) * g * g
      w -= rate * s[0] / ((s[1] * Double(n.correction)).squareRoot() + Double(n.epsilon))
    default:
      s[0] = beta2 * s[0] + (1 - beta2) * g * g
      var variance = s[0]
      if n.kind == update_rms_centered || n.kind == update_rms_centered_momentum {
        s[2] = beta2 * s[2] + (1 - beta2) * g
        variance -= s[2] * s[2]
      }
      let change = g / (variance.squareRoot() + Double(n.epsilon))
      if n.kind == update_rms_momentum || n.kind == update_rms_centered_momentum {
        s[1] = momentum * s[1] + change
        w -= rate * s[1]
      } else {
        w -= rate * change
      }
    }
    return (w, s)
  }

  @Test(arguments: Processor.available)
  func kernelsFollowTheirFormulas(set: InstructionSet) {
    var random = SeededGenerator(seed: 1)
    for (kind, states) in zip(Self.kinds, Self.usedStates) {
      for adjusts in [false, true] {
        let rule = Self.rule(kind, adjusts: adjusts)
        for count in [1, 15, 16, 17, 40, 100] {
          let before = Arrays(count, &random)
          var after = before
          after.update(rule, set, size: count, count: count, states: states)
          let case_ = "kind \(kind.rawValue), \(adjusts ? "with" : "without") penalties, \(count) values, \(set)"
          for i in 0..<count {
            let expected = Self.reference(
              rule, Double(before.all[0][i]), before.all[1...].map { Double($0[i]) }, Double(before.gradient[i]))
            #expect(abs(Double(after.all[0][i]) - expected.0) < 2e-6, "value \(i) of \(case_)")
            for state in states {
              #expect(abs(Double(after.all[state + 1][i]) - expected.1[state]) < 2e-6, "state \(state) of \(case_)")
            }
          }
          for array in 0..<4 {
            #expect(after.all[array][count...] == before.all[array][count...], "past the end: \(case_)")
            if array > 0, !states.contains(array - 1) {
              #expect(after.all[array] == before.all[array], "a state that is not used: \(case_)")
            }
          }
        }
      }
    }
  }

  /// A lazy update changes the rows that were seen as an update of all, and nothing else.
  @Test(arguments: Processor.available)
  func lazyUpdatesChangeOnlyTheRowsThatWereSeen(set: InstructionSet) {
    var random = SeededGenerator(seed: 2)
    for (kind, states) in zip(Self.kinds, Self.usedStates) {
      for adjusts in [false, true] {
        for (rows, size) in [(1, 1), (50, 1), (12, 8), (9, 16), (7, 17), (20, 32)] {
          let rule = Self.rule(kind, adjusts: adjusts), count = rows * size
          let before = Arrays(count, &random)
          let seen = (0..<rows).filter { _ in Bool.random(using: &random) }
          var dense = before, lazy = before
          dense.update(rule, set, size: count, count: count, states: states)
          lazy.update(rule, set, rows: seen, size: size, count: count, isLazy: true, states: states)
          var expected = before.all
          for row in seen {
            for index in row * size..<(row + 1) * size {
              for array in 0..<4 { expected[array][index] = dense.all[array][index] }
            }
          }
          let case_ = "kind \(kind.rawValue), \(adjusts ? "with" : "without") penalties, \(rows)·\(size), \(set)"
          #expect(lazy.all == expected, "\(case_)")

          // If it is not lazy, the other rows have a gradient of zero, whatever the array has there.
          var zeros = before, marked = before
          for row in 0..<rows where !seen.contains(row) {
            for index in row * size..<(row + 1) * size { zeros.gradient[index] = 0 }
          }
          zeros.update(rule, set, size: count, count: count, states: states)
          marked.update(rule, set, rows: seen, size: size, count: count, states: states)
          #expect(marked.all == zeros.all, "not lazy: \(case_)")
        }
      }
    }
  }
}
