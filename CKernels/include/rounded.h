// Products of floats that are rounded to fewer bits: weights when they are packed, and rows before each product.
//
// In int8, a row of k floats, or the k weights of a unit, is quantized with one scale s:
//
//   s = m / 127,   q = round(x · (127 / m)),   with m = max|x| and -127 <= q <= 127
//
//   c[q][r][u] += float(Σ_k rows[r][k] · panels[q][u][k]) · (s of the row · s of the unit)
//
// Numbers below INT8_LEAST count as zero if all of the row are: then s = 0. If one of them is infinite or NaN, s is
// NaN, and so is every product with the row. Ties round to even, if that is the rounding mode. The sum is exact in 32
// bits, because k <= INT8_MOST_K. The float operations are not fused, so the kernels of all instruction sets give the
// same bits.
//
// In bf16, each number is rounded to bfloat16, the upper half of a float: to the nearest one, of two equally near ones
// to the even one, in any rounding mode. A NaN stays a NaN. Products and sums are those of floats, in the chains of
// products.h. So kernels that unpack weights to floats give the bits of the float kernels on rounded numbers. Kernels
// of instructions that add in another order (AVX512_BF16, AMX) would be a format of their own in this table.
//
// Numbers are packed in words of 4 bytes, in groups of neighboring values of k: `row_group` of a row in a word, and
// `unit_group` of a unit in one. k is padded with zeros to a multiple of `unit_group`.
//
//   An int8 row tile is [rows] scales, then [k / group][rows] words. A word of a row has 4 bytes for VPDPBUSD, each q +
//   128, and otherwise 2 numbers of 16 bits for VPMADDWD. A panel is [P] int32 that the sums start from, [P] scales,
//   then [k / group][P][group] bytes. For VPDPBUSD, a sum starts from -128 · Σ_k q, which takes back what 128 adds;
//   otherwise it starts from zero.
//
//   A bf16 row tile is a packed tile of rounded floats, [k][rows]. A panel is [k / 2][P] words, whose lower half is the
//   weight of the even k. A kernel then unpacks two vectors of weights from one with a shift and a mask. The padding of
//   a row is not written and that of weights is not read.
//
// Tiles and panels need no slack. Panels start at a multiple of 64 bytes.
#pragma once
#include <stdint.h>
#include <string.h>

#include "products.h"

#pragma clang assume_nonnull begin

// No sum of so many products of 8 bits overflows, also not with 128 added to each number of the row.
enum { INT8_MOST_K = 1 << 16 };
// 2^-100. A smaller scale could be a denormal number, or its inverse infinite.
#define INT8_LEAST 0x1p-100f

typedef enum __attribute__((enum_extensibility(closed))) rounded_format {
  rounded_format_int8,
  rounded_format_bf16,
} rounded_format;

// Some rows of floats. The k numbers of a row lie in pieces of `piece` numbers, `piece_stride` apart; `piece` is k or a
// multiple of 16.
typedef struct rounded_rows {
  const float *source;
  ptrdiff_t row_count;
  ptrdiff_t row_stride;
  ptrdiff_t k;
  ptrdiff_t piece;
  ptrdiff_t piece_stride;
} rounded_rows;

typedef struct rounded_kernels {
  const char *name;
  rounded_format format;
  instruction_set set;
  bool (*_Nullable has_more)(void);  // whether the processor has what the kernels need beyond the set; null if nothing
  ptrdiff_t row_group;
  ptrdiff_t unit_group;
  ptrdiff_t tile_rows;  // the most rows of a tile: those of the set's products of floats
  // Multiplies one row tile by some panels of `panel_width` units: 16, or 32 on AVX-512. The rows are such a tile, and
  // the panels lie `panel_stride` words apart. The sums are added to c, and nothing is fetched.
  void (*product)(const product *product);
  // Rounds rows into one row tile.
  void (*round_rows)(const rounded_rows *rows, void *tile);
} rounded_kernels;

// The table of all compiled kernels, at the indices below the count. An instruction set can have several of a format.
ptrdiff_t rounded_kernels_count(void);
const rounded_kernels *rounded_kernels_at(ptrdiff_t index);

// Whether the processor can run the kernels.
bool rounded_kernels_are_supported(const rounded_kernels *kernels);

// The fastest kernels of a set that the processor supports.
const rounded_kernels *rounded_kernels_for(rounded_format format, instruction_set set);

// The words of a row in a row tile, and of a unit in a panel, with their scales.
static inline ptrdiff_t rounded_unit_words(const rounded_kernels *kernels, ptrdiff_t k) {
  return (kernels->format == rounded_format_int8 ? 2 : 0) + (k + kernels->unit_group - 1) / kernels->unit_group;
}
static inline ptrdiff_t rounded_row_words(const rounded_kernels *kernels, ptrdiff_t k) {
  const ptrdiff_t groups = (k + kernels->unit_group - 1) / kernels->unit_group;
  return (kernels->format == rounded_format_int8 ? 1 : 0) + groups * (kernels->unit_group / kernels->row_group);
}

// Rounds weights [units][k] into a panel of `width` units. Those beyond the last unit become zero.
void rounded_pack_panel(const rounded_kernels *kernels, void *panel, ptrdiff_t width, const float *weights,
                        ptrdiff_t units, ptrdiff_t k);

// The upper half of x, rounded to bfloat16.
static inline uint16_t bf16_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if ((bits & INT32_MAX) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);  // A NaN that is quiet stays one.
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#pragma clang assume_nonnull end
