// What this processor can do.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "../sets/instruction_sets.def"

#pragma clang assume_nonnull begin

// The sets of sets/instruction_sets.def, in ascending order of preference.
#define INSTRUCTION_SET_ENUMERATOR(set, ...) instruction_set_##set,
typedef enum __attribute__((enum_extensibility(closed))) instruction_set {
  INSTRUCTION_SETS(INSTRUCTION_SET_ENUMERATOR)
} instruction_set;

// The set's name in the list.
const char *instruction_set_name(instruction_set set);

// How many sets the list has; they are numbered from 0.
ptrdiff_t instruction_set_count(void);

// The set of that name, portable if the list has none.
instruction_set instruction_set_named(const char *name);

// Whether processor and operating system (XGETBV: are the wide registers saved?) both support the set.
bool processor_supports(instruction_set set);

// The processor's own name, 49 bytes with the final zero; "unknown processor" where it has none.
void processor_brand(char *name);

// From here on this thread reads and writes denormal numbers as zero, until the mode that is returned is restored.
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

// Whether the maker is AMD, whose BLIS sub-configurations are named after Zen.
bool processor_is_amd(void);

#pragma clang assume_nonnull end
