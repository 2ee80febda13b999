#pragma once
#include "kernels.h"

// Runs `count` independent sums of different values, enough to hide the latency of a multiply-add. All sums are stored
// at the end, so that the compiler cannot leave them out.
KERNEL double burst(const bool fused, const int count, ptrdiff_t repetitions) {
  // The values are volatile, so that the compiler does not know them. With constants, it found that 2 · 0.5 + 1 stays
  // 2, left that sum out, and the peak was a twelfth too high.
  const volatile SCALAR start[3] = {(SCALAR)0.25, (SCALAR)0.5, 1};
  vector sums[12];
  for (int i = 0; i < count; i++) sums[i] = start[0] * (SCALAR)i;
  const vector factor = start[1], term = start[2];
  for (ptrdiff_t repetition = 0; repetition < repetitions; repetition++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < count; i++)
      sums[i] = fused ? __builtin_elementwise_fma(sums[i], factor, term) : sums[i] * factor + term;
  }
  for (int i = 0; i < count; i++) {
    volatile vector kept = sums[i];
    (void)kept;
  }
  return 2.0 * LANE_COUNT * count * (double)repetitions;
}

#define DEFINE_BURST(set, width, architecture, attributes, fused, own_is_faster, vectors, most_sums, k_at_once, \
                     burst_sums, ...)                                                                           \
  architecture(attributes double NAMED(multiply_add_burst, set##width)(ptrdiff_t repetitions) {                 \
    return burst(fused, burst_sums, repetitions);                                                               \
  })
PRODUCT_FORMS(DEFINE_BURST)
#undef DEFINE_BURST
