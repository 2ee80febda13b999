// The vectors of the kernels for weights in bf16, and how they round. Each file defines KERNEL first: how its functions
// are compiled. The kernels read as 32-bit words what was written as floats, so these types may alias any other.
#pragma once
#include "rounded_forms.h"

enum { LANE_COUNT = 16 };
// 64 bytes, in the registers that the instruction set has.
typedef float vector __attribute__((ext_vector_type(LANE_COUNT), aligned(4), may_alias));
typedef uint32_t words __attribute__((ext_vector_type(LANE_COUNT), aligned(4), may_alias));
typedef uint32_t word __attribute__((may_alias));

// The portable kernels never fuse a product and an add, on any processor.
#pragma clang fp contract(off)

// The form of a kernel, as in own_kernels.h. All fields are constants at each use, so that every sum is a register.
typedef struct form {
  bool fused;
  int rows, panels, vectors;
} form;

// Rounds the floats of a vector of any size to bf16, which their upper halves then hold.
#define ROUND_BITS(bits) \
  ((((bits) & INT32_MAX) > 0x7f800000 ? (bits) | 0x400000 : (bits) + 0x7fff + ((bits) >> 16 & 1)) & 0xffff0000)

KERNEL void round_vector(words *x) { *x = ROUND_BITS(*x); }

KERNEL void round_floats(float *target, const float *source, ptrdiff_t count) {
  ptrdiff_t i = 0;
  for (; i + LANE_COUNT <= count; i += LANE_COUNT) {
    words x = *(const words *)(source + i);
    round_vector(&x);
    *(words *)(target + i) = x;
  }
  for (; i < count; i++) {
    const uint32_t bits = (uint32_t)bf16_bits(source[i]) << 16;
    memcpy(target + i, &bits, sizeof bits);
  }
}

// A word for each number of two rows: its lower half is that of the even row. Without an odd row, its numbers are zero.
KERNEL void pair_rows(uint32_t *target, const float *even, const float *odd, ptrdiff_t count) {
  ptrdiff_t i = 0;
  for (; i + LANE_COUNT <= count; i += LANE_COUNT) {
    words low = *(const words *)(even + i), high = odd ? *(const words *)(odd + i) : 0;
    round_vector(&low);
    round_vector(&high);
    *(words *)(target + i) = low >> 16 | high;
  }
  for (; i < count; i++) target[i] = bf16_bits(even[i]) | (odd ? (uint32_t)bf16_bits(odd[i]) << 16 : 0);
}

// Rounds [k][width] floats into a panel of `word_rows` rows of words. Those beyond the last k are zero.
KERNEL void round_to_panel(uint32_t *panel, ptrdiff_t width, const float *source, ptrdiff_t k, ptrdiff_t word_rows) {
  for (ptrdiff_t i = 0; i < (k + 1) / 2; i++) {
    const float *even = source + 2 * i * width;
    pair_rows(panel + i * width, even, 2 * i + 1 < k ? even + width : NULL, width);
  }
  for (ptrdiff_t i = (k + 1) / 2; i < word_rows; i++) memset(panel + i * width, 0, (size_t)width * 4);
}
