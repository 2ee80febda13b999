import Foundation
import Recurrent
import Testing

/// Compares the bits of every cell on every instruction set with those in Goldens/bits.txt.
///
/// All sets with fused multiply-adds give the same bits; the portable set gives others. `RECURRENT_UPDATE_DIGESTS=1`
/// writes the file instead of comparing.
@Suite struct DigestTests {
  /// All problems for floats, and some with rounded weights. Every third one for doubles is enough, because the engine
  /// is the same.
  private static func problems<Scalar: RecurrentScalar>(_: Scalar.Type) -> [Problem<Scalar>] {
    let all = Problem<Scalar>.digestProblems
    return Scalar.self == Float.self
      ? all + Problem.roundedDigestProblems : stride(from: 0, to: all.count, by: 3).map { all[$0] }
  }
  private static let pool = Result { try Threads(count: 2) }
  private static let updates = ProcessInfo.processInfo.environment["RECURRENT_UPDATE_DIGESTS"] == "1"
  private static let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("Goldens/bits.txt")

  /// The hashes of one problem on an instruction set.
  private static func words<Scalar: RecurrentScalar>(
    _ problem: Problem<Scalar>, on set: InstructionSet
  ) throws -> [String] {
    var problem = problem
    problem.set = set
    let scratch = problem.threads == 1 ? Scratch<Scalar>() : Scratch<Scalar>(threads: try pool.get())
    return try ProblemDigest(try problem.instance(), scratch: scratch).words
  }

  /// The word that starts the lines of an instruction set and a scalar in the file.
  private static func family<Scalar: RecurrentScalar>(_ set: InstructionSet, _: Scalar.Type) -> String {
    (set == .portable ? "portable" : "fused") + (Scalar.self == Float.self ? "" : "-f64")
  }

  // On other processors, the compiler may fuse multiply-adds in the portable kernels, which changes their bits.
  #if arch(x86_64)
    @Test(.enabled(if: !updates), arguments: Kernels.all)
    func bitsAreAsBefore(kernels: Kernels) throws { try bitsAreAsBefore(kernels.scalar, kernels.set) }

    private func bitsAreAsBefore<Scalar: RecurrentScalar>(_ scalar: Scalar.Type, _ set: InstructionSet) throws {
      var expected: [Substring: [Substring]] = [:]
      for line in try String(contentsOf: DigestTests.file, encoding: .utf8).split(separator: "\n") {
        let words = line.split(separator: " ", maxSplits: 4)
        if words.first == DigestTests.family(set, scalar)[...], words.count == 5 {
          expected[words[4]] = Array(words[1...3])
        }
      }
      var differing: [String] = []
      for problem in DigestTests.problems(scalar) {
        guard let expected = expected.removeValue(forKey: problem.name[...]) else {
          differing.append("no line of \(problem.name)")
          continue
        }
        let words = try DigestTests.words(problem, on: set)
        for (index, part) in ["forward", "input gradients", "parameter gradients"].enumerated()
        where words[index] != expected[index] {
          differing.append("\(part) of \(problem.name)")
        }
      }
      differing += expected.keys.sorted().map { "no such problem: \($0)" }
      if !differing.isEmpty {
        Issue.record(
          "other bits of \(scalar) on \(set), \(differing.count) times: \(differing.prefix(40).joined(separator: "; "))"
        )
      }
    }

    @Test(.enabled(if: updates))
    func filesAreWritten() throws {
      var text = """
        # FNV-1a of the bits of forward, of the gradients of inputs and states, and of the parameters' gradients;
        # written by DigestTests with RECURRENT_UPDATE_DIGESTS=1.\n
        """
      let fused = try #require(Processor.setsOfFloats.last { $0 != .portable }, "nothing fuses multiply-adds")
      text += try DigestTests.lines(Float.self, fused) + DigestTests.lines(Double.self, fused)
      try text.write(to: DigestTests.file, atomically: true, encoding: .utf8)
    }

    private static func lines<Scalar: RecurrentScalar>(
      _ scalar: Scalar.Type, _ fused: InstructionSet
    ) throws -> String {
      try problems(scalar).flatMap { problem in
        try [fused, .portable].map { set in
          "\(family(set, scalar)) \(try words(problem, on: set).joined(separator: " ")) \(problem.name)\n"
        }
      }.joined()
    }
  #endif

  /// Compares with the published hashes of texts; one other bit in one number must change the hash.
  @Test func hashesAreFNV1a() {
    func hash(_ text: String) -> String {
      var digest = Digest()
      Array(text.utf8).withUnsafeBytes { digest.add($0) }
      return "\(digest)"
    }
    #expect(hash("") == "cbf29ce484222325" && hash("a") == "af63dc4c8601ec8c" && hash("foobar") == "85944171f73967e8")
    func hash(_ values: [Float]) -> Digest {
      var digest = Digest()
      digest.add(values)
      return digest
    }
    #expect(hash([1, 2, 3]) != hash([1, Float(2).nextUp, 3]) && hash([0]) != hash([-0.0]))
  }

  /// Names differ, because the file finds a problem by its name.
  @Test func problemsHaveNamesOfTheirOwn() {
    #expect(Set(DigestTests.problems(Float.self).map(\.name)).count == DigestTests.problems(Float.self).count)
  }
}
