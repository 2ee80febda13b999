import CRecurrentKernels

/// An instruction set that the kernels are compiled for. Each contains the ones before it.
public enum InstructionSet: String, CaseIterable, Comparable, Sendable {
  /// Any processor; SSE2 on x86-64.
  case portable
  /// AVX2 and FMA.
  case avx2
  /// AVX-512 F, BW, DQ, VL and CD.
  case avx512

  public static func < (a: InstructionSet, b: InstructionSet) -> Bool { a.kernelSet.rawValue < b.kernelSet.rawValue }

  /// The set of the same name in C.
  package var kernelSet: instruction_set { InstructionSet.kernelSets[self]! }

  /// The sets in C, looked up only once, because passing a name to C allocates.
  private static let kernelSets = Dictionary(
    uniqueKeysWithValues: allCases.map { ($0, instruction_set_named($0.rawValue)) })
}
