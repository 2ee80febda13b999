// What this processor can do.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#pragma clang assume_nonnull begin

// In ascending order: each set contains the ones before it.
typedef enum __attribute__((enum_extensibility(closed))) instruction_set {
  instruction_set_portable,  // what the compiler assumes anyway: SSE2 on x86-64
  instruction_set_avx2,      // AVX2, FMA, BMI2
  instruction_set_avx512,    // AVX-512 F, BW, DQ, VL, CD on top of that
} instruction_set;

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
