// Products of floats in 8 bits: weights with a scale for each unit, rows with a scale for each row.
//
// A row of k floats, or the k weights of a unit, is quantized with one scale s:
//
//   s = m / 127,   q = round(x · (127 / m)),   with m = max|x| and -127 <= q <= 127
//
// Numbers below INT8_LEAST count as zero if all of the row are: then s = 0. If one of them is infinite or NaN, s is
// NaN, and so is every product with the row. Ties round to even, if that is the rounding mode.
//
//   c[q][r][u] += float(Σ_k rows[r][k] · panels[q][u][k]) · (s of the row · s of the unit)
//
// The sum is exact in 32 bits, because k <= INT8_MOST_K. The float operations are not fused, so the kernels of all
// instruction sets give the same bits.
//
// Numbers are packed in words of 4 bytes, in groups of `group` values of k: 4 bytes (VPDPBUSD), or 2 numbers of 16 bits
// (VPMADDWD). k is padded with zeros to a multiple of 4.
//
//   A row tile is [rows] scales, then [k / group][rows] words. For VPDPBUSD, a byte of a row is q + 128.
//   A panel is [P] int32 that the sums start from, [P] scales, then [k / group][P][group] bytes. For VPDPBUSD, a sum
//   starts from -128 · Σ_k q, which takes back what 128 adds; otherwise it starts from zero.
//
// Tiles and panels need no slack. Panels start at a multiple of 64 bytes.
#pragma once
#include <stdint.h>

#include "products.h"

#pragma clang assume_nonnull begin

// No sum of so many products of 8 bits overflows, also not with 128 added to each number of the row.
enum { INT8_MOST_K = 1 << 16 };
// 2^-100. A smaller scale could be a denormal number, or its inverse infinite.
#define INT8_LEAST 0x1p-100f

// Some rows of floats. The k numbers of a row lie in pieces of `piece` numbers, `piece_stride` apart; `piece` is k or a
// multiple of 16.
typedef struct int8_rows {
  const float *source;
  ptrdiff_t row_count;
  ptrdiff_t row_stride;
  ptrdiff_t k;
  ptrdiff_t piece;
  ptrdiff_t piece_stride;
} int8_rows;

typedef struct int8_kernels {
  const char *name;
  instruction_set set;
  ptrdiff_t group;
  ptrdiff_t tile_rows;  // the most rows of a tile: those of the set's products of floats
  // Multiplies one row tile by some panels of `panel_width` units: 16, or 32 on AVX-512. The rows are such a tile, and
  // the panels lie `panel_stride` words apart. The sums are added to c, and nothing is fetched.
  void (*product)(const product *product);
  // Quantizes rows into one row tile.
  void (*quantize_rows)(const int8_rows *rows, void *tile);
} int8_kernels;

// The table of all compiled kernels, at the indices below the count. An instruction set can have several.
ptrdiff_t int8_kernels_count(void);
const int8_kernels *int8_kernels_at(ptrdiff_t index);

// Whether the processor can run the kernels.
bool int8_kernels_are_supported(const int8_kernels *kernels);

// The fastest kernels of a set that the processor supports.
const int8_kernels *int8_kernels_for(instruction_set set);

// The words of a row in a row tile, and of a unit in a panel.
static inline ptrdiff_t int8_row_words(const int8_kernels *kernels, ptrdiff_t k) {
  return 1 + (k + 3) / 4 * (4 / kernels->group);
}
static inline ptrdiff_t int8_unit_words(ptrdiff_t k) { return 2 + (k + 3) / 4; }

// Quantizes weights [units][k] into a panel of `width` units. Those beyond the last unit become zero.
void int8_quantize_panel(const int8_kernels *kernels, void *panel, ptrdiff_t width, const float *weights,
                         ptrdiff_t units, ptrdiff_t k);

#pragma clang assume_nonnull end
