import CRecurrentKernels
import Foundation
import Recurrent
import ToolSupport

let known = [
  Option("filter", "REGEX", "only what matches, for example 'lstm/.*h512', '^gates' or '^update'"),
  Option("grid", nil, "also the whole grid: N 1 to 64, H 8 to 1024, forward and training"),
  Option("peers", "COMMANDS", "compare with other libraries; Benchmarks/run --peers[=LIST] sets them up"),
  Option("threads", "N", "threads of a pool for each case, 1 by default"),
  Option("json", "FILE", "also write machine and results as JSON"),
  Option("seconds", "S", "time for each case, 0.01 to 100; 1 by default"),
  Option("alone", nil, "run the cases alone, for a profiler: no BLIS gemm, no gate passes, no updates, no peak"),
  Option("tune", nil, "how fast forward and training would be if cut for another second cache, or on one thread"),
  Option("list", nil, "print the cases' names"),
  Option("accuracy", nil, "check both activations on all 2^32 floats and 2·10^7 doubles instead; fails above 2 ULP"),
  Option("stride", "K", "with --accuracy: check every K-th float, K up to 1048576"),
]

#if DEBUG
  let isDebugBuild = true
#else
  let isDebugBuild = false
#endif

func run() throws {
  guard let options = try Options(Argument.all, known: known, usage: "recurrent-bench [options]") else { return }
  guard !isDebugBuild else {
    throw ToolError("this is a debug build: measure with 'swift run -c release recurrent-bench'")
  }
  _ = try Processor.active
  if options.has("accuracy") {
    printLine(Processor.description)
    let stride = try options.number("stride", in: 1...(1 << 20), default: UInt64(1))
    if try !Accuracy.report(stride: stride) { throw EarlyEnd(status: 1, message: nil) }
    return
  }
  let pattern: Regex<AnyRegexOutput>
  do {
    pattern = try Regex(options["filter"] ?? "")
  } catch {
    throw ToolError("--filter '\(options["filter"] ?? "")' is not a regular expression: \(error)")
  }
  try options.checkWritable("json")
  let matches = { (name: String) in options["filter"] == nil || name.contains(pattern) }
  let cases = Case.all(withGrid: options.has("grid")).filter { matches($0.name) }
  if options.has("list") {
    for shape in cases { printLine(shape.name) }
    return
  }
  let seconds = try options.number("seconds", in: 0.01...100, default: 1.0)
  let threads = try Threads(count: try options.number("threads", in: 1...1024, default: 1))
  if options.has("tune") {
    if options["json"] != nil || options["peers"] != nil || options.has("alone") {
      throw ToolError("--tune prints a table of its own, expected no --json, --peers or --alone")
    }
    return try Tuning.run(cases, threads: threads, seconds: seconds)
  }
  if options.has("alone") {
    for shape in cases {
      let samples = try sample(seconds: seconds, try shape.prepare(threads))
      printLine("\(shape.name): \(String(format: "%.3f", samples.p50)) µs")
    }
    return
  }
  let peers = try (options["peers"] ?? "").split(separator: ";").map { try Peer(command: String($0)) }
  try measure(cases, matching: matches, peers: peers, threads: threads, seconds: seconds, json: options["json"])
}

func measure(
  _ cases: [Case], matching: (String) -> Bool, peers: [Peer], threads: Threads, seconds: Double, json: String?
) throws {
  var report = try Report(threads: threads.count)
  let names = peers.map(\.name)
  printLine(Processor.description)
  printLine(
    "\(threads.count == 1 ? "one thread" : "\(threads.count) threads"); a share is of "
      + (threads.count == 1 ? "the multiply-add peak" : "\(threads.count) times one core's multiply-add peak")
      + " measured between the samples of its case\n")
  var peaks: [scalar_type: [Double]] = [:]
  if !cases.isEmpty { Report.printHeader(peers: names) }
  for shape in cases {
    let contest = try Contest(shape, peers, seconds: seconds, ours: try shape.prepare(threads))
    let samples = contest.ours
    peaks[shape.scalar, default: []].append(samples.peak)
    let gflops = shape.flops / samples.p50 * 1e-3
    var result = Report.Result(
      name: shape.name, cell: shape.fullName, mode: shape.mode.rawValue, n: shape.batch, t: shape.steps,
      c: shape.inputs, h: shape.hidden, threads: threads.count, p50Us: samples.p50, p90Us: samples.p90, gflops: gflops,
      peakShare: gflops / samples.peak / Double(threads.count),
      sgemmUs: peers.isEmpty && threads.count == 1 ? try measureGemm(shape, seconds: seconds / 4) : nil)
    if !peers.isEmpty {
      result.peers = contest.peers
      result.bestPeer = contest.best?.label
      result.ratio = contest.ratio
    }
    report.results.append(result)
    Report.show(result, peers: names)
  }
  report.showRatios()
  if peers.isEmpty, threads.count == 1 {
    report.gates = try GateMeasurement.all(seconds: seconds / 5, matching: matching)
    report.updates = try UpdateMeasurement.all(seconds: seconds, matching: matching)
  }
  report.showGates()
  report.showUpdates()
  guard !report.results.isEmpty || !report.gates.isEmpty || !report.updates.isEmpty else {
    throw ToolError("no case matches; --list prints the names")
  }
  let kernels = try Processor.kernels(nil)
  report.machine.peakGflops = percentile(peaks[.f32] ?? (0..<20).map { _ in measurePeak(kernels) }, 0.5)
  report.machine.peakGflopsF64 = peaks[.f64].map { percentile($0, 0.5) }
  printLine(
    String(format: "\nmultiply-add peak of one core: %.0f GF/s", report.machine.peakGflops)
      + (report.machine.peakGflopsF64.map { String(format: ", of doubles %.0f GF/s", $0) } ?? ""))
  if let json { try report.write(to: json) }
}

runTool("recurrent-bench", run)
