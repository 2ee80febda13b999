import Foundation
import Recurrent
import ToolSupport

/// `recurrent-bench --tune`: how fast each case would be if its layer were cut for another size of the second cache, or
/// ran on one thread. The results have the same bits.
enum Tuning {
  /// Another way to run a case.
  private struct Choice {
    let title: String
    var secondCache = Processor.secondCache
    var threads: Threads
  }

  /// The second caches that processors have, in bytes.
  private static let secondCaches = (17...23).map { 1 << $0 }

  /// Prints the time of each case in forward or training, and how many times as fast it would be in other ways.
  ///
  /// - Throws: `ToolError` if no case is in forward or training.
  static func run(_ cases: [Case], threads: Threads, seconds: Double) throws {
    let cases = cases.filter { ($0.mode == .forward || $0.mode == .training) && $0.cell != nil }
    guard !cases.isEmpty else {
      throw ToolError("no case of a cell in forward or training matches; --list prints the names")
    }
    var choices = secondCaches.filter { $0 != Processor.secondCache }.map {
      Choice(title: text(bytes: $0), secondCache: $0, threads: threads)
    }
    if threads.count > 1 { choices.append(Choice(title: "1 thread", threads: try Threads(count: 1))) }
    printLine(
      """
      \(Processor.description)
      This processor has a second cache of \(text(bytes: Processor.secondCache)). Its size decides how many steps a \
      chunk has, and which weights count as far.
      The columns say how many times as fast each case is if the layer is cut for another size\
      \(threads.count > 1 ? ", or runs on one thread" : ""):

      """)
    let columns = [("case", (cases.map(\.name.count).max() ?? 0) + 2), ("p50 µs", 10)] + choices.map { ($0.title, 10) }
    printLine(Report.line(columns.map(\.0), columns))
    var logarithms = choices.map { _ in 0.0 }
    for shape in cases {
      let (own, ratios) = try measure(shape, choices, threads: threads, seconds: seconds)
      for (index, ratio) in ratios.enumerated() { logarithms[index] += log(ratio) }
      let numbers = [String(format: "%.1f", own)] + ratios.map { String(format: "%.2f", $0) }
      printLine(Report.line([shape.name] + numbers, columns))
    }
    guard cases.count > 1 else { return }
    let means = logarithms.map { String(format: "%.2f", exp($0 / Double(cases.count))) }
    printLine(Report.line(["geometric mean", ""] + means, columns))
  }

  /// The layer's own time, and how many times as fast each choice is. They run in turn.
  private static func measure(
    _ shape: Case, _ choices: [Choice], threads: Threads, seconds: Double
  ) throws -> (own: Double, ratios: [Double]) {
    var samplers = [try Sampler(peakOf: nil, shape.prepare(threads))]
    for choice in choices {
      var other = shape
      other.secondCache = choice.secondCache
      samplers.append(try Sampler(peakOf: nil, other.prepare(choice.threads)))
    }
    let rounds = 5
    for _ in 0..<rounds {
      for index in samplers.indices { try samplers[index].burst(seconds: seconds / Double(rounds)) }
    }
    let times = samplers.map(\.samples.p50)
    return (times[0], times.dropFirst().map { times[0] / $0 })
  }

  private static func text(bytes: Int) -> String {
    bytes % (1 << 20) == 0 ? "\(bytes >> 20) MB" : "\(bytes >> 10) KB"
  }
}
