// Dropout whose masks need no memory: whether a unit is kept depends only on the seed and on its position in the data.
#pragma once
#include <stdint.h>

#include "processor.h"

#pragma clang assume_nonnull begin

// One row of one layer's output: a step of a sequence.
typedef struct dropout_row {
  uint64_t seed;
  uint64_t sequence;
  ptrdiff_t first;  // the number of the target's first unit
  uint32_t step;
  uint32_t layer;
  uint32_t threshold;  // a unit is dropped if its 32 random bits are a smaller number
  double scale;        // the factor of the units that are kept
} dropout_row;

// target[u] = (unit first + u is dropped) ? 0 : scale · source[u] for u < count; target may be source. The bits of
// units 4·j to 4·j + 3 are Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011, doi 10.1145/2063384.2063405) of the key
// `seed` and the counter (j, step, lower half of sequence, layer + 2^16 · upper half of sequence), each word modulo
// 2^32.
void drop_units_f32(instruction_set set, float *target, const float *source, ptrdiff_t count, const dropout_row *row);
void drop_units_f64(instruction_set set, double *target, const double *source, ptrdiff_t count, const dropout_row *row);

// Philox 4x32-10 itself, so that tests can compare it with the known answers of its authors.
void philox_4x32_10(const uint32_t counter[_Nonnull 4], const uint32_t key[_Nonnull 2], uint32_t bits[_Nonnull 4]);

#pragma clang assume_nonnull end
