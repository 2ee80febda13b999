// How rows are rounded to 8 bits. A file defines NAMED(name): a name of its own for each function, KERNEL and
// ATTRIBUTES: how functions are compiled, GROUP: the values of k in a word of a row, FOR_AMX_TILES: whether 16 words of
// a row lie next to each other, as AMX reads them, and HAS_MASKS: whether the instruction set has masked loads.
#pragma once
#include "int8_vectors.h"

#pragma clang fp contract(off)

#if HAS_MASKS
// The two halves of a vector, as one vector.
KERNEL void join_half_vectors(floats *x, __m256 first, __m256 second) {
  *x = (floats)_mm512_insertf32x8(_mm512_castps256_ps512(first), second, 1);
}

// A step in registers has just stored the numbers of a row, some of them only 32 bytes at a time. A load of 64 bytes
// would wait until these stores are in the cache, so each vector is loaded as two halves.
KERNEL void load_all(floats *x, const float *source) {
  const float *second = source + LANE_COUNT / 2;
  __asm__("" : "+r"(second));  // Otherwise the compiler joins both loads.
  join_half_vectors(x, _mm256_loadu_ps(source), _mm256_loadu_ps(second));
}

// Loads `count` numbers, fewer than a vector has, and zeros after them.
KERNEL void load_part(floats *x, const float *source, ptrdiff_t count) {
  const unsigned mask = (1u << count) - 1;
  join_half_vectors(x, _mm256_maskz_loadu_ps((__mmask8)mask, source),
                    _mm256_maskz_loadu_ps((__mmask8)(mask >> LANE_COUNT / 2), source + LANE_COUNT / 2));
}
#else
KERNEL void load_all(floats *x, const float *source) { *x = *(const floats *)source; }

// Loads `count` numbers, fewer than a vector has, and zeros after them.
KERNEL void load_part(floats *x, const float *source, ptrdiff_t count) {
  float part[LANE_COUNT] = {0};
  float *target = part;
#define COPY(size)                               \
  if (count & size) {                            \
    memcpy(target, source, size * sizeof *part); \
    target += size;                              \
    source += size;                              \
  }
  COPY(8)
  COPY(4)
  COPY(2)
  COPY(1)
#undef COPY
  *x = *(const floats *)part;
}
#endif

// The words of 16 numbers of a row.
typedef int32_t row_words __attribute__((ext_vector_type(LANE_COUNT / GROUP), aligned(4), may_alias));

KERNEL void round_to_words(row_words *words, const floats *x, float inverse) {
  floats scaled = *x * inverse;
  scaled = scaled > 127 ? (floats)127 : scaled;
  scaled = scaled < -127 ? (floats)-127 : scaled;
  const integers numbers = __builtin_bit_cast(integers, scaled + INT8_SHIFT);
#if GROUP == 4
  *words = __builtin_bit_cast(row_words, __builtin_convertvector(numbers, quarter_bytes) ^ (int8_t)-128);
#else
  *words = __builtin_bit_cast(row_words, __builtin_convertvector(numbers, half_shorts));
#endif
}

KERNEL void keep_most(integers *most, const floats *x) {
  const integers magnitudes = __builtin_bit_cast(integers, *x) & INT32_MAX;
  *most = magnitudes > *most ? magnitudes : *most;
}

// Where the word with number k of a row lies, from the row's first word on. The words of a single row, and 16 of a row
// in AMX's tiles, lie next to each other.
KERNEL ptrdiff_t place_of(ptrdiff_t k, ptrdiff_t rows) {
#if FOR_AMX_TILES
  return k / GROUP / LANE_COUNT * (rows * LANE_COUNT) + k / GROUP % LANE_COUNT;
#else
  return k / GROUP * rows;
#endif
}

KERNEL void quantize_row(const rounded_rows *s, const float *row, float *scale, word *words, const ptrdiff_t rows) {
  integers most[2] = {0, 0};
  floats x;
  const float *piece = row;
  for (ptrdiff_t left = s->k; left > 0; left -= s->piece, piece += s->piece_stride) {
    const ptrdiff_t count = left < s->piece ? left : s->piece;
    ptrdiff_t i = 0;
    for (; i + 2 * LANE_COUNT <= count; i += 2 * LANE_COUNT) {
      load_all(&x, piece + i);
      keep_most(&most[0], &x);
      load_all(&x, piece + i + LANE_COUNT);
      keep_most(&most[1], &x);
    }
    for (; i + LANE_COUNT <= count; i += LANE_COUNT) {
      load_all(&x, piece + i);
      keep_most(&most[0], &x);
    }
    if (i < count) {
      load_part(&x, piece + i, count - i);
      keep_most(&most[1], &x);
    }
  }
  most[0] = most[0] > most[1] ? most[0] : most[1];
  const int8_scale chosen = int8_scale_of(__builtin_reduce_max(most[0]));
  *scale = chosen.scale;
  piece = row;
  for (ptrdiff_t done = 0; done < s->k; done += s->piece, piece += s->piece_stride) {
    const ptrdiff_t count = s->k - done < s->piece ? s->k - done : s->piece;
    for (ptrdiff_t i = 0; i < count; i += LANE_COUNT) {
      word *target = words + place_of(done + i, rows);
      const bool is_whole = i + LANE_COUNT <= count;
      if (is_whole)
        load_all(&x, piece + i);
      else
        load_part(&x, piece + i, count - i);
      row_words packed;
      round_to_words(&packed, &x, chosen.inverse);
      if (is_whole && (FOR_AMX_TILES || rows == 1))
        *(row_words *)target = packed;
      else if (is_whole)
#pragma clang loop unroll(full)
        for (int d = 0; d < LANE_COUNT / GROUP; d++) target[d * rows] = packed[d];
      else
        for (ptrdiff_t d = 0; d < (count - i + 3) / 4 * (4 / GROUP); d++)
          target[FOR_AMX_TILES ? d : d * rows] = packed[d];
    }
  }
}

ATTRIBUTES void NAMED(round_rows_i8)(const rounded_rows *s, void *tile) {
  float *scales = tile;
  word *words = (word *)(scales + s->row_count);
  if (s->row_count == 1)  // The words of a single row lie next to each other.
    quantize_row(s, s->source, scales, words, 1);
  else
    for (ptrdiff_t r = 0; r < s->row_count; r++)
      quantize_row(s, s->source + r * s->row_stride, &scales[r], words + r * (FOR_AMX_TILES ? LANE_COUNT : 1),
                   s->row_count);
}
