#include "lanes.h"
#include "products.h"

// `count` independent sums of different values, enough to hide the latency of a multiply-add; all are kept at the end.
LANES double burst(const bool fused, const int count, ptrdiff_t repetitions) {
  lanes16 sums[12];
  for (int i = 0; i < count; i++) sums[i] = (float)i;
  const lanes16 factor = 0.5f, term = 1.0f;
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
