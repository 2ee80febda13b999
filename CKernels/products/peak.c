#include "lanes.h"
#include "products.h"

// `count` independent sums of different values, enough to hide the latency of a multiply-add; all are kept at the end.
LANES double burst(const bool fused, const int count, ptrdiff_t repetitions) {
  // Read from memory that the compiler cannot see through: with constants it found that 2 · 0.5 + 1 stays 2, left that
  // sum out, and the peak was a twelfth too high.
  const volatile float start[3] = {0.25f, 0.5f, 1.0f};
  lanes16 sums[12];
  for (int i = 0; i < count; i++) sums[i] = start[0] * (float)i;
  const lanes16 factor = start[1], term = start[2];
  for (ptrdiff_t repetition = 0; repetition < repetitions; repetition++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < count; i++)
      sums[i] = fused ? __builtin_elementwise_fma(sums[i], factor, term) : sums[i] * factor + term;
  }
  for (int i = 0; i < count; i++) {
    volatile lanes16 kept = sums[i];
    (void)kept;
  }
  return 2.0 * 16 * count * (double)repetitions;
}

#if defined(__x86_64__)
FOR_AVX512 static double burst_avx512(ptrdiff_t repetitions) { return burst(true, 12, repetitions); }
FOR_AVX2 static double burst_avx2(ptrdiff_t repetitions) { return burst(true, 6, repetitions); }
#endif
static double burst_portable(ptrdiff_t repetitions) {
#pragma clang fp contract(off)
  return burst(false, 3, repetitions);
}

double multiply_add_burst(instruction_set set, ptrdiff_t repetitions) {
  switch (set) {
#if defined(__x86_64__)
    case instruction_set_avx512: return burst_avx512(repetitions);
    case instruction_set_avx2: return burst_avx2(repetitions);
#endif
    default: return burst_portable(repetitions);
  }
}
