import CRecurrentKernels

/// An instruction set that the kernels are compiled for. Each contains the ones before it.
public enum InstructionSet: String, CaseIterable, Comparable, Sendable {
  /// Any processor; SSE2 on x86-64.
  case portable
  /// AVX2 and FMA.
  case avx2
  /// AVX-512 F, BW, DQ, VL and CD.
  case avx512
  /// The same and AVX512_BF16, for weights in bf16. All other code is that of `avx512`.
  case avx512bf16
  /// The same and AMX, which multiplies whole tiles, for weights in bf16 and in 8 bits. All other code is that of
  /// `avx512`.
  case amx

  public static func < (a: InstructionSet, b: InstructionSet) -> Bool { a.own.rawValue < b.own.rawValue }

  /// The set of the same name in C, which the kernels for rounded weights are chosen by.
  package var own: instruction_set { InstructionSet.ownSets[self]! }

  /// The set in C whose code runs wherever weights are not rounded.
  package var kernelSet: instruction_set { instruction_set_of_floats(own) }

  /// The sets in C, looked up only once, because passing a name to C allocates.
  private static let ownSets = Dictionary(
    uniqueKeysWithValues: allCases.map { ($0, instruction_set_named($0.rawValue)) })
}
