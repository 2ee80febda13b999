#include "entry.h"
#include "training.h"

LANES void add_squares_of_sixteen(lanes8d sums[2], const lanes16 *values) {
  const lanes8d low = __builtin_convertvector(values->lo, lanes8d);
  const lanes8d high = __builtin_convertvector(values->hi, lanes8d);
  sums[0] += low * low;
  sums[1] += high * high;
}

// The rest is apart from the whole vectors: a copy of a size that is not constant would triple the time.
LANES void add_squares_body(instruction_set set, const float *values, ptrdiff_t count, double *sum) {
  lanes8d sums[2] = {0};
  const ptrdiff_t whole = count / 16 * 16;
  for (ptrdiff_t i = 0; i < whole; i += 16) add_squares_of_sixteen(sums, (const lanes16 *)(values + i));
  const lanes16 rest = lanes_load_part_f32(values + whole, count - whole, 0);
  add_squares_of_sixteen(sums, &rest);
  sums[0] += sums[1];
  for (int lane = 0; lane < 8; lane++) *sum += sums[0][lane];
}

ENTRY(add_squares, set, (instruction_set set, const float *values, ptrdiff_t count, double *sum),
      (set, values, count, sum))
