// The instruction sets, and which of them this processor supports.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "../sets/instruction_sets.def"

#pragma clang assume_nonnull begin

// The instruction sets of sets/instruction_sets.def, in ascending order of preference.
#define INSTRUCTION_SET_ENUMERATOR(set, ...) instruction_set_##set,
typedef enum __attribute__((enum_extensibility(closed))) instruction_set {
  INSTRUCTION_SETS(INSTRUCTION_SET_ENUMERATOR) INSTRUCTION_SETS_FOR_ROUNDED(INSTRUCTION_SET_ENUMERATOR)
} instruction_set;

// The set whose code a set runs wherever weights are not rounded.
static inline instruction_set instruction_set_of_floats(instruction_set set) {
  return set > instruction_set_avx512 ? instruction_set_avx512 : set;
}

// The name of the set in the list.
const char *instruction_set_name(instruction_set set);

// The number of sets in the list. They are numbered from 0.
ptrdiff_t instruction_set_count(void);

// The set with that name; portable if the list does not have it.
instruction_set instruction_set_named(const char *name);

// Whether both the processor and the operating system support the set. XGETBV tells whether the operating system saves
// the wide registers.
bool processor_supports(instruction_set set);

// Whether processor and operating system support AVX-512 with VNNI, the multiply-adds of 8-bit numbers.
bool processor_has_avx512_vnni(void);

// Asks the operating system, once in a process, for permission to use AMX, and returns whether the process has it.
// Without permission, Linux does not save the tile registers. With it, alternate signal stacks must be larger than
// MINSIGSTKSZ bytes. So this is called only for a layer that uses AMX.
bool system_permits_amx(void);

// Writes the processor's own name to 49 bytes, the final zero included; "unknown processor" if it has none.
void processor_brand(char *name);

// Makes this thread read and write denormal numbers as zero. Returns the mode before, which restore_denormals restores.
static inline unsigned flush_to_zero(void) {
#if defined(__x86_64__)
  const unsigned mode = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(mode | 0x8040);
  return mode;
#else
  return 0;
#endif
}
static inline void restore_denormals(unsigned mode) {
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr(mode);
#endif
}

// Whether AMD made the processor. BLIS's sub-configurations for AMD are named after Zen.
bool processor_is_amd(void);

#pragma clang assume_nonnull end
