import Foundation
import Recurrent
import RecurrentTraining

/// How a series becomes what a model learns. The model learns only what a simple forecast misses: the remainder. Which
/// scale and which simple forecast fit, the training part decides; but a series that is not positive everywhere has no
/// logarithms, wherever its zeros and negative values are.
struct Preparation: Sendable {
  /// A forecast of the next value from those before it.
  enum Simple: String, CaseIterable, Sendable {
    case last = "the last value"
    case season = "the value a season ago"
    case change = "the last value and the change a season ago"

    /// The number of values before the forecast one that it needs.
    func reach(season: Int) -> Int {
      switch self {
      case .last: 1
      case .season: season
      case .change: season + 1
      }
    }

    /// The forecast of x[step].
    func forecast(_ x: [Double], _ step: Int, season: Int) -> Double {
      switch self {
      case .last: x[step - 1]
      case .season: x[step - season]
      case .change: x[step - 1] + x[step - season] - x[step - season - 1]
      }
    }
  }

  /// The number of steps of a season; 1 if there is none.
  let season: Int
  /// Whether the model sees logarithms.
  let usesLogarithm: Bool
  /// What the model starts from.
  let simple: Simple
  /// Whether the model sees the values beside the remainders: not if the series drifts away from those of its training.
  private let seesValues: Bool

  /// Chooses by the training part of a series.
  ///
  /// - Parameters:
  ///   - values: the whole series.
  ///   - testCount: the number of values at its end that are not of the training part.
  init(_ values: [Double], testCount: Int, season: Int) {
    let y = Array(values.dropLast(testCount))
    self.season = season
    usesLogarithm = values.allSatisfy { $0 > 0 } && Preparation.isEvenerWithLogarithm(y)
    let x = usesLogarithm ? y.map { log($0) } : y
    let kinds = season > 1 ? Simple.allCases : [.last]
    func squares(_ simple: Simple) -> Double {
      let first = Simple.change.reach(season: season)
      return (first..<max(first, x.count)).reduce(0) {
        let error = x[$1] - simple.forecast(x, $1, season: season)
        return $0 + error * error
      }
    }
    simple = kinds.min { squares($0) < squares($1) } ?? .last
    seesValues = simple != .change && !Preparation.drifts(x)
  }

  /// Whether the means of both halves lie further apart than the values of a half do.
  private static func drifts(_ x: [Double]) -> Bool {
    guard x.count >= 4 else { return true }
    let halves = [Array(x.prefix(x.count / 2)), Array(x.suffix(x.count / 2))]
    let means = halves.map { $0.reduce(0, +) / Double($0.count) }
    let squares = zip(halves, means).map { half, mean in half.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } }
    return abs(means[1] - means[0]) > ((squares[0] + squares[1]) / Double(x.count)).squareRoot()
  }

  /// Whether the changes of the logarithms are clearly nearer to the same size in both halves of a series than the
  /// changes of the values.
  ///
  /// - Parameter y: positive.
  private static func isEvenerWithLogarithm(_ y: [Double]) -> Bool {
    guard y.count >= 16 else { return false }
    func unevenness(_ x: [Double]) -> Double {
      let changes = zip(x.dropFirst(), x).map { abs($0 - $1) }, half = changes.count / 2
      let early = changes.prefix(half).reduce(0, +), late = changes.suffix(half).reduce(0, +)
      return abs(log(max(late, .leastNormalMagnitude) / max(early, .leastNormalMagnitude)))
    }
    return unevenness(y.map { log($0) }) < unevenness(y) - 0.1
  }

  /// The number of values before the first row.
  var lostSteps: Int { simple.reach(season: season) }

  /// The columns that a model sees: at each step the remainder, then the value itself and the place of the next step in
  /// its season, unless the simple forecast has taken them away.
  func rows(_ y: [Double]) throws -> Series {
    let x = scaled(y)
    var names = ["remainder"], values: [Float] = []
    if seesValues { names.append("value") }
    let hasPhase = season > 1 && simple == .last
    if hasPhase { names += ["sine", "cosine"] }
    for step in lostSteps..<max(lostSteps, y.count) {
      values.append(Float(x[step] - simple.forecast(x, step, season: season)))
      if seesValues { values.append(Float(x[step])) }
      if hasPhase {
        let phase = 2 * Double.pi * Double((step + 1) % season) / Double(season)
        values += [Float(sin(phase)), Float(cos(phase))]
      }
    }
    return try Series(values, names: names)
  }

  /// The forecast of y[step] from the remainder that a model expects. A step at the end of the series is the one after
  /// it.
  func forecast(_ y: [Double], _ step: Int, remainder: Double) -> Double {
    let x = scaled(Array(y[max(0, step - season - 1)..<step]))
    let value = simple.forecast(x, x.count, season: season) + remainder
    return usesLogarithm ? exp(value) : value
  }

  private func scaled(_ y: [Double]) -> [Double] { usesLogarithm ? y.map { log($0) } : y }

  var description: String {
    "the model learns what \(simple.rawValue) misses" + (usesLogarithm ? ", of logarithms" : "")
  }
}
