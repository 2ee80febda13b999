import Recurrent
import Synchronization
import ToolSupport

/// Runs jobs on several threads, the first ones first, with a progress bar.
///
/// - Parameters:
///   - count: the number of jobs.
///   - threads: how many run at once.
///   - label: the text before the bar.
///   - showsProgress: whether there is a bar.
///   - job: runs the job of a number. It calls its second argument with the fraction that is done, 0 to 1, often
///     enough to end within a moment after a signal: that call then throws `Interrupted`.
/// - Returns: the results in the order of the jobs.
/// - Throws: the error of the first job that failed.
func runJobs<Result: Sendable>(
  _ count: Int, threads: Int, label: String, showsProgress: Bool = true,
  _ job: @escaping @Sendable (_ index: Int, _ progress: (Double) throws -> Void) throws -> Result
) throws -> [Result] {
  let state = Mutex(
    Jobs<Result>(
      results: Array(repeating: nil, count: count), errors: Array(repeating: nil, count: count),
      fractions: Array(repeating: 0, count: count), bar: ProgressBar(label, isHidden: !showsProgress)))
  let work = Work {
    while true {
      let index: Int? = state.withLock { state in
        guard state.next < count, state.errors.allSatisfy({ $0 == nil }) else { return nil }
        defer { state.next += 1 }
        return state.next
      }
      guard let index else { return }
      do {
        let result = try job(index) { fraction in
          try Interrupted.check()
          state.withLock { state in
            state.fractions[index] = fraction
            state.bar.show(
              state.fractions.reduce(0, +) / Double(count),
              ["\(state.results.count { $0 != nil }) of \(count) done"])
          }
        }
        state.withLock { state in
          state.results[index] = result
          state.fractions[index] = 1
        }
      } catch {
        state.withLock { $0.errors[index] = error }
      }
    }
  }
  try Threads(count: max(1, min(threads, count))).run(work)
  return try state.withLock { state in
    state.bar.finish()
    if let error = state.errors.compactMap({ $0 }).first { throw error }
    return state.results.map { $0! }
  }
}

/// What each thread runs.
private struct Work: SharedWork {
  let body: @Sendable () -> Void

  func run(_ share: Share) { body() }
}

/// What the threads of `runJobs` share.
private struct Jobs<Result: Sendable>: Sendable {
  var next = 0
  var results: [Result?]
  var errors: [(any Error)?]
  var fractions: [Double]
  var bar: ProgressBar
}
