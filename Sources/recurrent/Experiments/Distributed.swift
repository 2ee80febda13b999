import CToolSupport
import RecurrentTraining
import ToolSupport

/// The option that runs an experiment on several ranks.
let distributedOption = Option(
  "distributed", nil,
  "share each batch with the other processes of 'mpirun -n K', one thread each by default; needs --traits MPI")

/// Runs an experiment on all ranks. Errors are printed on every rank.
///
/// - Throws: `ToolError` if this build has no MPI, and `EarlyEnd` after an error that was printed.
func runDistributed(_ body: (Ranks) throws -> Void) throws {
  guard Ranks.canBeSeveral else {
    throw ToolError(
      "--distributed needs a build with MPI: 'swift build -c release --traits MPI', after Scripts/install-openmpi")
  }
  var wasReported = false
  do {
    try Ranks.run { error in
      complain("recurrent: \(error)")
      wasReported = true
    } _: { ranks in
      try body(ranks)
    }
  } catch {
    guard wasReported else { throw error }
    let signal = noted_interrupt()
    throw EarlyEnd(status: signal == 0 ? 1 : 128 + signal, message: nil)
  }
}
