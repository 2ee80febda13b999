import Recurrent
import Synchronization

/// The processes that train one model together, each on its share of every batch. Open MPI starts them, on one machine
/// or on several: `mpirun -n 2 PROGRAM`. Every process runs the same program, and all of them make the same calls in
/// the same order; each is known by its rank, 0 ..< count.
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
/// If anything fails on one rank, or if ranks disagree, all ranks throw the same `RecurrentError.rank` from their
/// current or their next call, and none waits forever. From then on, every call throws it. A process that dies ends the
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
    /// The bytes of gradients and of lists of rows that this rank has contributed.
    public var bytes = 0
    /// How long this rank has waited for slower ranks after its own shares, in seconds.
    public var waiting = 0.0
    /// How long the ranks have exchanged lists of rows and added gradients, in seconds.
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
  ///   - report: gets the error, if there is one, before MPI ends. `mpirun` stops the other processes as soon as one
  ///     has ended with a failure, so each rank must print its error here.
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
    if !state.withLock({ $0.isBroken }) {
      // The first error is the one to know.
      do { try exchange.finish() } catch { _ = try result.get(); throw error }
    }
    return try result.get()
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
        other, "its call is \(notices[other].call.name), expected \(notices[0].call.name), as on rank 0")
    }
    return notices
  }

  /// A failure that has a rank keeps it on the way to the others.
  private func text(of failure: any Error) -> String {
    if case .rank(let origin, let problem)? = failure as? RecurrentError { return "\(origin) \(problem)" }
    return "- \(failure)"
  }

  /// Notes an error that all ranks throw.
  func end(_ rank: Int, _ problem: String) -> RecurrentError {
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

  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int) throws(RecurrentError) {
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
}

extension Result {
  fileprivate var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}
