import CRecurrentKernels

/// An instruction set that the kernels are compiled for. Each contains the ones before it.
public enum InstructionSet: String, CaseIterable, Comparable, Sendable {
  /// Any processor; SSE2 on x86-64.
  case portable
  /// AVX2 and FMA.
  case avx2
  /// AVX-512 F, BW, DQ, VL and CD.
  case avx512
  /// AVX-512 and AVX512_BF16, which multiplies numbers of bf16. All code except the products with weights in bf16 is
  /// that of `avx512`.
  case avx512bf16
  /// The same and AMX, which multiplies whole tiles of numbers of bf16 and of 8-bit numbers. All code except the
  /// products with such weights is that of `avx512`.
  case amx

  public static func < (a: InstructionSet, b: InstructionSet) -> Bool { a.kernelSet.rawValue < b.kernelSet.rawValue }

  /// The set of the same name in C. It selects the kernels for rounded weights.
  package var kernelSet: instruction_set { InstructionSet.kernelSets[self]! }

  /// The set in C whose code runs for everything but rounded weights.
  package var floatSet: instruction_set { instruction_set_of_floats(kernelSet) }

  /// The sets in C, looked up only once, because passing a name to C allocates.
  private static let kernelSets = Dictionary(
    uniqueKeysWithValues: allCases.map { ($0, instruction_set_named($0.rawValue)) })
}
