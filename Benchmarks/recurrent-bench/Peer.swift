import Foundation
import Recurrent
import ToolSupport

/// What a peer multiplies in.
enum PeerScalar: String, Encodable {
  case f32, bf16
}

/// Another library in a process of its own, which runs the same shapes; peers.py says what is asked and answered.
final class Peer {
  /// What it calls itself, with its version and, if it does not multiply in floats, its scalar: "oneDNN 3.13.2 bf16".
  let name: String
  let scalar: PeerScalar
  private let process = Process()
  private let questions = Pipe()
  private let answers = Pipe()
  private var unread = Data()

  /// - Throws: `ToolError` if the command does not start, or does not say its name.
  init(command: String) throws {
    signal(SIGPIPE, SIG_IGN)  // a peer that died is an error to name, not our end
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", "exec \(command)"]
    process.standardInput = questions
    process.standardOutput = answers
    try process.run()
    var name: String?
    name = Peer.line(from: answers, &unread)
    guard let name, !name.isEmpty else { throw ToolError("the peer '\(command)' did not start") }
    self.name = name
    scalar = name.hasSuffix(" bf16") ? .bf16 : .f32
  }

  deinit {
    try? questions.fileHandleForWriting.close()
    process.waitUntilExit()
  }

  /// Makes the cell or attention of a case. Returns false if the peer does not have it, or multiplies in another
  /// scalar.
  func prepare(_ shape: Case) throws -> Bool {
    guard shape.peerScalar == scalar else { return false }
    let sizes = "\(shape.steps) \(shape.batch) \(shape.inputs) \(shape.hidden)"
    return try ask("prepare \(shape.subjectName) \(shape.mode.rawValue) \(sizes)") == "ready"
  }

  /// Microseconds of one call of the case prepared last: samples over about `seconds`.
  func run(seconds: Double) throws -> [Double] {
    let answer = try ask("run \(seconds)")
    let times = answer.split(separator: " ").compactMap { Double($0) }
    guard !times.isEmpty else { throw ToolError("\(name) answered '\(answer)' instead of times") }
    return times
  }

  private func ask(_ question: String) throws -> String {
    do {
      try questions.fileHandleForWriting.write(contentsOf: Data("\(question)\n".utf8))
    } catch {
      throw ToolError("\(name) ended before '\(question)'")
    }
    guard let answer = Peer.line(from: answers, &unread) else { throw ToolError("\(name) ended at '\(question)'") }
    return answer
  }

  private static func line(from pipe: Pipe, _ unread: inout Data) -> String? {
    let newline = UInt8(ascii: "\n")
    while !unread.contains(newline) {
      let more = pipe.fileHandleForReading.availableData
      if more.isEmpty { return nil }
      unread.append(more)
    }
    let end = unread.firstIndex(of: newline)!
    let line = String(decoding: unread[unread.startIndex..<end], as: UTF8.self)
    unread = Data(unread[(end + 1)...])
    return line.trimmingCharacters(in: .whitespaces)
  }
}

/// A case on several libraries in turn, so that a machine's slow minute meets them all.
struct Contest {
  struct Entry: Encodable {
    let name: String
    let version: String
    let scalar: PeerScalar
    let p50Us: Double

    /// What the peer calls itself.
    var label: String { "\(name) \(version)" + (scalar == .f32 ? "" : " \(scalar)") }

    init(_ peer: Peer, p50Us: Double) {
      scalar = peer.scalar
      var words = peer.name.split(separator: " ").map(String.init)
      if scalar != .f32 { words.removeLast() }
      let number = words.firstIndex { $0.first!.isNumber } ?? words.endIndex
      name = words[..<number].joined(separator: " ")
      version = words[number...].joined(separator: " ")
      self.p50Us = p50Us
    }
  }

  let ours: Samples
  let peers: [Entry]

  /// The fastest peer. All peers of a case multiply in its scalar.
  var best: Entry? { peers.min { $0.p50Us < $1.p50Us } }
  /// The best peer's time over ours.
  var ratio: Double? { best.map { $0.p50Us / ours.p50 } }

  init(_ shape: Case, _ peers: [Peer], seconds: Double, ours: @escaping (Int) throws -> Void)
    throws
  {
    var sampler = try Sampler(peakOf: shape.kernels, ours)
    let present = try peers.filter { try $0.prepare(shape) }
    var times = present.map { _ in [Double]() }
    let rounds = 5
    for _ in 0..<rounds {
      try sampler.burst(seconds: seconds / Double(rounds))
      for (index, peer) in present.enumerated() {
        times[index] += try peer.run(seconds: seconds / Double(rounds))
      }
    }
    self.ours = sampler.samples
    self.peers = zip(present, times).map { Entry($0, p50Us: percentile($1, 0.5)) }
  }
}
