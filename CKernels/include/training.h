// The update of parameters in training.
#pragma once
#include "processor.h"

#pragma clang assume_nonnull begin

// One update of some parameters by Adam:
//   m = beta1·m + (1 - beta1)·g, v = beta2·v + (1 - beta2)·g², value -= rate·m / (√(v·correction) + epsilon)
// with g = scale·gradient. Denormal numbers count as zero. Otherwise the moments of a parameter that gets no more
// gradients would stay denormal for ever, and each of them would take a hundred cycles.
//
// The gradient has some rows of `size` parameters each, in ascending order: rows[r] is the row of the parameters that
// the gradient's row r belongs to. The gradient of all other parameters is zero, as for symbols that an embedding
// has not seen. If every parameter has a gradient, there is one row.
typedef struct adam_update {
  float *values;                    // [count]
  float *first;                     // [count], m
  float *second;                    // [count], v
  const float *_Nullable gradient;  // [row_count, size]
  const ptrdiff_t *_Nullable rows;  // [row_count]
  ptrdiff_t row_count;
  ptrdiff_t size;
  ptrdiff_t count;  // a multiple of size
  float scale;
  float rate;
  float beta1;
  float beta2;
  float correction;
  float epsilon;
} adam_update;
void adam_run(instruction_set set, const adam_update *update);

// *sum += Σ values². Every product is exact, and the order of the additions is the same for every instruction set.
void add_squares(instruction_set set, const float *values, ptrdiff_t count, double *sum);

#pragma clang assume_nonnull end
