#include "entry.h"
#include "training.h"

LANES void add_squares_body(instruction_set set, const float *values, ptrdiff_t count, double *sum) {
  lanes8d sums[2] = {0};
  for (ptrdiff_t i = 0; i < count; i += 16) {
    lanes16 part = {0};
    memcpy(&part, values + i, (size_t)(count - i < 16 ? count - i : 16) * sizeof(float));
    const lanes8d low = __builtin_convertvector(part.lo, lanes8d), high = __builtin_convertvector(part.hi, lanes8d);
    sums[0] += low * low;
    sums[1] += high * high;
  }
  sums[0] += sums[1];
  for (int lane = 0; lane < 8; lane++) *sum += sums[0][lane];
}

ENTRY(add_squares, set, (instruction_set set, const float *values, ptrdiff_t count, double *sum),
      (set, values, count, sum))
