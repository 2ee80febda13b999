import Foundation
import Recurrent

/// Something wrong with a sensor.
struct Fault: Sendable {
  enum Kind: String, CaseIterable, Sendable {
    /// One value that is far too high or too low.
    case spike
    /// The same value for a while.
    case stuck
    /// Values that are too high or too low for a while.
    case shift
  }

  let kind: Kind
  let steps: Range<Int>
  /// What is added to the values, in typical changes from step to step; 0 if the sensor is stuck.
  let size: Double

  /// Faults of every kind in turn, each somewhere in a piece of its own of a part of a series.
  ///
  /// - Parameters:
  ///   - count: of each kind.
  ///   - part: the steps where faults may be.
  static func plan(count: Int, in part: Range<Int>, _ random: inout SeededGenerator) -> [Fault] {
    let kinds = (0..<count).flatMap { _ in Kind.allCases }.shuffled(using: &random)
    let piece = part.count / kinds.count
    return kinds.enumerated().map { index, kind in
      let length = kind == .spike ? 1 : Int.random(in: piece / 4...piece / 2, using: &random)
      // The end of a piece stays clean, so that what a fault leaves behind does not count as the next one.
      let first = part.lowerBound + index * piece + Int.random(in: 0...piece / 4, using: &random)
      let sign = Bool.random(using: &random) ? 1.0 : -1.0
      let size =
        switch kind {
        case .spike: sign * Double.random(in: 4...6, using: &random)
        case .stuck: 0.0
        case .shift: sign * Double.random(in: 2...4, using: &random)
        }
      return Fault(kind: kind, steps: first..<first + length, size: size)
    }
  }

  /// The smallest piece that has room for a fault and the clean steps behind it.
  static let smallestPiece = 40

  /// Puts the fault into a series.
  ///
  /// - Parameter change: a typical change from step to step.
  func plant(in values: inout [Double], change: Double) {
    for step in steps {
      if kind == .stuck { values[step] = values[steps.lowerBound - 1] } else { values[step] += size * change }
    }
  }
}
