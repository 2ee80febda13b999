import Foundation
import Recurrent
import ToolSupport

/// What a run of the benchmark prints and writes.
struct Report: Encodable {
  struct Machine: Encodable {
    let cpu: String
    let isa: String
    let blis: String
    let subConfiguration: String
    let threads: Int
    let swift: String
    /// Of floats, and of doubles if a case has them.
    var peakGflops: Double
    var peakGflopsF64: Double?
    /// Of one core, from memory beyond its second cache.
    let readGbs: Double
  }
  struct Result: Encodable {
    let name: String
    let cell: String
    let mode: String
    let n: Int
    let t: Int
    let c: Int
    let h: Int
    let threads: Int
    let p50Us: Double
    let p90Us: Double
    let gflops: Double
    let peakShare: Double
    let sgemmUs: Double?
    /// Of a run with peers, each on the same shape in the same minute.
    var peers: [Contest.Entry]?
    /// The fastest peer, and its time over ours.
    var bestPeer: String?
    var ratio: Double?
  }

  var machine: Machine
  var results: [Result] = []
  var gates: [GateMeasurement] = []
  var updates: [UpdateMeasurement] = []

  init(threads: Int) throws {
    machine = Machine(
      cpu: Processor.name, isa: try Processor.active.rawValue, blis: Processor.blisVersion ?? "none",
      subConfiguration: try Processor.subConfiguration() ?? "own kernels", threads: threads, swift: swiftVersion,
      peakGflops: 0, readGbs: try measureReading(Processor.active))
  }

  func write(to path: String) throws {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    // Beside the target and renamed: an interrupted run leaves the old file.
    try encoder.encode(self).write(to: URL(fileURLWithPath: path), options: .atomic)
  }

  // MARK: - The table

  /// The columns that every run has, then those of the comparison: BLIS's gemm, or the peers and the best one's ratio.
  private static func columns(_ peers: [String]) -> [(title: String, width: Int)] {
    [("case", 34), ("p50 µs", 11), ("p90 µs", 11), ("GF/s", 8), ("of peak", 9)]
      + (peers.isEmpty ? [("BLIS gemm µs", 14)] : peers.map { ($0, max(11, $0.count + 2)) }) + [("ratio", 7)]
      + (peers.isEmpty ? [] : [("best peer", max(11, peers.map(\.count).max()! + 2))])
  }

  static func printHeader(peers: [String]) {
    let columns = columns(peers)
    printLine(line(columns.map(\.title), columns))
    printLine(line(columns.map { String(repeating: "-", count: $0.width - 2) }, columns))
  }

  static func show(_ result: Result, peers: [String]) {
    let comparison =
      peers.isEmpty
      ? [result.sgemmUs.map(format) ?? "-"]
      : peers.map { name in
        result.peers?.first { $0.label == name }.map { format($0.p50Us) } ?? "-"
      }
    let ratio = peers.isEmpty ? result.sgemmUs.map { $0 / result.p50Us } : result.ratio
    printLine(
      line(
        [
          result.name, format(result.p50Us), format(result.p90Us), String(format: "%.1f", result.gflops),
          String(format: "%.1f %%", result.peakShare * 100),
        ] + comparison + [ratio.map { String(format: "%.2f", $0) } ?? "-"]
          + (peers.isEmpty ? [] : [result.bestPeer ?? "-"]), columns(peers)))
  }

  /// How the run went against the peers: a line for the cases in floats, and one for those in bf16.
  func showRatios() {
    for scalar in [PeerScalar.f32, .bf16] {
      let ratios = results.compactMap { result in
        result.peers?.first?.scalar == scalar ? result.ratio.map { (result.name, $0) } : nil
      }
      guard let worst = ratios.min(by: { $0.1 < $1.1 }) else { continue }
      let mean = exp(ratios.map { log($0.1) }.reduce(0, +) / Double(ratios.count))
      let behind = ratios.filter { $0.1 < 1 }.count
      printLine(
        String(
          format: "\nbest peer's time over ours in %@: geometric mean %.2f, least %.2f (%@), behind in %d of %d",
          scalar.rawValue, mean, worst.1, worst.0, behind, ratios.count))
    }
  }

  func showGates() {
    guard !gates.isEmpty else { return }
    let columns = [
      ("gate pass", (gates.map(\.name.count).max() ?? 0) + 2), ("instruction set", 16), ("ns a unit", 12),
    ]
    printLine("\n" + Report.line(columns.map(\.0), columns))
    for gate in gates {
      printLine(
        Report.line([gate.name, gate.instructionSet, String(format: "%.2f", gate.nanosecondsPerUnit)], columns))
    }
  }

  func showUpdates() {
    guard !updates.isEmpty else { return }
    let columns = [
      ("update of an embedding", 36), ("p50 µs", 11), ("least µs", 11), ("lazy p50", 11), ("lazy least", 12),
    ]
    printLine("\n" + Report.line(columns.map(\.0), columns))
    for update in updates {
      let times = [update.p50Us, update.leastUs, update.lazyP50Us, update.lazyLeastUs]
      printLine(Report.line([update.name] + times.map(Report.format), columns))
    }
  }

  private static func format(_ microseconds: Double) -> String {
    String(format: microseconds < 100 ? "%.3f" : "%.1f", microseconds)
  }

  /// The name left, the numbers right.
  static func line(_ cells: [String], _ columns: [(title: String, width: Int)]) -> String {
    zip(cells, columns).enumerated().map { index, cell in
      let space = String(repeating: " ", count: max(0, cell.1.width - cell.0.count))
      return index == 0 ? cell.0 + space : space + cell.0
    }.joined()
  }
}

/// The compiler that built the benchmark, as far as it can be asked.
private var swiftVersion: String {
  #if compiler(>=6.4)
    "6.4 or later"
  #elseif compiler(>=6.3)
    "6.3"
  #else
    "6.2"
  #endif
}
