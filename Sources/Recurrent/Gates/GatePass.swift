import CRecurrentKernels

/// A gate pass in one direction, compiled for one instruction set.
package typealias GateFunction = @convention(c) (UnsafePointer<gate_tile>) -> Void
/// One stage of a step in registers for one step block: its products with W and U and its gate pass, compiled for one
/// instruction set.
package typealias StepFunction = @convention(c) (UnsafePointer<register_step>) -> Void

/// The gate pass of one variant of a cell, or of one stage of it, for one scalar and one instruction set.
package struct GatePass: BitwiseCopyable, @unchecked Sendable {
  private let functions: gate_functions

  init(_ functions: gate_functions) { self.functions = functions }

  package var forward: GateFunction { functions.forward }
  package var backward: GateFunction { functions.backward }
  package var step: StepFunction { functions.step }
}

/// The list of the gate passes of all cells. Tests and the benchmark use it, as they use C's table of kernels.
package enum GatePasses {
  package struct Entry: Sendable {
    package let name: String
    /// The number of slots of its gate tile.
    package let slots: Int
    package let scalar: scalar_type
    package let pass: GatePass
  }

  package static func all(_ scalar: scalar_type, _ set: instruction_set) -> [Entry] {
    Cell.all.flatMap { cell in
      let program = cell.definition.program(scalar, set)
      let name = cell.description.lowercased().filter { $0 != "," }.split(separator: " ").joined(separator: "-")
      return program.stages.enumerated().map { index, stage in
        Entry(
          name: program.stages.count == 1 ? name : "\(name)-stage-\(index + 1)", slots: program.slots, scalar: scalar,
          pass: stage.pass)
      }
    }
  }
}
