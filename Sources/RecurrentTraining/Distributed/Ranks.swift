import Recurrent
import Synchronization

/// The processes that train one model together, each on its share of every batch. Open MPI starts them, on one machine
/// or on several: `mpirun -n 2 PROGRAM`. Every process runs the same program, and all of them make the same calls in the
/// same order; each is known by its rank, 0 ..< count.
///
///     try Ranks.run { ranks in
///       try ranks.broadcast(&model)
///       while let batch = batches.next() {
///         let loss = try ranks.gradients(of: batch, into: &gradients, workspace) { share, gradients in
///           let (logits, trace) = try model(Tokens(padding: share.map { texts[$0] }), workspace)
///           let (loss, d) = try BinaryCrossEntropy()(logits, share.map { labels[$0] })
///           try model.backward(d, trace, into: &gradients, workspace)
///           return loss
///         }
///         try optimizer.update(&model, gradients)
///         if ranks.isFirst { print(loss) }
///       }
///     }
///
/// It needs the trait `MPI` of the package and Open MPI. Without the trait, the same program runs as one rank.
///
/// If anything fails on one rank, or if ranks disagree, all ranks throw the same `RecurrentError.rank` from the call that
/// they are in or come to, and none waits for ever. From then on, every call throws it. A process that dies ends the
/// others, because `mpirun` stops them.
///
/// One thread at a time may make calls.
public final class Ranks: Sendable {
  /// Whether the package was built with the trait `MPI`, so that there can be more than one rank.
  public static var canBeSeveral: Bool {
    #if MPI
      true
    #else
      false
    #endif
  }

  /// What the exchange of gradients has cost so far.
  public struct Cost: Sendable {
    /// The number of batches.
    public var batches = 0
    /// The bytes of gradients that this rank has given to the others.
    public var bytes = 0
    /// The time until the slowest rank had computed its share, in seconds.
    public var waiting = 0.0
    /// The time of adding, in seconds.
    public var adding = 0.0
  }

  /// The number of this process, 0 ..< count.
  public var rank: Int { exchange.rank }
  /// The number of processes.
  public var count: Int { exchange.count }
  /// Whether this is rank 0, which prints and writes files.
  public var isFirst: Bool { rank == 0 }
  /// What the exchange of gradients has cost this rank so far.
  public var cost: Cost { state.withLock { $0.cost } }

  private struct State {
    var cost = Cost()
    /// What all ranks have thrown.
    var failure: RecurrentError?
    /// Whether the exchange itself has failed on this rank, so that it cannot end as it should.
    var isBroken = false
  }

  private let exchange: any Exchange
  private let state = Mutex(State())

  package init(_ exchange: any Exchange) { self.exchange = exchange }

  /// Runs a program on all ranks: starts MPI, runs `body`, and ends MPI. A process can do this once.
  ///
  /// - Parameters:
  ///   - report: gets the error, if there is one, before MPI ends. `mpirun` stops the other processes as soon as one has
  ///     ended with a failure, so what each rank shall say of it belongs here.
  ///   - body: the same on all ranks.
  /// - Returns: what `body` returns.
  /// - Throws: `RecurrentError` if MPI does not start, or if a build without MPI is one of several processes. If there
  ///   is one rank, what `body` throws; otherwise, if `body` throws on any rank, `RecurrentError.rank` on all of them.
  public static func run<Result>(
    reporting report: (any Error) -> Void = { _ in }, _ body: (Ranks) throws -> Result
  ) throws -> Result {
    try Ranks(try startExchange()).run(reporting: report, body)
  }

  package func run<Result>(
    reporting report: (any Error) -> Void = { _ in }, _ body: (Ranks) throws -> Result
  ) throws -> Result {
    var result = Swift.Result { try body(self) }
    // After a failure that all ranks know, there is no other meeting.
    if state.withLock({ $0.failure == nil }) {
      do { _ = try meet(Notice(.end), result.failure) } catch { result = .failure(error) }
    }
    if case .failure(let error) = result { report(error) }
    if !state.withLock({ $0.isBroken }) { try exchange.finish() }
    return try result.get()
  }

  // MARK: - Agreement

  /// Checks that all ranks have the same values.
  ///
  /// - Parameter values: such as settings, with their names.
  /// - Throws: `RecurrentError.rank` on all ranks if one differs from rank 0; it names the first value that does.
  public func check(_ values: KeyValuePairs<String, String>) throws {
    try check(Array(values).map { Entry(name: $0.key, value: $0.value) })
  }

  /// Checks that all ranks have models of the same shapes with the same values, as they must have after the same updates.
  ///
  /// - Throws: `RecurrentError.rank` on all ranks if one differs from rank 0; it names the first parameter that does.
  public func check(_ model: some Parameterized) throws {
    guard count > 1 else { return }
    try checkShapes(model.parameterShapes)
    try check(
      model.namedParameters().map { parameter in
        var print = Fingerprint()
        for value in parameter.values { print.add(UInt64(value.bitPattern)) }
        return Entry(name: "the fingerprint of \(parameter.name)", value: String(print.hash, radix: 16))
      })
  }

  /// Gives a model of all ranks the parameters of rank 0.
  ///
  /// - Throws: `RecurrentError.rank` on all ranks if the models are not of the same shapes; nothing has changed then.
  public func broadcast(_ model: inout some Parameterized) throws {
    try checkShapes(model.parameterShapes)
    guard count > 1 else { return }
    var failure: RecurrentError?
    model.updateParameters { values in
      guard failure == nil else { return }
      do throws(RecurrentError) { try broadcast(UnsafeMutableRawBufferPointer(values), from: 0) } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }

  /// Adds numbers of all ranks, in the order of the ranks.
  ///
  /// - Parameter values: as many on every rank.
  /// - Returns: the sums, with the same bits on all ranks.
  /// - Throws: `RecurrentError.rank` on all ranks if a count differs from that of rank 0.
  public func sum(_ values: [Double]) throws -> [Double] {
    var notice = Notice(.sum)
    notice.fingerprint = UInt64(values.count)
    let notices = try meet(notice)
    if let other = notices.firstIndex(where: { $0.fingerprint != notices[0].fingerprint }) {
      throw end(
        other, "adds \(notices[other].fingerprint) numbers, expected \(notices[0].fingerprint), as rank 0 does")
    }
    // Each rank's bits have a place of their own, so their union is a list of all numbers.
    var all = [UInt64](repeating: 0, count: values.count * count)
    for (index, value) in values.enumerated() { all[rank * values.count + index] = value.bitPattern }
    try unite(&all)
    return values.indices.map { index in
      (0..<count).reduce(0) { $0 + Double(bitPattern: all[$1 * values.count + index]) }
    }
  }

  /// A value that must be equal on all ranks.
  struct Entry: Equatable {
    let name: String, value: String
  }

  func checkShapes(_ shapes: [ParameterShape]) throws {
    try check(
      shapes.enumerated().map { Entry(name: "parameter \($0 + 1)", value: $1.description) })
  }

  /// If the fingerprints differ, every rank gets rank 0's values and looks for its first difference.
  func check(_ entries: [Entry]) throws {
    guard count > 1 else { return }
    var print = Fingerprint()
    for entry in entries {
      print.add(entry.name)
      print.add(entry.value)
    }
    var notice = Notice(.check)
    notice.fingerprint = print.hash
    let notices = try meet(notice)
    guard notices.contains(where: { $0.fingerprint != notices[0].fingerprint }) else { return }
    let names = try broadcast(entries.map(\.name)), values = try broadcast(entries.map(\.value))
    let first = zip(names, values).map { Entry(name: $0, value: $1) }
    _ = try meet(Notice(.check), difference(entries, first))
    throw end(0, "the fingerprints differ, expected equal ones")
  }

  /// What is not as on rank 0.
  private func difference(_ own: [Entry], _ first: [Entry]) -> RecurrentError? {
    for (index, (mine, other)) in zip(own, first).enumerated() where mine != other {
      return mine.name == other.name
        ? .value(name: mine.name, was: mine.value, expected: "\(other.value), as on rank 0")
        : .value(name: "value \(index + 1)", was: mine.name, expected: "\(other.name), as on rank 0")
    }
    let shared = min(own.count, first.count)
    if own.count > shared {
      return .value(name: own[shared].name, was: own[shared].value, expected: "none: rank 0 has no such value")
    }
    if first.count > shared {
      return .value(name: first[shared].name, was: "missing", expected: "\(first[shared].value), as on rank 0")
    }
    return nil
  }

  // MARK: - Meeting

  /// Where every call begins: all ranks learn what all of them call, and whether something has failed.
  ///
  /// - Parameters:
  ///   - notice: of this rank.
  ///   - failure: what has failed on this rank.
  /// - Returns: the notices of all ranks.
  /// - Throws: if there is one rank, `failure`. Otherwise `RecurrentError.rank`, the same on all ranks: the failure of
  ///   the lowest rank that has one, or the lowest rank that makes another call than rank 0.
  func meet(_ notice: Notice, _ failure: (any Error)? = nil) throws -> [Notice] {
    guard count > 1 else {
      if let failure { throw failure }
      return [notice]
    }
    if let failure = state.withLock({ $0.failure }) { throw failure }
    var own = notice
    let message = failure.map { Array(text(of: $0).utf8) } ?? []
    own.failureSize = message.count
    var words = [UInt64](repeating: 0, count: Notice.size * count)
    words.replaceSubrange(rank * Notice.size..<(rank + 1) * Notice.size, with: own.words)
    try unite(&words)
    let notices = try (0..<count).map { other throws(RecurrentError) in
      guard let notice = Notice(words[other * Notice.size..<(other + 1) * Notice.size]) else {
        throw end(other, "runs another version of this package, expected the same")
      }
      return notice
    }
    if let failed = notices.firstIndex(where: { $0.failureSize > 0 }) {
      var bytes = failed == rank ? message : [UInt8](repeating: 0, count: notices[failed].failureSize)
      try broadcast(&bytes, from: failed)
      let parts = String(decoding: bytes, as: UTF8.self).split(separator: " ", maxSplits: 1).map(String.init)
      throw end(Int(parts[0]) ?? failed, parts.count > 1 ? parts[1] : "")
    }
    if let other = notices.firstIndex(where: { $0.call != notices[0].call }) {
      throw end(
        other, "calls \(notices[other].call.name), expected \(notices[0].call.name), as rank 0 does")
    }
    return notices
  }

  /// A failure that has a rank keeps it on the way to the others.
  private func text(of failure: any Error) -> String {
    if case .rank(let origin, let problem)? = failure as? RecurrentError { return "\(origin) \(problem)" }
    return "- \(failure)"
  }

  /// Notes an error that all ranks throw.
  private func end(_ rank: Int, _ problem: String) -> RecurrentError {
    state.withLock { state in
      let error = RecurrentError.rank(rank, problem)
      state.failure = error
      return error
    }
  }

  // MARK: - The exchange

  func unite(_ words: inout [UInt64]) throws(RecurrentError) {
    do throws(RecurrentError) { try exchange.unite(&words) } catch { throw broken(error) }
  }

  func sum(_ values: UnsafeMutableBufferPointer<Float>) throws(RecurrentError) {
    do throws(RecurrentError) { try exchange.sum(values) } catch { throw broken(error) }
  }

  private func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int) throws(RecurrentError) {
    do throws(RecurrentError) { try exchange.broadcast(bytes, from: rank) } catch { throw broken(error) }
  }

  private func broken(_ error: RecurrentError) -> RecurrentError {
    state.withLock { state in (state.failure, state.isBroken) = (error, true) }
    return error
  }

  func add(_ cost: Cost) {
    state.withLock { state in
      state.cost.batches += cost.batches
      state.cost.bytes += cost.bytes
      state.cost.waiting += cost.waiting
      state.cost.adding += cost.adding
    }
  }

  // MARK: - Texts

  private func broadcast(_ bytes: inout [UInt8], from rank: Int) throws(RecurrentError) {
    try bytes.withUnsafeMutableBufferPointer { bytes throws(RecurrentError) in
      try broadcast(UnsafeMutableRawBufferPointer(bytes), from: rank)
    }
  }

  /// Rank 0's texts.
  private func broadcast(_ texts: [String]) throws(RecurrentError) -> [String] {
    var bytes = Array(texts.map { $0 + "\0" }.joined().utf8), count = [rank == 0 ? UInt64(bytes.count) : 0]
    try unite(&count)
    if rank > 0 { bytes = [UInt8](repeating: 0, count: Int(count[0])) }
    try broadcast(&bytes, from: 0)
    return bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast().map {
      String(decoding: $0, as: UTF8.self)
    }
  }
}

extension Result {
  fileprivate var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}
