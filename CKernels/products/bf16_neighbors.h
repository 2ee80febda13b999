// How the kernels for AVX-512 pack a row into words of two neighboring k. KERNEL must be defined before.
#pragma once
#include <immintrin.h>

#include "bf16_vectors.h"

// Rows are loaded 32 bytes at a time: a step in registers stores some of them so, and a wider load would wait until
// these stores are in the cache (`load_all` in int8_rounding.h does the same).
enum { NEIGHBORS = 8 };
typedef uint32_t numbers __attribute__((ext_vector_type(NEIGHBORS)));
typedef uint64_t neighbors __attribute__((ext_vector_type(NEIGHBORS / 2)));
typedef uint32_t four_words __attribute__((ext_vector_type(NEIGHBORS / 2)));

KERNEL void round_to_words(four_words *target, const numbers bits) {
  const neighbors both = __builtin_bit_cast(neighbors, ROUND_BITS(bits));
  *target = __builtin_convertvector((both >> 16 & 0xffff) | both >> 32, four_words);
}

// The words of `count` neighboring numbers of a row. The upper half of the last word is zero if `count` is odd.
KERNEL void pair_neighbors(uint32_t *target, const float *source, ptrdiff_t count) {
  four_words both;
  for (; count >= NEIGHBORS; count -= NEIGHBORS, source += NEIGHBORS, target += NEIGHBORS / 2) {
    round_to_words(&both, (numbers)_mm256_loadu_si256((const void *)source));
    memcpy(target, &both, sizeof both);
  }
  if (count == 0) return;
  round_to_words(&both, (numbers)_mm256_maskz_loadu_epi32((__mmask8)((1 << count) - 1), source));
  _mm_mask_storeu_epi32(target, (__mmask8)((1 << (count + 1) / 2) - 1), (__m128i)both);
}
