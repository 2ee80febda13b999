import Foundation
import Recurrent
import ToolSupport

/// `recurrent-bench --tune`: what other values would give of the constants that follow the machine. The bits of the
/// results do not depend on them.
enum Tuning {
  /// A way to run a case that is not the layer's own.
  private struct Choice {
    let title: String
    var secondCache = Processor.secondCache
    var threads: Threads
  }

  /// The second caches that processors have, in bytes.
  private static let secondCaches = (17...23).map { 1 << $0 }

  /// Prints the time of each case in forward or training, and how many times as fast it would be with other values.
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
    print(
      """
      \(Processor.description)
      A layer cuts its work for a second cache of \(text(bytes: Processor.secondCache)), that of this processor: the steps \
      of a chunk, and whether
      weights count as far. So many times as fast is each case if it is cut for another one\
      \(threads.count > 1 ? ", or runs on one thread" : ""):

      """)
    let width = (cases.map(\.name.count).max() ?? 0) + 2
    print(line("case", "p50 µs", choices.map(\.title), width))
    var logarithms = choices.map { _ in 0.0 }
    for shape in cases {
      let (own, ratios) = try measure(shape, choices, threads: threads, seconds: seconds)
      for (index, ratio) in ratios.enumerated() { logarithms[index] += log(ratio) }
      printLine(line(shape.name, String(format: "%.1f", own), ratios.map { String(format: "%.2f", $0) }, width))
    }
    guard cases.count > 1 else { return }
    let means = logarithms.map { String(format: "%.2f", exp($0 / Double(cases.count))) }
    print(line("geometric mean", "", means, width))
  }

  /// The layer's own time, and by how much each choice is faster. All run in turn.
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

  private static func line(_ name: String, _ time: String, _ ratios: [String], _ width: Int) -> String {
    func right(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(1, width - text.count)) + text
    }
    return name + String(repeating: " ", count: max(1, width - name.count)) + right(time, 10)
      + ratios.map { right($0, 10) }.joined()
  }
}
