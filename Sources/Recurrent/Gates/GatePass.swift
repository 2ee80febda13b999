import CRecurrentKernels

/// A gate pass in one direction, compiled for one instruction set.
package typealias GateFunction = @convention(c) (UnsafePointer<gate_tile>) -> Void

/// The gate pass of one variant of a cell, or of one stage of it, for one scalar and one instruction set.
package struct GatePass: BitwiseCopyable, @unchecked Sendable {
  package let forward: GateFunction
  package let backward: GateFunction
}

/// Every gate pass there is: what tests and the benchmark go over, as C's kernels have their table.
package enum GatePasses {
  package struct Entry: Sendable {
    package let name: String
    /// The slots of its tile.
    package let slots: Int
    package let scalar: ScalarKind
    package let pass: GatePass
  }

  package static func all(_ scalar: ScalarKind, _ set: instruction_set) -> [Entry] {
    let passes: [(String, Int, GatePass)] = [
      ("rnn", 1, RNNGates.pass(.tanh, scalar, set)),
      ("rnn-relu", 1, RNNGates.pass(.relu, scalar, set)),
      ("lstm", 4, LSTMGates.pass(.tanh, scalar, set)),
      ("lstm-linear", 4, LSTMGates.pass(.linear, scalar, set)),
      ("gru", 4, GRUGates.pass(update: .keepsOld, scalar, set)),
      ("gru-takes-new", 4, GRUGates.pass(update: .takesNew, scalar, set)),
      ("gru-reset", 4, GRUGates.resetPass(scalar, set)),
      ("gru-update", 4, GRUGates.updatePass(update: .keepsOld, scalar, set)),
      ("gru-update-takes-new", 4, GRUGates.updatePass(update: .takesNew, scalar, set)),
    ]
    return passes.map { Entry(name: $0, slots: $1, scalar: scalar, pass: $2) }
  }
}
